"""Masks on items: keep-ends, digest, generalise, drop. Pure; counts Unicode characters, never bytes."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from exchange.digest import LARGEST_INTEGER, canonical, keyed_sm3

MaskKind = Literal["keep_ends", "digest", "generalise", "drop"]
KINDS: tuple[MaskKind, ...] = ("keep_ends", "digest", "generalise", "drop")
HIDDEN = "*"
NUMERIC = ("integer", "number")
DATED = {"year": 4, "month": 7, "day": 10}


class BadMask(ValueError):
    """A mask that cannot be applied; says why in both languages."""

    def __init__(self, why_zh: str, why_en: str) -> None:
        super().__init__(why_en)
        self.why_zh, self.why_en = why_zh, why_en


@dataclass(frozen=True)
class Mask:
    """How one item is shown. keep_ends: `head` and `tail` characters stay. generalise: dates to `to`, numbers
    down to a multiple of `step`, anything else to its first `head` characters."""

    kind: MaskKind
    head: int = 0
    tail: int = 0
    step: int = 0
    to: Literal["", "year", "month", "day"] = ""

    def document(self) -> dict[str, Any]:
        """JSON-able form, without what is not set."""
        return {name: value for name, value in asdict(self).items() if value}


def read_mask(document: Mapping[str, Any]) -> Mask:
    """The mask of a JSON document; BadMask if it is none."""
    kind = document.get("kind")
    if kind not in KINDS:
        raise BadMask("脱敏方式应为 keep_ends、digest、generalise 或 drop",
                      "a mask is one of keep_ends, digest, generalise and drop")  # fmt: skip
    if set(document) - {"kind", "head", "tail", "step", "to"}:
        raise BadMask(
            "脱敏参数只有 head、tail、step、to", "a mask has head, tail, step and to, and nothing else"
        )
    counts = {name: document.get(name, 0) for name in ("head", "tail", "step")}
    if any(type(n) is not int or not 0 <= n <= 10**9 for n in counts.values()):
        raise BadMask(
            "脱敏参数 head、tail、step 应为非负整数", "head, tail and step of a mask are whole numbers from 0"
        )
    to = document.get("to", "")
    if to not in ("", *DATED):
        raise BadMask("概化到 year、month 或 day", "a date is generalised to year, month or day")
    return Mask(kind, to=to, **counts)


def check_mask(mask: Mask, *, item_type: str) -> None:
    """Refuse (BadMask) a generalisation that would not hide anything of an item of `item_type`."""
    if mask.kind != "generalise":
        return
    if item_type in NUMERIC and mask.step < 1:
        raise BadMask("数值的概化需要 step ≥ 1", "to generalise a number needs a step of at least 1")
    if item_type in ("date", "datetime") and mask.to not in (
        ("year", "month") if item_type == "date" else DATED
    ):
        raise BadMask("日期的概化需要 to 为 year 或 month", "to generalise a date needs `to`: year or month")
    if item_type not in (*NUMERIC, "date", "datetime") and mask.head < 1:
        raise BadMask("文本的概化需要 head ≥ 1", "to generalise a text needs a head of at least 1 character")


def apply_masks(
    value: Mapping[str, Any], *, items: Iterable[str], masks: Mapping[str, Mask], key: bytes
) -> dict[str, Any]:
    """What a subscriber sees of a record: the released `items` only, each under its mask."""
    seen = {}
    for item in items:
        if item not in value:
            continue
        mask = masks.get(item)
        if mask is None:
            seen[item] = value[item]
        elif mask.kind != "drop":
            seen[item] = masked(value[item], mask, key=key)
    return seen


def masked(value: Any, mask: Mask, *, key: bytes) -> Any:
    """One value under `mask`; nothing at all stays None. `key` is the subscription's own."""
    if value is None or mask.kind == "drop":
        return None
    if mask.kind == "digest":
        return keyed_sm3(key, _text(value).encode("utf-8", "surrogatepass")).hex()
    if mask.kind == "keep_ends":
        return _keep_ends(_text(value), mask.head, mask.tail)
    return _generalise(value, mask)


def _keep_ends(text: str, head: int, tail: int) -> str:
    hidden = len(text) - head - tail
    if hidden <= 0:
        return HIDDEN * len(text)
    return text[:head] + HIDDEN * hidden + text[len(text) - tail :]


def _generalise(value: Any, mask: Mask) -> Any:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _down(value, mask.step) if mask.step else None
    return _text(value)[: DATED[mask.to] if mask.to else mask.head]


def _down(value: float, step: int) -> float:
    """The multiple of `step` at or below, of the value's own kind: a float may lie where integers may not."""
    if isinstance(value, int):
        return max(value // step * step, -LARGEST_INTEGER)  # the lowest step begins where integers do
    over = math.fmod(value, step)  # exact, and never leads out of the floats as `//` and `*` would
    return value - over - (step if over < 0 else 0)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value).decode()
