"""Refusals of identity/: a kind and facts, never an HTTP status."""

from collections.abc import Mapping, Sequence

from identity.faults import Fault, Problem
from infra.errors import Kind, SijiError

# --- the tree and the information systems


class ImportRefused(SijiError):
    """A file of the tree with faults; nothing of it was written.

    Facts: `total` faults, the first `row` with its reason, and `problems`: at most MAX_SHOWN, each a dict of
    row, reason, zh and en.
    """

    MAX_SHOWN = 50
    code = "import_refused"
    zh = "导入被拒绝,未写入任何内容:共有 {total} 处问题,第一处是{first_zh}"
    en = "The import is refused and nothing was written: {total} faults, the first is {first_en}"

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> "ImportRefused":
        """The refusal that tells `problems`, in their order; at least one."""
        shown = [problem.as_fact() for problem in problems[: cls.MAX_SHOWN]]
        return cls(total=len(problems), first_zh=shown[0]["zh"], first_en=shown[0]["en"], problems=shown)


class TooManyRows(SijiError):
    """More rows than one import takes."""

    kind = Kind.too_large
    code = "too_many_rows"
    zh = "文件超过 {limit} 行的上限,请拆分后再导入"
    en = "The file has more than {limit} rows; split it and try again"


class BureauFault(SijiError):
    """A name, code, level or parent that a unit may not have; the sentence is the fault's own."""

    kind = Kind.conflict
    code = "bureau_fault"
    zh = "不能这样调整单位:{fault_zh}"
    en = "The unit cannot be so: {fault_en}"

    @classmethod
    def of(cls, fault: Fault) -> "BureauFault":
        """The refusal that tells `fault`."""
        return cls(
            reason=fault.reason, fault_zh=fault.message("zh"), fault_en=fault.message("en"), fault=fault.facts
        )


class CodeTaken(SijiError):
    """Another unit or system has or had that code."""

    kind = Kind.conflict
    code = "code_taken"
    zh = "代码 {taken} 已被“{holder}”使用"
    en = "Code {taken} is taken by “{holder}”"


class BureauAbolished(SijiError):
    """The unit is abolished; only its history can be read."""

    kind = Kind.conflict
    code = "bureau_abolished"
    zh = "单位 {bureau}“{name}”已于 {abolished_at} 撤销,不能再变更或承接业务"
    en = "{bureau} “{name}” was abolished at {abolished_at}: it cannot be changed and takes nothing on"


class MoveCycle(SijiError):
    """A unit would stand below itself."""

    kind = Kind.conflict
    code = "move_cycle"
    zh = "不能把单位 {bureau} 移入或并入 {target}:后者就是它本身或在它之下"
    en = "{bureau} cannot go to {target}, which is the unit itself or stands below it"


class StillHolding(SijiError):
    """A unit or system that still holds something; `held` maps each code to the kinds it holds."""

    kind = Kind.conflict
    code = "still_holding"
    zh = "不能撤销或注销,仍有未清理的内容:{held_list};请先移交或释放"
    en = "It cannot end while it holds something: {held_list}; hand that over or release it first"
    MAX_SHOWN = 20

    @classmethod
    def of(cls, held: Mapping[str, Sequence[str]]) -> "StillHolding":
        """The refusal that names up to MAX_SHOWN holders, by code, and what each holds."""
        shown = {code: list(held[code]) for code in list(held)[: cls.MAX_SHOWN]}
        listing = "; ".join(f"{code} ({', '.join(kinds)})" for code, kinds in shown.items())
        more = f" … ({len(held)})" if len(held) > len(shown) else ""
        return cls(held=shown, total=len(held), held_list=listing + more)


class OutOfOrder(SijiError):
    """A reorganisation dated before the unit's last one: history is not rewritten."""

    kind = Kind.conflict
    code = "out_of_order"
    zh = "单位 {bureau} 最近一次变更于 {last} 生效,不能再记入更早的变更({at})"
    en = "The last change of {bureau} took effect at {last}; one of {at} cannot be put before it"


