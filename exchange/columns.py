"""What the columns of a table are of: items by name or label, and some that are no item's. Pure.

A column `$op` (操作) says upsert or delete (更新, 删除), and nothing means upsert; `$id` (记录标识) is the
publisher's own id of a record. Corrections of quarantined records have `$place` (位置), and may have
`$reasons` (原因).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from exchange.batch import Change
from exchange.errors import BadColumns, RowUnreadable
from exchange.schema import Item, Reason


class Reserved(StrEnum):
    """A column that is no item's, by its name."""

    operation = "$op"
    id = "$id"
    place = "$place"
    reasons = "$reasons"


RESERVED_ZH = {
    "操作": Reserved.operation,
    "记录标识": Reserved.id,
    "位置": Reserved.place,
    "原因": Reserved.reasons,
}
PUBLISHED = (Reserved.operation, Reserved.id)
OPERATIONS = {"": False, "upsert": False, "更新": False, "delete": True, "删除": True}
BLANKS = " \t\u00a0\u3000"
SHOWN_COLUMNS = 10

Column = Item | Reserved


def columns_of(
    header: Sequence[str], items: Sequence[Item], key_items: Sequence[str], *, correcting: bool = False
) -> list[Column]:
    """What each column is of. Raises BadColumns.

    A column that is not known is told by its place, never by what stands there: without a header it would be
    a value. With a column of operations only the key's columns must be there, as deletes have no others.
    """
    known = _known_columns(items, tuple(Reserved) if correcting else PUBLISHED)
    names = [name.strip(BLANKS) for name in header]
    unknown = [place for place, name in enumerate(names, start=1) if name not in known]
    if unknown:
        listed = "、".join(f"{place}（{letters(place)}）" for place in unknown[:SHOWN_COLUMNS])
        shown = ", ".join(f"{place} ({letters(place)})" for place in unknown[:SHOWN_COLUMNS])
        expected = ", ".join(item.name for item in items)
        raise BadColumns(
            why_zh=f"第 {listed} 列的标题不是信息项的名称或标签；信息项有：{expected}",
            why_en=f"the header of column {shown} is no item's name or label; the items are: {expected}",
        )
    columns = [known[name] for name in names]
    counts = Counter(column.value if isinstance(column, Reserved) else column.name for column in columns)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise BadColumns(
            why_zh=f"有重复的列：{'、'.join(repeated)}", why_en=f"columns are repeated: {', '.join(repeated)}"
        )
    missing = [
        item.name
        for item in items
        if item.name not in counts
        and (item.name in key_items or (item.required and Reserved.operation not in counts))
    ]
    if correcting and Reserved.place not in counts:
        missing.append(Reserved.place)
    if missing:
        raise BadColumns(
            why_zh=f"缺少必填的列：{'、'.join(missing)}", why_en=f"columns are missing: {', '.join(missing)}"
        )
    return columns


def change_of(
    row: int,
    reserved: Mapping[Reserved, str],
    values: Mapping[str, Any],
    faults: Mapping[str, Reason],
    key_items: Sequence[str],
) -> Change:
    """The change of a row: a delete is of its key items, whatever else stands there. Raises RowUnreadable.

    Its place is its row, or of a correction the place that it names.
    """
    delete = is_delete(row, reserved.get(Reserved.operation, ""))
    wanted = [name for name in values if not delete or name in key_items]
    return Change(
        {name: values[name] for name in wanted},
        delete,
        place=_place(row, reserved[Reserved.place]) if Reserved.place in reserved else row,
        faults=tuple(faults[name] for name in wanted if name in faults),
        id=reserved.get(Reserved.id) or None,
    )


def unguarded(cell: str) -> str:
    """A cell of a CSV of corrections without the apostrophe that keeps it from being a formula."""
    return cell.removeprefix("'")


def letters(column: int) -> str:
    """What a spreadsheet calls the column, counted from 1: A … Z, AA, AB …"""
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def is_delete(row: int, operation: str) -> bool:
    delete = OPERATIONS.get(operation)
    if delete is None:
        raise RowUnreadable(
            row=row,
            why_zh="操作一列应为 upsert（更新）、delete（删除）或留空",
            why_en="its operation is neither upsert nor delete nor empty",
        )
    return delete


def _place(row: int, text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0:
        return int(text)
    raise RowUnreadable(
        row=row,
        why_zh="位置一列应为问题数据原来的位置，请勿改动",
        why_en="its place is not that of the bad record; leave the column as it was",
    )


def _known_columns(items: Sequence[Item], reserved: Sequence[Reserved]) -> dict[str, Column]:
    """By header: names come before labels, and a label that several items have is none's."""
    labels = Counter(item.label for item in items)
    known: dict[str, Column] = {one.value: one for one in reserved}
    known |= {zh: one for zh, one in RESERVED_ZH.items() if one in reserved}
    known |= {item.label: item for item in items if item.label and labels[item.label] == 1}
    return known | {item.name: item for item in items}
