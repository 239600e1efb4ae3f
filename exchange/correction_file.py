"""The file in which bad records are corrected: each with its place, its reasons and what was sent. Pure.

As CSV a cell that a spreadsheet would take for a formula begins with an apostrophe, and so does one that
begins with one; reading corrections takes it away again. As XLSX every cell is text.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from exchange.columns import Reserved
from exchange.schema import Item

GUARDED = ("=", "+", "-", "@", "\t", "\r", "'")
BETWEEN = {"zh": "；", "en": "; "}
TRUTH = {True: "true", False: "false"}


class BadRecord(Protocol):
    """A quarantined record as its row has it."""

    place: int
    is_delete: bool
    record_id: str | None
    reasons: list[Any]
    raw: str


def as_csv(records: Iterable[BadRecord], items: Sequence[Item], *, language: str) -> bytes:
    """UTF-8 with a byte order mark, so that spreadsheets read the Chinese; RFC 4180 lines."""
    text = io.StringIO(newline="")
    rows = _rows(records, items, language)
    csv.writer(text).writerows([_guarded(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig", "replace")


def as_xlsx(records: Iterable[BadRecord], items: Sequence[Item], *, language: str) -> bytes:
    """A sheet of texts, none of them a formula."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("corrections")
    sheet.freeze_panes = "A2"
    for row in _rows(records, items, language):
        sheet.append([_text_cell(sheet, cell) for cell in row])
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def _rows(records: Iterable[BadRecord], items: Sequence[Item], language: str) -> Iterator[list[str]]:
    yield [*Reserved, *(item.name for item in items)]
    for one in records:
        value = read_raw(one.raw)
        reasons = BETWEEN[language].join(reason[language] for reason in one.reasons)
        own = {
            Reserved.operation: "delete" if one.is_delete else "",
            Reserved.id: one.record_id or "",
            Reserved.place: str(one.place),
            Reserved.reasons: reasons,
        }
        yield [*(own[column] for column in Reserved), *(shown(value.get(item.name)) for item in items)]


def read_raw(raw: str) -> dict[str, Any]:
    """What was sent, by item; nothing of what is no record."""
    sent = json.loads(raw)
    return sent if isinstance(sent, dict) else {}


def shown(value: Any) -> str:
    """A value as a cell says it; nothing for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return TRUTH[value]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(GUARDED) else cell


def _text_cell(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("�", text) or None)
    if cell.value is not None:
        cell.data_type, cell.number_format = "s", "@"
    return cell
