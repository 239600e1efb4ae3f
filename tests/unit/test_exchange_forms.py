"""The forms of a batch by their media types, the same records in each."""

import io
import json
from typing import Any

import pytest
from openpyxl import Workbook

from exchange.errors import BatchTooLarge, EncodingUnclear, UnknownForm
from exchange.forms import ARRAY, CSV, LINES, XLSX, Told, form_of, read_batch, told_by
from tests.unit.tables import ITEMS, KEYS

RECORDS = [{"id": "130602199003070078", "name": "王小明"}, {"id": "000123", "name": "NA"}]


def sent(form: str, encoding: str) -> bytes:
    if form == XLSX:
        made = Workbook()
        for row in (["id", "name"], *([one["id"], one["name"]] for one in RECORDS)):
            made.active.append(row)
        file = io.BytesIO()
        made.save(file)
        return file.getvalue()
    lines = [json.dumps({"value": one}, ensure_ascii=False) for one in RECORDS]
    text = {
        ARRAY: f"[{','.join(lines)}]",
        LINES: "\n".join(lines),
        CSV: "身份号码,姓名\n" + "\n".join(",".join(one.values()) for one in RECORDS),
    }[form]
    return text.encode(encoding)


@pytest.mark.parametrize("form", [ARRAY, LINES, CSV, XLSX])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_every_form_says_the_same(form: str, encoding: str) -> None:
    told = told_by(f'{form.upper()}; charset="{encoding}"')
    assert values(sent(form, encoding), told) == RECORDS
    with pytest.raises(BatchTooLarge) as refusal:
        values(sent(form, encoding), told, most=1)
    assert refusal.value.facts == {"limit": 1}


def values(content: bytes, told: Told, most: int = 10) -> list[Any]:
    changes = read_batch(io.BytesIO(content), told, ITEMS, KEYS, most=most, limit=10_000_000)
    return [change.value for change in changes]


def test_the_encoding_of_csv_is_told_from_its_content_unless_it_is_declared() -> None:
    assert values(sent(CSV, "gb18030"), told_by(CSV)) == RECORDS
    assert told_by(f"{CSV}; charset=utf-8", encoding="gb18030", sheet="x") == Told(CSV, "gb18030", "x")
    assert told_by(f"{LINES}; x=1") == Told(LINES)
    unclear = "id,name\n1,模\n".encode("gb18030")
    with pytest.raises(EncodingUnclear) as refusal:
        values(unclear, told_by(CSV))
    assert refusal.value.facts == {"offset": 10}
    assert "模" not in refusal.value.message("zh")
    assert values(unclear, told_by(CSV, encoding="gb18030")) == [{"id": "1", "name": "模"}]


def test_another_form_is_refused() -> None:
    with pytest.raises(UnknownForm):
        told_by("text/html")
    with pytest.raises(UnknownForm):
        told_by("")


@pytest.mark.parametrize(
    ("name", "head", "form"),
    [
        ("a.csv", b"[", CSV),
        ("a.CSV.GZ", b"id", CSV),
        ("a.xlsx", b"id", XLSX),
        ("a.csv", b"PK\x03\x04", XLSX),
        ("a.json", b"\xef\xbb\xbf [", ARRAY),
        ("a.json", b"{", LINES),
        ("a.ndjson", b"[1]", LINES),
        ("-", b'\n{"value"', LINES),
        ("-", b"[", ARRAY),
        ("-", b"", LINES),
        ("a.txt", b"id,name", CSV),
        ("a.gz", b"id,name", CSV),
    ],
)
def test_a_file_tells_its_form_by_name_and_content(name: str, head: bytes, form: str) -> None:
    assert form_of(name, head) == form


def test_a_header_that_begins_as_a_spreadsheet_does_is_a_header() -> None:
    for name in ("a.csv", "-"):
        assert form_of(name, b"PKID,name\n") == CSV
        assert form_of(name, sent(XLSX, "")[:4096]) == XLSX
