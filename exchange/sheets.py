"""Reads spreadsheets (XLSX) that are sent for publishing: one sheet, as the table that it is. Pure.

openpyxl's own parser of sheets is used without its worksheets, which pad rows to what a file says of itself,
pass over rows that are out of order, and do not tell of merged cells. Hidden rows and columns are read.
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.datetime import from_excel
from openpyxl.worksheet._reader import WorkSheetParser

from exchange.batch import Change
from exchange.cells import CellError, Formula, read_sheet_cell
from exchange.columns import Column, Reserved, change_of, columns_of, letters
from exchange.errors import RowUnreadable, SheetUnreadable
from exchange.schema import Item, Reason
from exchange.sheet_parts import BROKEN, check_parts, no_spreadsheet

MAX_ROWS = 1_048_576

Row = tuple[int, dict[int, Any]]
"""Its number, and by column, both from 1, what its cells hold that hold something."""


def read_sheet(
    file: BinaryIO,
    items: Sequence[Item],
    key_items: Sequence[str],
    *,
    sheet: str | None,
    limit: int,
    correcting: bool = False,
) -> Iterator[Change]:
    """The changes in a sheet of a seekable XLSX file, or the corrections.

    The sheet is the one of that title, or the first that is not hidden.

    `limit` bounds what the file may open to, in bytes. Raises SheetTooLarge, SheetUnreadable, BadColumns,
    RowUnreadable.
    """
    check_parts(file, limit=limit)
    columns: list[Column] = []
    for row, cells in _rows(file, sheet):
        if not columns:
            header = [_header(cells.get(place)) for place in range(1, max(cells) + 1)]
            columns = columns_of(header, items, key_items, correcting=correcting)
            continue
        if beyond := [place for place in cells if place > len(columns)]:
            raise RowUnreadable(
                row=row,
                why_zh=f"单元格 {letters(beyond[0])}{row} 有内容，但该列没有标题",
                why_en=f"cell {letters(beyond[0])}{row} holds something where no column has a header",
            )
        yield _change(row, cells, columns, key_items)
    if not columns:
        raise SheetUnreadable(why_zh="工作表是空的", why_en="the sheet is empty")


def _rows(file: BinaryIO, title: str | None) -> Iterator[Row]:
    """The rows of the sheet that hold something. Raises SheetUnreadable, SheetTooLarge."""
    file.seek(0)
    try:
        reader = _Reader(file, read_only=True, keep_links=False)
        with reader.archive:
            reader.read()
            book = reader.wb
            chosen = _choose(book, title)
            parser = _Parser(chosen._get_source(), chosen._shared_strings)
            last = 0
            for number, cells in parser.parse():
                if not last < number <= MAX_ROWS:
                    raise SheetUnreadable(
                        why_zh=f"第 {last} 行之后的行号有误",
                        why_en=f"what follows row {last} has no number in order",
                    )
                last = number
                if held := _held(book, number, cells):
                    yield number, held
            if parser.merged_cells is not None and (merged := parser.merged_cells.mergeCell):
                raise SheetUnreadable(
                    why_zh=f"有合并的单元格（{merged[0].ref}），无法确定各行的值；请取消合并并逐行填写",
                    why_en=f"cells are merged ({merged[0].ref}), so that rows have no value of their own; "
                    "unmerge them and fill in every row",
                )
    except BROKEN as error:
        raise no_spreadsheet() from error


class _Reader(ExcelReader):  # type: ignore[misc] # openpyxl has no types
    """Without what openpyxl makes of parts that are not read here."""

    def read_chartsheet(self, _sheet: Any, _relation: Any) -> None:
        pass

    def read_custom(self) -> None:
        pass

    def read_properties(self) -> None:
        pass

    def read_theme(self) -> None:
        pass


class _Parser(WorkSheetParser):  # type: ignore[misc] # openpyxl has no types
    """Without what openpyxl makes of parts that are not read here, warning of them.

    It knows no formats of dates either: it would warn of serial numbers that are none, with their values.
    """

    def parse_extensions(self, _element: Any) -> None:
        pass

    def parse_formatting(self, _element: Any) -> None:
        pass


def _choose(book: Any, title: str | None) -> Any:
    sheets = book.worksheets
    found = next(
        (one for one in sheets if (one.title == title if title else one.sheet_state == "visible")), None
    )
    if found is None:
        titles = "、".join(one.title for one in sheets[:20]) or "-"
        raise SheetUnreadable(
            why_zh=f"没有这个工作表；现有：{titles}", why_en=f"there is no such sheet; there are: {titles}"
        )
    return found


def _held(book: Any, number: int, cells: list[dict[str, Any]]) -> dict[int, Any]:
    held: dict[int, Any] = {}
    for cell in cells:
        value = _value(book, cell)
        if value is None or value == "":
            continue
        if cell["column"] in held or cell["row"] != number:
            raise SheetUnreadable(
                why_zh=f"第 {number} 行的单元格位置有误", why_en=f"cells of row {number} are out of place"
            )
        held[cell["column"]] = value
    return held


def _value(book: Any, cell: dict[str, Any]) -> Any:
    value, kind = cell["value"], cell["data_type"]
    if kind == "f":
        return Formula(str(getattr(value, "text", value)))
    if kind == "e" and value is not None:
        return CellError(str(value))
    is_number = kind == "n" and isinstance(value, int | float)
    if is_number and cell["style_id"] in book._date_formats:
        try:
            return from_excel(value, book.epoch, timedelta=cell["style_id"] in book._timedelta_formats)
        except (OverflowError, ValueError):
            return CellError("#VALUE!")
    return value


def _header(value: Any) -> str:
    """A header that is no text is no item's, and no name of one is spelt so."""
    return value if isinstance(value, str) else ""


def _change(row: int, cells: dict[int, Any], columns: Sequence[Column], key_items: Sequence[str]) -> Change:
    values: dict[str, Any] = {}
    faults: dict[str, Reason] = {}
    reserved: dict[Reserved, str] = {}
    for place, item in enumerate(columns, start=1):
        if isinstance(item, Reserved):
            reserved[item] = _reserved(row, item, cells.get(place, ""))
            continue
        if place not in cells:
            continue
        value, fault = read_sheet_cell(item, cells[place], cell=f"{letters(place)}{row}")
        values[item.name] = value
        if fault is not None:
            faults[item.name] = fault
    return change_of(row, reserved, values, faults, key_items)


def _reserved(row: int, column: Reserved, value: Any) -> str:
    """The text of a cell in a column that is no item's. Raises RowUnreadable."""
    if isinstance(value, str):
        return value
    if column is Reserved.place and isinstance(value, int | float) and value == int(value):
        return str(int(value))
    raise RowUnreadable(
        row=row,
        why_zh=f"“{column}”一列应为文本；请将该列设为文本格式后重新填写",
        why_en=f"column {column} holds texts; format it as text and type it anew",
    )
