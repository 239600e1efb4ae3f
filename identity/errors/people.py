"""Refusals about accounts, passwords and signing in."""

from infra.errors import Kind, SijiError


class PersonDeparted(SijiError):
    """The person has left; their account is kept for the record only."""

    kind = Kind.conflict
    code = "person_departed"
    zh = "账号“{login}”的人员已离任，不能再变更"
    en = "The person of the account '{login}' has departed; it cannot be changed any more"


class LoginTaken(SijiError):
    """Logins are unique, of departed people too."""

    kind = Kind.conflict
    code = "login_taken"
    zh = "登录名“{login}”已被使用，请换一个"
    en = "The login '{login}' is taken; choose another"


class InvalidLogin(SijiError):
    """What a login may look like."""

    code = "invalid_login"
    zh = "登录名须为 2 至 64 个字符，仅含小写字母、数字和 . _ - @，并以字母或数字开头"
    en = "A login has 2 to 64 characters: lower-case letters, digits and . _ - @, first a letter or a digit"


class InvalidName(SijiError):
    """What a person's name, or a label, may look like."""

    code = "invalid_name"
    zh = "名称须为 1 至 255 个字符，且不含控制字符"
    en = "A name has 1 to 255 characters and no control characters"


class PeopleExist(SijiError):
    """First administrators are made once, in an installation without people."""

    kind = Kind.conflict
    code = "people_exist"
    zh = "系统中已有 {count} 个账号，首任管理员只能在没有任何账号时创建"
    en = "There are {count} accounts already; first administrators are made only while there is none"


class NoTree(SijiError):
    """First administrators belong to the top of the tree, which must be there."""

    kind = Kind.conflict
    code = "no_tree"
    zh = "部门树中应有且仅有一个顶级部门，现有 {count} 个；请先导入部门"
    en = "The tree of bureaus must have exactly one top, it has {count}; import the bureaus first"


class WeakPassword(SijiError):
    """The password is too short, or too long to be one."""

    code = "weak_password"
    zh = "密码须为 {minimum} 至 {maximum} 个字符，现为 {length} 个"
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
    zh = "登录名或密码不正确；连续 {limit} 次失败后账号锁定 {minutes} 分钟"
    en = "Wrong login or password; after {limit} failures in a row an account is locked for {minutes} minutes"


class NotSignedIn(SijiError):
    """There is no session, or it has ended."""

    kind = Kind.unauthenticated
    code = "not_signed_in"
    zh = "尚未登录或登录已过期，请重新登录"
    en = "You are not signed in, or your session has ended; sign in again"
