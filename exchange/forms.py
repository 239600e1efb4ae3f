"""The forms that a batch may be sent in, each by its media type, and reading one. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from exchange.batch import Change
from exchange.errors import BatchTooLarge, EncodingUnclear, UnknownForm
from exchange.intake import as_change, read_array, read_lines
from exchange.schema import Item
from exchange.sheets import read_sheet
from exchange.tables import read_csv
from infra.textfile import EncodingUndecided, read_text

ARRAY, LINES, CSV = "application/json", "application/x-ndjson", "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMS = {ARRAY: ARRAY, LINES: LINES, "application/jsonl": LINES, CSV: CSV, XLSX: XLSX}

BY_SUFFIX = {".csv": CSV, ".xlsx": XLSX, ".json": ARRAY, ".ndjson": LINES, ".jsonl": LINES}
PACKED_SUFFIXES = (".gz", ".zst")
ZIP, BRACKET, BRACE = b"PK\x03\x04", b"[", b"{"
BLANKS = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"


@dataclass(frozen=True)
class Told:
    """What is told of a file: its form, one of FORMS; its encoding, if it is text; which sheet of several."""

    form: str
    encoding: str | None = None
    sheet: str | None = None


def told_by(content_type: str, *, encoding: str | None = None, sheet: str | None = None) -> Told:
    """What a Content-Type tells, with an encoding that is more than its charset. Raises UnknownForm."""
    kind, *parameters = content_type.split(";")
    form = FORMS.get(kind.strip().lower())
    if form is None:
        raise UnknownForm(given=kind.strip()[:100], known=", ".join(FORMS))
    charset = next((p.partition("=")[2] for p in parameters if p.strip().lower().startswith("charset=")), "")
    return Told(form, encoding or charset.strip(' "') or None, sheet)


def form_of(name: str, head: bytes) -> str:
    """The form of a file by its name, without the suffix of a packing, and by how its content begins."""
    path = Path(name)
    suffix = Path(path.stem).suffix if path.suffix.lower() in PACKED_SUFFIXES else path.suffix
    told = BY_SUFFIX.get(suffix.lower())
    begins = head.lstrip(BLANKS)[:1]
    if head.startswith(ZIP) or told == XLSX:
        return XLSX
    if told in (CSV, LINES):
        return told
    if begins == BRACKET:
        return ARRAY
    return LINES if told == ARRAY or begins in (BRACE, b"") else CSV


def read_batch(
    file: BinaryIO,
    told: Told,
    items: Sequence[Item],
    key_items: Sequence[str],
    *,
    most: int,
    limit: int,
    correcting: bool = False,
) -> list[Change]:
    """The changes in a seekable file, at most `most`; `limit` bounds in bytes what a spreadsheet opens to.

    Those of one that is `correcting` quarantined records have the places of these.
    Raises BatchTooLarge, EncodingUnclear, Unreadable, BadColumns, RowUnreadable, SheetTooLarge,
    SheetUnreadable, and as infra.textfile.read_text.
    """
    changes: list[Change] = []
    try:
        for change in _read(file, told, items, key_items, limit, correcting):
            if len(changes) == most:
                raise BatchTooLarge(limit=most)
            changes.append(change)
    except EncodingUndecided as error:
        raise EncodingUnclear(offset=error.facts["offset"]) from error
    return changes


def _read(
    file: BinaryIO,
    told: Told,
    items: Sequence[Item],
    key_items: Sequence[str],
    limit: int,
    correcting: bool,
) -> Iterator[Change]:
    if told.form == XLSX:
        return read_sheet(file, items, key_items, sheet=told.sheet, limit=limit, correcting=correcting)
    if told.form == CSV:
        text = read_text(file, declared=told.encoding)
        return read_csv(text, items, key_items, correcting=correcting)
    pieces = read_text(file, declared=told.encoding or "utf-8")
    values = read_array(pieces) if told.form == ARRAY else read_lines(pieces)
    return (as_change(place, value, correcting=correcting) for place, value in values)
