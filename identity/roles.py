"""Roles and permissions: what each role may, who may give which, and which exclude each other. Pure."""

from collections.abc import Collection, Iterable
from enum import StrEnum


class Role(StrEnum):
    """What a person is, at a bureau and all below it."""

    operator = "operator"
    reviewer = "reviewer"
    bureau_admin = "bureau_admin"
    bureau_member = "bureau_member"
    data_steward = "data_steward"
    developer = "developer"
    system_admin = "system_admin"
    security_admin = "security_admin"
    auditor = "auditor"


class Permission(StrEnum):
    """An act that is asked for at a bureau."""

    bureaus_see = "bureaus:see"
    bureaus_import = "bureaus:import"
    bureaus_reorganise = "bureaus:reorganise"
    systems_see = "systems:see"
    systems_edit = "systems:edit"
    people_see = "people:see"
    people_edit = "people:edit"
    roles_see = "roles:see"
    roles_give = "roles:give"
    tokens_see = "tokens:see"
    tokens_issue = "tokens:issue"
    tokens_revoke = "tokens:revoke"
    grants_see = "grants:see"
    grants_set = "grants:set"
    grants_freeze = "grants:freeze"
    capacity_see = "capacity:see"
    capacity_set = "capacity:set"
    requests_see = "requests:see"
    requests_submit = "requests:submit"
    requests_first_review = "requests:first_review"
    requests_review = "requests:review"
    requests_verify = "requests:verify"
    requests_confirm = "requests:confirm"
    servers_see = "servers:see"
    servers_operate = "servers:operate"
    servers_reclaim = "servers:reclaim"
    maintenance_plan = "maintenance:plan"
    findings_see = "findings:see"
    findings_settle = "findings:settle"
    catalogue_see = "catalogue:see"
    catalogue_edit = "catalogue:edit"
    subscriptions_see = "subscriptions:see"
    subscriptions_request = "subscriptions:request"
    subscriptions_decide = "subscriptions:decide"
    datasets_publish = "datasets:publish"
    datasets_pull = "datasets:pull"
    reports_see = "reports:see"
    journal_read = "journal:read"
    alarms_see = "alarms:see"
    calendar_import = "calendar:import"
    settings_edit = "settings:edit"


class TokenScope(StrEnum):
    """What a token of a system's service account may be issued for."""

    datasets_publish = "datasets:publish"
    datasets_pull = "datasets:pull"
    catalogue_read = "catalogue:read"
    subscriptions_read = "subscriptions:read"
    requests_read = "requests:read"
    servers_read = "servers:read"
    grants_read = "grants:read"
    reports_read = "reports:read"


P = Permission

CITYWIDE = frozenset({P.bureaus_see, P.catalogue_see})
"""Held at one bureau, held at all: the tree is public, and a catalogue is there to be found by others."""

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.operator: frozenset(
        {
            P.bureaus_see, P.bureaus_import, P.bureaus_reorganise, P.systems_see, P.people_see, P.tokens_see,
            P.grants_see, P.grants_set, P.grants_freeze, P.capacity_see, P.capacity_set,
            P.requests_see, P.requests_review, P.requests_verify, P.servers_see, P.servers_reclaim,
            P.maintenance_plan, P.findings_see, P.findings_settle,
            P.catalogue_see, P.subscriptions_see, P.reports_see, P.alarms_see, P.calendar_import,
        }
    ),
    Role.reviewer: frozenset(
        {
            P.bureaus_see, P.systems_see, P.grants_see, P.requests_see, P.requests_first_review,
            P.servers_see, P.catalogue_see, P.reports_see,
        }
    ),
    Role.bureau_admin: frozenset(
        {
            P.bureaus_see, P.systems_see, P.systems_edit, P.people_see, P.people_edit, P.roles_see,
            P.roles_give, P.tokens_see, P.tokens_issue, P.tokens_revoke, P.grants_see, P.grants_set,
            P.requests_see, P.requests_submit, P.requests_confirm, P.servers_see, P.servers_operate,
            P.findings_see, P.catalogue_see, P.subscriptions_see, P.subscriptions_request, P.reports_see,
        }
    ),
    Role.bureau_member: frozenset(
        {
            P.bureaus_see, P.systems_see, P.grants_see, P.requests_see, P.servers_see, P.servers_operate,
            P.catalogue_see, P.subscriptions_see, P.reports_see,
        }
    ),
    Role.data_steward: frozenset(
        {
            P.bureaus_see, P.systems_see, P.catalogue_see, P.catalogue_edit, P.subscriptions_see,
            P.subscriptions_request, P.subscriptions_decide, P.datasets_publish,
        }
    ),
    Role.developer: frozenset(
        {
            P.bureaus_see, P.systems_see, P.tokens_see, P.catalogue_see, P.subscriptions_see,
            P.datasets_publish, P.datasets_pull,
        }
    ),
    Role.system_admin: frozenset(
        {P.bureaus_see, P.people_see, P.people_edit, P.alarms_see, P.calendar_import, P.settings_edit}
    ),
    Role.security_admin: frozenset(
        {P.bureaus_see, P.people_see, P.roles_see, P.roles_give, P.tokens_see, P.tokens_revoke}
    ),
    Role.auditor: frozenset({P.bureaus_see, P.journal_read}),
}  # fmt: skip