class SystemFault(SijiError):
    """A field of a system that is not allowed; the sentence is the fault's own."""

    code = "system_fault"
    zh = "信息系统登记无效:{fault_zh}"
    en = "The system cannot be registered so: {fault_en}"

    @classmethod
    def of(cls, fault: Fault) -> "SystemFault":
        """The refusal that tells `fault`."""
        return cls(
            reason=fault.reason, fault_zh=fault.message("zh"), fault_en=fault.message("en"), fault=fault.facts
        )


class MlpsGradeRefused(SijiError):
    """Only systems of MLPS grades 1 to 3 may run on the government cloud."""

    code = "mlps_grade_refused"
    zh = "等保 {grade} 级的系统不能部署在政务云上,只接受 1 至 3 级"
    en = "A system of MLPS grade {grade} may not run on the government cloud; grades 1 to 3 may"


# --- people, roles, sign-in and tokens


class Forbidden(SijiError):
    """Who acts has not the permission there."""

    kind = Kind.forbidden
    code = "forbidden"
    zh = "您没有在{place_zh}{permission_zh}的权限"
    en = "You may not {permission_en} at {place_en}"


class NotGivable(SijiError):
    """The role is not one that who acts may give or end there."""

    kind = Kind.forbidden
    code = "role_not_givable"
    zh = "您无权在{place_zh}为该人员授予或收回角色“{role_zh}”"
    en = "You may not give that person the role '{role_en}' at {place_en}, nor end it"


class OwnRole(SijiError):
    """Nobody gives roles to themselves."""

    kind = Kind.forbidden
    code = "own_role"
    zh = "任何人不得为自己授予角色“{role_zh}”"
    en = "Nobody may give themselves a role: '{role_en}' must come from another person"


class ProtectedAccount(SijiError):
    """The account holds roles that who acts has no say over."""

    kind = Kind.forbidden
    code = "protected_account"
    zh = "账号“{login}”持有角色“{role_zh}”,您无权管理该账号"
    en = "The account '{login}' holds the role '{role_en}', so it is not yours to manage"


class SeparationViolated(SijiError):
    """The three administrators are three people and hold no other role (三员分立)."""

    kind = Kind.conflict
    code = "separation_of_administrators"
    zh = "三员分立:账号“{login}”已持有角色“{held_zh}”,不得再持有“{role_zh}”"
    en = (
        "Administrators are separated: '{login}' holds the role '{held_en}' and may not also hold '{role_en}'"
    )


class RoleHeld(SijiError):
    """The person holds that role there already."""

    kind = Kind.conflict
    code = "role_held"
    zh = "账号“{login}”在{place_zh}已持有角色“{role_zh}”"
    en = "'{login}' already holds the role '{role_en}' at {place_en}"


class LastAdministrator(SijiError):
    """Without its last system or security administrator an installation could not be administered."""

    kind = Kind.conflict
    code = "last_administrator"
    zh = "账号“{login}”是最后一名{role_zh},请先任命另一名"
    en = "'{login}' is the last {role_en}; appoint another first"


class PersonDeparted(SijiError):
    """The person has left; their account is kept for the record only."""

    kind = Kind.conflict
    code = "person_departed"
    zh = "账号“{login}”的人员已离任,不能再变更"
    en = "The person of the account '{login}' has departed; it cannot be changed any more"


class LoginTaken(SijiError):
    """Logins are unique, of departed people too."""

    kind = Kind.conflict
    code = "login_taken"
    zh = "登录名“{login}”已被使用,请换一个"
    en = "The login '{login}' is taken; choose another"


class InvalidLogin(SijiError):
    """What a login may look like."""

    code = "invalid_login"
    zh = "登录名须为 2 至 64 个字符,仅含小写字母、数字和 . _ - @,并以字母或数字开头"
    en = "A login has 2 to 64 characters: lower-case letters, digits and . _ - @, first a letter or a digit"


class InvalidName(SijiError):
    """What a person's name, or a label, may look like."""

    code = "invalid_name"
    zh = "名称须为 1 至 255 个字符,且不含控制字符"
    en = "A name has 1 to 255 characters and no control characters"


