"""Refusals about tokens of systems' service accounts."""

from infra.errors import Kind, SijiError


class TokenRefused(SijiError):
    """The token is unknown, expired or revoked; which of them is not told."""

    kind = Kind.unauthenticated
    code = "token_refused"
    zh = "令牌无效、已过期或已吊销"
    en = "The token is unknown, expired or revoked"


class InvalidScopes(SijiError):
    """A token names at least one scope, and only known ones."""

    code = "invalid_scopes"
    zh = "令牌权限范围无效：{given}；可选：{known}"
    en = "The token's scopes are invalid: {given}; choose from {known}"


class InvalidDatasets(SijiError):
    """A token is for all of its system's datasets or for named ones."""

    code = "invalid_datasets"
    zh = "令牌的数据集列表无效：须为 1 至 {maximum} 个非空编码，或不填（不限）"
    en = "A token's list of datasets has 1 to {maximum} codes, none of them empty; or leave it out for all"


class InvalidExpiry(SijiError):
    """A token ends, and soon enough."""

    code = "invalid_expiry"
    zh = "令牌到期日 {expires_on} 无效：须在 {earliest} 至 {latest} 之间"
    en = "The token cannot expire on {expires_on}: choose a day from {earliest} to {latest}"


class InvalidOverlap(SijiError):
    """The old token and the new one are both good for a limited time."""

    code = "invalid_overlap"
    zh = "新旧令牌并行天数 {days} 无效：须为 0 至 {maximum} 天"
    en = "The old token cannot stay good for {days} days: choose 0 to {maximum}"


class TokenEnded(SijiError):
    """The token is revoked, expired or rotated already."""

    kind = Kind.conflict
    code = "token_ended"
    zh = "令牌 {token_id} 已吊销、已过期或已轮换"
    en = "The token {token_id} is revoked, expired or rotated already"
