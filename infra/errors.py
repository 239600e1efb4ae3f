"""The root of all domain errors: a kind and facts, told in Chinese and English, never an HTTP status."""

from enum import StrEnum
from typing import Any, Literal

Language = Literal["zh", "en"]


class Kind(StrEnum):
    """What sort of refusal it is; the portal maps each to one answer."""

    invalid = "invalid"
    unauthenticated = "unauthenticated"
    forbidden = "forbidden"
    not_found = "not_found"
    conflict = "conflict"
    stale = "stale"
    unconditional = "unconditional"
    too_large = "too_large"
    unsupported = "unsupported"
    unavailable = "unavailable"
    broken = "broken"


class SijiError(Exception):
    """A refusal that a person is told: `zh` and `en` are templates filled from `facts`.

    Subclasses set `kind`, `code`, `zh` and `en`; `facts` must be JSON-able.
    """

    kind: Kind = Kind.invalid
    code: str = "invalid"
    zh: str = "请求无效"
    en: str = "The request is invalid"

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.message("en"))

    def message(self, language: Language) -> str:
        """One sentence in `language` that names what, where and why."""
        return (self.zh if language == "zh" else self.en).format_map(self.facts)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.facts))


class NotFound(SijiError):
    """Nothing of that name is there, or it is not visible to who asks."""

    kind = Kind.not_found
    code = "not_found"
    zh = "未找到{what_zh}：{key}"
    en = "No {what_en} {key}"


class Stale(SijiError):
    """What the person saw has changed since."""

    kind = Kind.stale
    code = "stale"
    zh = "内容已被他人修改：您看到的是第 {seen} 版，现为第 {now} 版，请刷新后重试"
    en = "It has changed meanwhile: you saw revision {seen}, it is now {now}; reload and try again"


def _rebuild(cls: type[SijiError], facts: dict[str, Any]) -> SijiError:
    return cls(**facts)
