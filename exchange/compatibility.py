"""Whether new items still accept every record that the present ones accept (backward). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from exchange.schema import TYPES, Item

WIDENS = {("integer", "number")} | {
    (name, "text") for name, (kind, *_rest) in TYPES.items() if kind == "string"
}


@dataclass(frozen=True)
class Break:
    """One way in which records of the present version would be refused by the new one."""

    item: str
    zh: str
    en: str


def backward_breaks(old: Sequence[Item], new: Sequence[Item]) -> list[Break]:
    """Every break between the present items and the new ones, by name; none if compatible."""
    before = {item.name: item for item in old}
    after = {item.name: item for item in new}
    breaks: list[Break] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            breaks.append(Break(name, f"“{name}”被删除", f"“{name}” is removed"))
        elif name not in before:
            if after[name].required:
                breaks.append(Break(name, f"新增的“{name}”为必填", f"the new “{name}” is required"))
        else:
            breaks.extend(_changed(before[name], after[name]))
    return breaks


def _changed(old: Item, new: Item) -> list[Break]:
    name = old.name
    breaks = []
    if old.type != new.type and (old.type, new.type) not in WIDENS:
        breaks.append(
            Break(
                name,
                f"“{name}”的类型由 {old.type} 改为 {new.type}",
                f"“{name}” changes from {old.type} to {new.type}",
            )
        )
    if new.required and not old.required:
        breaks.append(Break(name, f"“{name}”改为必填", f"“{name}” becomes required"))
    if new.length is not None and (old.length is None or new.length < old.length):
        breaks.append(Break(name, f"“{name}”的长度缩短", f"“{name}” becomes shorter"))
    return breaks
