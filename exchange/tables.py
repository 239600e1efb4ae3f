"""Reads tables that are sent for publishing: CSV by RFC 4180, and what rows of any table mean. Pure.

The first row that is not empty names the columns, by an item's name or its label. A column `$op` (操作) says
upsert or delete (更新, 删除), and nothing means upsert. An empty cell is an absent item: a table cannot say
an empty text. Rows count from 1 with the header, empty ones too, as a spreadsheet shows them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from exchange.batch import Change
from exchange.cells import read_text_cell
from exchange.errors import BadColumns, RowUnreadable
from exchange.intake import lines_of
from exchange.schema import Item, Reason

OPERATION, OPERATION_ZH = "$op", "操作"
OPERATIONS = {"": False, "upsert": False, "更新": False, "delete": True, "删除": True}
BLANKS = " \t\u00a0\u3000"
ONE = r'(?:"([^"]*+(?:""[^"]*+)*+)"|([^",\r\n]*+))'
CELL, ROW = re.compile(f"(?:^|,){ONE}"), re.compile(f"{ONE}(?:,{ONE})*+")
SHOWN_COLUMNS = 10

Column = Item | None
"""What a column is of; None is the operation."""


def read_csv(pieces: Iterable[str], items: Sequence[Item], key_items: Sequence[str]) -> Iterator[Change]:
    """The changes in the text of a CSV file. Raises BadColumns, RowUnreadable."""
    columns: list[Column] | None = None
    for row, (_, cells) in enumerate(csv_rows(pieces), start=1):
        if not any(cells):
            continue
        if columns is None:
            columns = columns_of(cells, items, key_items)
            continue
        _check_width(row, cells, len(columns))
        told = {place: cell for place, cell in enumerate(cells) if cell}
        values = {
            item.name: read_text_cell(item, told[place])
            for place, item in enumerate(columns)
            if item is not None and place in told
        }
        operation = next((told.get(place, "") for place, item in enumerate(columns) if item is None), "")
        yield change_of(row, operation, values, {}, key_items)
    if columns is None:
        raise BadColumns(why_zh="没有标题行，内容为空", why_en="there is no header row, nothing at all")


def check_rows(pieces: Iterable[str]) -> None:
    """Refuse what `read_csv` refuses of rows whatever the items are. Raises RowUnreadable."""
    header: list[str] = []
    for row, (_, cells) in enumerate(csv_rows(pieces), start=1):
        if not any(cells):
            continue
        if not header:
            header = [name.strip(BLANKS) for name in cells]
            continue
        _check_width(row, cells, len(header))
        if OPERATION in header:
            _is_delete(row, cells[header.index(OPERATION)])


def csv_rows(pieces: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """(the row as it stands, without its line end, and its cells) of each row. Raises RowUnreadable."""
    row, held = 1, list[str]()
    quotes = 0
    for line in lines_of(pieces):
        held.append(line)
        quotes += line.count('"')
        if quotes % 2:
            continue
        text = "\n".join(held).removesuffix("\r")
        yield text, _cells(text, row) if quotes or "\r" in text else text.split(",")
        row, held, quotes = row + 1, [], 0
    if held:
        raise RowUnreadable(
            row=row, why_zh="有引号没有成对", why_en="a quotation mark in it has no counterpart"
        )


def columns_of(header: Sequence[str], items: Sequence[Item], key_items: Sequence[str]) -> list[Column]:
    """What each column is of. Raises BadColumns.

    A column that is not known is told by its place, never by what stands there: without a header it would be
    a value. With a column of operations only the key's columns must be there, as deletes have no others.
    """
    known = _known_columns(items)
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
    counts = Counter(OPERATION if item is None else item.name for item in columns)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise BadColumns(
            why_zh=f"有重复的列：{'、'.join(repeated)}", why_en=f"columns are repeated: {', '.join(repeated)}"
        )
    missing = [
        item.name
        for item in items
        if item.name not in counts and (item.name in key_items or (item.required and OPERATION not in counts))
    ]
    if missing:
        raise BadColumns(
            why_zh=f"缺少必填的列：{'、'.join(missing)}", why_en=f"columns are missing: {', '.join(missing)}"
        )
    return columns


def change_of(
    row: int,
    operation: str,
    values: Mapping[str, Any],
    faults: Mapping[str, Reason],
    key_items: Sequence[str],
) -> Change:
    """The change of a row: a delete is of its key items, whatever else stands there. Raises RowUnreadable."""
    delete = _is_delete(row, operation)
    wanted = [name for name in values if not delete or name in key_items]
    return Change(
        {name: values[name] for name in wanted},
        delete,
        place=row,
        faults=tuple(faults[name] for name in wanted if name in faults),
    )


def letters(column: int) -> str:
    """What a spreadsheet calls the column, counted from 1: A … Z, AA, AB …"""
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def _check_width(row: int, cells: Sequence[str], columns: int) -> None:
    if len(cells) != columns:
        raise RowUnreadable(
            row=row,
            why_zh=f"有 {len(cells)} 列，而标题行有 {columns} 列",
            why_en=f"it has {len(cells)} columns where the header has {columns}",
        )


def _is_delete(row: int, operation: str) -> bool:
    delete = OPERATIONS.get(operation)
    if delete is None:
        raise RowUnreadable(
            row=row,
            why_zh="操作一列应为 upsert（更新）、delete（删除）或留空",
            why_en="its operation is neither upsert nor delete nor empty",
        )
    return delete


def _known_columns(items: Sequence[Item]) -> dict[str, Column]:
    """By header: names come before labels, and a label that several items have is none's."""
    labels = Counter(item.label for item in items)
    known: dict[str, Column] = {OPERATION: None, OPERATION_ZH: None}
    known |= {item.label: item for item in items if item.label and labels[item.label] == 1}
    return known | {item.name: item for item in items}


def _cells(text: str, row: int) -> list[str]:
    """The cells of a row with quotation marks, as RFC 4180 has them. Raises RowUnreadable."""
    if ROW.fullmatch(text):
        return [
            match[2] if match[1] is None else match[1].replace('""', '"') for match in CELL.finditer(text)
        ]
    raise RowUnreadable(
        row=row,
        why_zh="引号或换行位置有误：含引号、逗号或换行的单元格应整个置于引号内，其中的引号写两次",
        why_en="a quotation mark or line break is out of place: a cell with quotation marks, commas or "
        "line breaks stands in quotation marks as a whole, and those in it are written twice",
    )
