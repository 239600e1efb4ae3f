"""Refusals about who may do what, and who gives which role."""

from infra.errors import Kind, SijiError


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
    zh = "账号“{login}”持有角色“{role_zh}”，您无权管理该账号"
    en = "The account '{login}' holds the role '{role_en}', so it is not yours to manage"


class SeparationViolated(SijiError):
    """The three administrators are three people and hold no other role (三员分立)."""

    kind = Kind.conflict
    code = "separation_of_administrators"
    zh = "三员分立：账号“{login}”已持有角色“{held_zh}”，不得再持有“{role_zh}”"
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
    zh = "账号“{login}”是最后一名{role_zh}，请先任命另一名"
    en = "'{login}' is the last {role_en}; appoint another first"
