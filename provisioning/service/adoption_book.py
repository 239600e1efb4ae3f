"""The workbook of an adoption as bytes: written for spreadsheets, read without trust in what it says."""

import io
from collections.abc import Sequence
from typing import Any
from zipfile import BadZipFile, ZipFile

from openpyxl import Workbook, load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.worksheet import Worksheet

from infra.textfile import printable
from provisioning.adoption import Pair
from provisioning.adoption_sheet import (
    GRANT_COLUMNS,
    GRANTS,
    LONGEST,
    SERVER_COLUMNS,
    SERVERS,
    Cell,
    Grid,
    headings,
)
from provisioning.errors import AdoptionFileUnreadable

INFLATED_AT_MOST = 256 * 1024 * 1024
ROWS_AT_MOST = 100_000
COLUMNS_AT_MOST = 64
WIDTH = 18


def write_book(servers: Sequence[Sequence[Cell]], grants: Sequence[Sequence[Cell]]) -> bytes:
    """A workbook of the two sheets below their headings; no text is a formula, whatever it begins with."""
    book = Workbook()
    first = book.active
    _fill(first, SERVERS, headings(SERVER_COLUMNS), servers)
    _fill(book.create_sheet(), GRANTS, headings(GRANT_COLUMNS), grants)
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def read_book(raw: bytes) -> tuple[Grid, Grid]:
    """The cells of the two sheets, headings included. Raises AdoptionFileUnreadable."""
    try:
        with ZipFile(io.BytesIO(raw)) as packed:
            if sum(one.file_size for one in packed.infolist()) > INFLATED_AT_MOST:
                raise _unreadable("展开后过大", "it is too large when unpacked")
        book = load_workbook(io.BytesIO(raw), read_only=True, data_only=False)
        return _grid(book, SERVERS), _grid(book, GRANTS)
    except (BadZipFile, InvalidFileException, KeyError, ValueError, TypeError, SyntaxError, OSError) as error:
        why = ("不是有效的 XLSX 工作簿", "it is no workbook in XLSX")
        raise _unreadable(*why) from error


def _fill(sheet: Worksheet, name: Pair, first: list[str], rows: Sequence[Sequence[Cell]]) -> None:
    sheet.title = " ".join(name)
    sheet.freeze_panes = "A2"
    sheet.append(first)
    for row in rows:
        sheet.append([_safe(cell) for cell in row])
    for row in sheet.iter_rows():
        for cell in row:
            if cell.data_type == "f":
                cell.data_type, cell.quotePrefix = "s", True
    for column in range(1, len(first) + 1):
        sheet.column_dimensions[sheet.cell(1, column).column_letter].width = WIDTH


def _safe(cell: Cell) -> Cell:
    return printable(cell, length=LONGEST) if isinstance(cell, str) else cell


def _grid(book: Any, name: Pair) -> Grid:
    title = " ".join(name)
    if title not in book.sheetnames:
        raise _unreadable(f"没有“{title}”表", f"it has no sheet “{title}”")
    sheet = book[title]
    sheet.reset_dimensions()  # what the file says of them need not be so
    rows: list[Sequence[Cell]] = []
    for row in sheet.iter_rows(values_only=True, max_col=COLUMNS_AT_MOST):
        if len(rows) > ROWS_AT_MOST:
            raise _unreadable(f"超过 {ROWS_AT_MOST} 行", f"it has more than {ROWS_AT_MOST} rows")
        rows.append(row)
    return rows


def _unreadable(zh: str, en: str) -> AdoptionFileUnreadable:
    return AdoptionFileUnreadable(why_zh=zh, why_en=en)
