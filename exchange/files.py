"""Files of records: CSV, NDJSON, XLSX and Parquet of what a subscriber sees.

A text that a spreadsheet would run as a formula has an apostrophe before it in CSV, as nothing else stops it
there; in XLSX texts are texts, long numbers too.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from pyarrow import parquet

from exchange.digest import canonical
from exchange.masking import Mask
from exchange.schema import Item

Format = Literal["csv", "ndjson", "xlsx", "parquet"]
FORMATS: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}
XLSX_MOST_ROWS = 1_048_575
XLSX_MOST_CHARACTERS = 32_767
XLSX_EXACT_BELOW = 10**15
PIECE_BYTES = 65_536
ROWS_IN_A_GROUP = 10_000
FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
UNSHEETLY = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
"""What a sheet's XML cannot hold, is written as _xHHHH_, as is what would be read as such."""
NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
ARROW: dict[str, pyarrow.DataType] = {
    "integer": pyarrow.int64(),
    "number": pyarrow.float64(),
    "boolean": pyarrow.bool_(),
    "date": pyarrow.date32(),
    "datetime": pyarrow.timestamp("us", tz="UTC"),
    "money": pyarrow.decimal128(20, 2),
}
"""What is not among them is a text."""


class Unfit(ValueError):
    """A value of `item` that a file of this form cannot hold as it is."""

    def __init__(self, item: str) -> None:
        super().__init__(item)
        self.item = item


@dataclass(frozen=True)
class Column:
    """An item as its column: `type` is the catalogue's, or 'text' for what a mask makes a text."""

    name: str
    type: str


def columns_of(items: Iterable[Item], masks: Mapping[str, Mask]) -> list[Column]:
    """The columns of those items under their masks, without what is left out."""
    found = []
    for item in items:
        mask = masks.get(item.name)
        if mask is None or (mask.kind == "generalise" and item.type in ("integer", "number")):
            found.append(Column(item.name, item.type))
        elif mask.kind != "drop":
            found.append(Column(item.name, "text"))
    return found


def write_csv(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The file in pieces: UTF-8 with its mark, by which Excel knows it, and one line of names."""
    yield "\ufeff".encode()
    yield _line([_csv_cell(one.name) for one in columns])
    yield from _gathered(_line([_csv_cell(row.get(one.name)) for one in columns]) for row in rows)


def write_ndjson(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The file in pieces: the canonical JSON of one record on each line."""
    yield from _gathered(canonical(row) + b"\n" for row in rows)


def write_xlsx(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write the file, of at most XLSX_MOST_ROWS rows. Raises Unfit."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("数据")
    try:
        sheet.append([_xlsx_cell(sheet, one.name, one.name) for one in columns])
        for row in rows:
            sheet.append([_xlsx_cell(sheet, one.name, row.get(one.name)) for one in columns])
    except BaseException:
        sheet.close()
        sheet._writer.cleanup()  # else its part of the records stays on the disk until the process ends
        raise
    book.save(path)


def write_parquet(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write the file; columns have the types of their items. Raises Unfit."""
    schema = pyarrow.schema([(one.name, ARROW.get(one.type, pyarrow.string())) for one in columns])
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        remaining = iter(rows)
        while some := list(islice(remaining, ROWS_IN_A_GROUP)):
            arrays = [_arrow_array(one, [row.get(one.name) for row in some]) for one in columns]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def _gathered(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The same in pieces of some size, so that little is on its way when the file has to break off."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return canonical(value).decode()
    return f"'{value}" if FORMULA.match(value) and not NUMBER.fullmatch(value) else value


def _xlsx_cell(sheet: Any, name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if abs(value) < XLSX_EXACT_BELOW:
            return value
        value = canonical(value).decode()
    text = UNSHEETLY.sub(_escaped, value if isinstance(value, str) else canonical(value).decode())
    if len(text) > XLSX_MOST_CHARACTERS:
        raise Unfit(name)
    cell = WriteOnlyCell(sheet, text)
    cell.data_type, cell.number_format = "s", "@"  # else "=1" is a formula
    return cell


def _escaped(found: re.Match[str]) -> str:
    return f"_x{ord(found.group()):04X}_"


def _arrow_array(column: Column, values: Sequence[Any]) -> pyarrow.Array:
    try:
        return pyarrow.array(
            [None if value is None else _arrow_value(column.type, value) for value in values],
            ARROW.get(column.type, pyarrow.string()),
        )
    except (ValueError, TypeError, ArithmeticError, pyarrow.ArrowException) as error:
        raise Unfit(column.name) from error


def _arrow_value(item_type: str, value: Any) -> Any:
    match item_type:
        case "integer":
            if isinstance(value, bool) or value != int(value):
                raise ValueError
            return int(value)
        case "number":
            if isinstance(value, bool):
                raise ValueError
            return float(value)
        case "boolean":
            return value
        case "date":
            return date.fromisoformat(value) if value else None
        case "datetime":
            return datetime.fromisoformat(value).astimezone(UTC) if value else None
        case "money":
            return Decimal(value) if value else None
        case _:
            return value if isinstance(value, str) else canonical(value).decode()