SCOPE_PERMISSIONS: dict[TokenScope, frozenset[Permission]] = {
    TokenScope.datasets_publish: frozenset({P.datasets_publish, P.catalogue_see}),
    TokenScope.datasets_pull: frozenset({P.datasets_pull, P.catalogue_see}),
    TokenScope.catalogue_read: frozenset({P.catalogue_see}),
    TokenScope.subscriptions_read: frozenset({P.subscriptions_see}),
    TokenScope.requests_read: frozenset({P.requests_see}),
    TokenScope.servers_read: frozenset({P.servers_see}),
    TokenScope.grants_read: frozenset({P.grants_see}),
    TokenScope.reports_read: frozenset({P.reports_see}),
}

SEPARATED = (Role.system_admin, Role.security_admin, Role.auditor)
"""The three administrators (三员): whoever is one of them holds no other role, theirs or a business role."""

GIVES: dict[Role, frozenset[Role]] = {
    Role.security_admin: frozenset(Role),
    Role.bureau_admin: frozenset({Role.bureau_member, Role.data_steward, Role.developer}),
}

ROLE_NAMES: dict[Role, tuple[str, str]] = {
    Role.operator: ("智慧办运营人员", "operator"),
    Role.reviewer: ("县级初审人员", "county reviewer"),
    Role.bureau_admin: ("部门管理员", "bureau admin"),
    Role.bureau_member: ("部门成员", "bureau member"),
    Role.data_steward: ("数据管理员", "data steward"),
    Role.developer: ("开发人员", "developer"),
    Role.system_admin: ("系统管理员", "system administrator"),
    Role.security_admin: ("安全管理员", "security administrator"),
    Role.auditor: ("审计员", "auditor"),
}

