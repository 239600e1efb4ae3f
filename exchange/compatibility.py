"""Whether new items go with records and readers of the versions before, as far as a dataset demands. Pure.

The levels are those of Confluent's Schema Registry. Backward: the new items accept every record that those
before accepted. Forward: whoever reads by the items before can read every record of the new ones; an item
that is new is never in anybody's way, as nobody sees it before it is released to them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from exchange.schema import TYPES, Item

Level = Literal[
    "none",
    "backward",
    "forward",
    "full",
    "backward_transitive",
    "forward_transitive",
    "full_transitive",
]
LEVELS: tuple[Level, ...] = get_args(Level)
WIDENS = {("integer", "number")} | {
    (name, "text") for name, (kind, *_rest) in TYPES.items() if kind == "string"
}


@dataclass(frozen=True)
class Break:
    """One way in which the new items do not go with those before. `reads`: it hits those who receive them."""

    item: str
    zh: str
    en: str
    reads: bool


def find_breaks(history: Sequence[Sequence[Item]], new: Sequence[Item], *, level: Level) -> list[Break]:
    """Every break with the last of `history`, or, transitively, with all of it; by item."""
    kind, _, transitive = level.partition("_")
    found: dict[Break, None] = {}
    for old in history if transitive else history[-1:]:
        if kind in ("backward", "full"):
            found.update(dict.fromkeys(backward_breaks(old, new)))
        if kind in ("forward", "full"):
            found.update(dict.fromkeys(forward_breaks(old, new)))
    return sorted(found, key=lambda one: one.item)


def backward_breaks(old: Sequence[Item], new: Sequence[Item]) -> list[Break]:
    """Where records of `old` would be refused by `new`, by name."""
    before, after = _by_name(old), _by_name(new)
    breaks: list[Break] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            breaks.append(Break(name, f"“{name}”被删除", f"“{name}” is removed", reads=True))
        elif name not in before:
            if after[name].required:
                zh, en = f"新增的“{name}”为必填", f"the new “{name}” is required"
                breaks.append(Break(name, zh, en, reads=False))
        else:
            breaks.extend(_narrowed(before[name], after[name]))
    return breaks


def forward_breaks(old: Sequence[Item], new: Sequence[Item]) -> list[Break]:
    """Where records of `new` have what a reader of `old` does not expect, by name."""
    before, after = _by_name(old), _by_name(new)
    breaks: list[Break] = []
    for name in sorted(before):
        if name not in after:
            if before[name].required:
                zh, en = f"必填的“{name}”被删除", f"“{name}”, which was always there, is removed"
                breaks.append(Break(name, zh, en, reads=True))
        else:
            breaks.extend(_widened(before[name], after[name]))
    return breaks


def _by_name(items: Iterable[Item]) -> dict[str, Item]:
    return {item.name: item for item in items}


def _narrowed(old: Item, new: Item) -> list[Break]:
    """Ways in which the item takes less than before."""
    name, breaks = old.name, []
    if old.type != new.type and (old.type, new.type) not in WIDENS:
        breaks.append(_retyped(old, new))
    if new.required and not old.required:
        breaks.append(Break(name, f"“{name}”改为必填", f"“{name}” becomes required", reads=False))
    if new.length is not None and (old.length is None or new.length < old.length):
        breaks.append(Break(name, f"“{name}”的长度缩短", f"“{name}” becomes shorter", reads=False))
    return breaks


def _widened(old: Item, new: Item) -> list[Break]:
    """Ways in which the item can be what it could not be before."""
    name, breaks = old.name, []
    if old.type != new.type and (new.type, old.type) not in WIDENS:
        breaks.append(_retyped(old, new))
    if old.required and not new.required:
        breaks.append(Break(name, f"“{name}”改为可空", f"“{name}” may be missing now", reads=True))
    if old.length is not None and (new.length is None or new.length > old.length):
        breaks.append(Break(name, f"“{name}”的长度放宽", f"“{name}” may be longer now", reads=True))
    return breaks


def _retyped(old: Item, new: Item) -> Break:
    return Break(
        old.name,
        f"“{old.name}”的类型由 {old.type} 改为 {new.type}",
        f"“{old.name}” changes from {old.type} to {new.type}",
        reads=True,
    )
