"""Reads tables that are sent for publishing as CSV by RFC 4180. Pure.

The first row that is not empty names the columns (columns.py). An empty cell is an absent item: a table
cannot say an empty text. Rows count from 1 with the header, empty ones too, as a spreadsheet shows them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from exchange.batch import Change
from exchange.cells import read_text_cell
from exchange.columns import BLANKS, Column, Reserved, change_of, columns_of, is_delete, unguarded
from exchange.errors import BadColumns, RowUnreadable
from exchange.intake import lines_of
from exchange.schema import Item

ONE = r'(?:"([^"]*+(?:""[^"]*+)*+)"|([^",\r\n]*+))'
CELL, ROW = re.compile(f"(?:^|,){ONE}"), re.compile(f"{ONE}(?:,{ONE})*+")


def read_csv(
    pieces: Iterable[str], items: Sequence[Item], key_items: Sequence[str], *, correcting: bool = False
) -> Iterator[Change]:
    """The changes in the text of a CSV file, or the corrections. Raises BadColumns, RowUnreadable."""
    columns: list[Column] | None = None
    for row, (_, cells) in enumerate(csv_rows(pieces), start=1):
        if not any(cells):
            continue
        if columns is None:
            columns = columns_of(cells, items, key_items, correcting=correcting)
            continue
        _check_width(row, cells, len(columns))
        told = {place: cell for place, cell in enumerate(cells) if cell}
        if correcting:
            told = {place: unguarded(cell) for place, cell in told.items()}
        values = {
            item.name: read_text_cell(item, told[place])
            for place, item in enumerate(columns)
            if not isinstance(item, Reserved) and place in told
        }
        reserved = {
            column: told.get(place, "")
            for place, column in enumerate(columns)
            if isinstance(column, Reserved)
        }
        yield change_of(row, reserved, values, {}, key_items)
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
        if Reserved.operation in header:
            is_delete(row, cells[header.index(Reserved.operation)])


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


def _check_width(row: int, cells: Sequence[str], columns: int) -> None:
    if len(cells) != columns:
        raise RowUnreadable(
            row=row,
            why_zh=f"有 {len(cells)} 列，而标题行有 {columns} 列",
            why_en=f"it has {len(cells)} columns where the header has {columns}",
        )


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