PERMISSION_NAMES: dict[Permission, tuple[str, str]] = {
    P.bureaus_see: ("查看部门", "see bureaus"),
    P.bureaus_import: ("导入部门", "import bureaus"),
    P.bureaus_reorganise: ("调整机构", "reorganise bureaus"),
    P.systems_see: ("查看信息系统", "see information systems"),
    P.systems_edit: ("管理信息系统", "manage information systems"),
    P.people_see: ("查看人员", "see people"),
    P.people_edit: ("管理人员账号", "manage people's accounts"),
    P.roles_see: ("查看角色", "see roles"),
    P.roles_give: ("授予和收回角色", "give and end roles"),
    P.tokens_see: ("查看令牌", "see tokens"),
    P.tokens_issue: ("签发和轮换令牌", "issue and rotate tokens"),
    P.tokens_revoke: ("吊销令牌", "revoke tokens"),
    P.grants_see: ("查看配额", "see grants"),
    P.grants_set: ("下达配额", "set grants"),
    P.grants_freeze: ("冻结配额", "freeze grants"),
    P.capacity_see: ("查看容量", "see capacity"),
    P.capacity_set: ("设置容量", "set capacity"),
    P.requests_see: ("查看资源申请", "see resource requests"),
    P.requests_submit: ("提交资源申请", "submit resource requests"),
    P.requests_first_review: ("初审资源申请", "give the first review of resource requests"),
    P.requests_review: ("审核资源申请", "review resource requests"),
    P.requests_verify: ("核准资源申请", "verify resource requests"),
    P.requests_confirm: ("确认交付的资源", "confirm delivered resources"),
    P.servers_see: ("查看云服务器", "see servers"),
    P.servers_operate: ("启停云服务器", "start and stop servers"),
    P.servers_reclaim: ("回收云服务器", "reclaim servers"),
    P.maintenance_plan: ("安排主机维护", "take hosts out of service"),
    P.findings_see: ("查看云上核对结果", "see what audits of the clouds found"),
    P.findings_settle: ("处理云上核对结果", "settle what audits of the clouds found"),
    P.catalogue_see: ("查看资源目录", "see the catalogue"),
    P.catalogue_edit: ("编制资源目录", "edit the catalogue"),
    P.subscriptions_see: ("查看共享申请", "see subscriptions"),
    P.subscriptions_request: ("提出共享申请", "ask for subscriptions"),
    P.subscriptions_decide: ("审定共享申请", "decide subscriptions"),
    P.datasets_publish: ("发布数据", "publish records"),
    P.datasets_pull: ("拉取数据", "pull records"),
    P.reports_see: ("查看容量报表", "see capacity reports"),
    P.journal_read: ("查阅审计日志", "read the journal"),
    P.alarms_see: ("查看日历缺失预警", "see which limits lack a calendar"),
    P.calendar_import: ("导入工作日历", "import the work calendar"),
    P.settings_edit: ("修改系统设置", "change settings"),
}


def roles_with(permission: Permission) -> frozenset[str]:
    """The roles that carry `permission`."""
    return frozenset(
        role.value for role, permissions in ROLE_PERMISSIONS.items() if permission in permissions
    )


def scopes_with(permission: Permission) -> frozenset[str]:
    """The token scopes that carry `permission`."""
    return frozenset(
        scope.value for scope, permissions in SCOPE_PERMISSIONS.items() if permission in permissions
    )


def bureaus_with(permission: Permission, roles: Iterable[tuple[str, int]]) -> frozenset[int]:
    """The bureaus at which one of `roles`, (role, bureau id), carries `permission`, and all below."""
    carrying = roles_with(permission)
    return frozenset(bureau_id for role, bureau_id in roles if role in carrying)


def givers_of(role: Role) -> frozenset[str]:
    """The roles whose holders may give and end `role`."""
    return frozenset(giver.value for giver, given in GIVES.items() if role in given)


def find_excluding(role: Role, held: Collection[str]) -> Role | None:
    """The first role among those `held` that nobody may hold together with `role`; None: there is none.

    Separation of the three administrators (三员分立): none of them with another, nor with any business role.
    Source: GB/T 22239-2019, 8.1.5: system management, audit management and security management apart.
    """
    for other in sorted(Role(name) for name in held):
        if other != role and (role in SEPARATED or other in SEPARATED):
            return other
    return None


def permission_table() -> str:
    """The table 'role × permission' as Markdown, Chinese and English, generated for docs/."""
    roles = list(Role)
    lines = [
        "| 权限 permission | "
        + " | ".join(f"{ROLE_NAMES[role][0]} {ROLE_NAMES[role][1]}" for role in roles)
        + " |",
        "|---" + "|:-:" * len(roles) + "|",
    ]
    for permission in Permission:
        zh, en = PERMISSION_NAMES[permission]
        marks = ("✓" if permission in ROLE_PERMISSIONS[role] else "" for role in roles)
        lines.append(f"| {zh} {en} `{permission}` | " + " | ".join(marks) + " |")
    return "\n".join(lines) + "\n"