class PeopleExist(SijiError):
    """First administrators are made once, in an installation without people."""

    kind = Kind.conflict
    code = "people_exist"
    zh = "系统中已有 {count} 个账号,首任管理员只能在没有任何账号时创建"
    en = "There are {count} accounts already; first administrators are made only while there is none"


class NoTree(SijiError):
    """First administrators belong to the top of the tree, which must be there."""

    kind = Kind.conflict
    code = "no_tree"
    zh = "部门树中应有且仅有一个顶级部门,现有 {count} 个;请先导入部门"
    en = "The tree of bureaus must have exactly one top, it has {count}; import the bureaus first"


class WeakPassword(SijiError):
    """The password is too short, or too long to be one."""

    code = "weak_password"
    zh = "密码须为 {minimum} 至 {maximum} 个字符,现为 {length} 个"
    en = "A password has {minimum} to {maximum} characters; this one has {length}"


class PasswordRepeatsLogin(SijiError):
    """A password that holds the login is the first to be guessed."""

    code = "password_repeats_login"
    zh = "密码不得包含登录名“{login}”"
    en = "The password must not contain the login '{login}'"


class PasswordUnchanged(SijiError):
    """A new password differs from the old one."""

    code = "password_unchanged"
    zh = "新密码不得与原密码相同"
    en = "The new password must differ from the old one"


class SignInRefused(SijiError):
    """One answer to a wrong login, a wrong password and a locked account: it tells a guesser nothing."""

    kind = Kind.unauthenticated
    code = "sign_in_refused"
    zh = "登录名或密码不正确;连续 {limit} 次失败后账号锁定 {minutes} 分钟"
    en = "Wrong login or password; after {limit} failures in a row an account is locked for {minutes} minutes"


class NotSignedIn(SijiError):
    """There is no session, or it has ended."""

    kind = Kind.unauthenticated
    code = "not_signed_in"
    zh = "尚未登录或登录已过期,请重新登录"
    en = "You are not signed in, or your session has ended; sign in again"


class TokenRefused(SijiError):
    """The token is unknown, expired or revoked; which of them is not told."""

    kind = Kind.unauthenticated
    code = "token_refused"
    zh = "令牌无效、已过期或已吊销"
    en = "The token is unknown, expired or revoked"


class InvalidScopes(SijiError):
    """A token names at least one scope, and only known ones."""

    code = "invalid_scopes"
    zh = "令牌权限范围无效:{given};可选:{known}"
    en = "The token's scopes are invalid: {given}; choose from {known}"


class InvalidDatasets(SijiError):
    """A token is for all of its system's datasets or for named ones."""

    code = "invalid_datasets"
    zh = "令牌的数据集列表无效:须为 1 至 {maximum} 个非空编码,或不填(不限)"
    en = "A token's list of datasets has 1 to {maximum} codes, none of them empty; or leave it out for all"


class InvalidExpiry(SijiError):
    """A token ends, and soon enough."""

    code = "invalid_expiry"
    zh = "令牌到期日 {expires_on} 无效:须在 {earliest} 至 {latest} 之间"
    en = "The token cannot expire on {expires_on}: choose a day from {earliest} to {latest}"


class InvalidOverlap(SijiError):
    """The old token and the new one are both good for a limited time."""

    code = "invalid_overlap"
    zh = "新旧令牌并行天数 {days} 无效:须为 0 至 {maximum} 天"
    en = "The old token cannot stay good for {days} days: choose 0 to {maximum}"


class TokenEnded(SijiError):
    """The token is revoked, expired or rotated already."""

    kind = Kind.conflict
    code = "token_ended"
    zh = "令牌 {token_id} 已吊销、已过期或已轮换"
    en = "The token {token_id} is revoked, expired or rotated already"


class SystemRetired(SijiError):
    """A retired system is changed no more and has no new tokens."""

    kind = Kind.conflict
    code = "system_retired"
    zh = "信息系统“{name}”({code})已注销"
    en = "The information system {name} ({code}) is retired"
