"""The file in which bad records are corrected: what was sent comes back, and nothing in it is a formula."""

import io
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from exchange.batch import Change
from exchange.correction_file import as_csv, as_xlsx
from exchange.errors import BadColumns, RowUnreadable, Unreadable
from exchange.forms import ARRAY, CSV, XLSX, Told, read_batch
from exchange.schema import Item

ITEMS = (Item("id", "text"), Item("name", "text"), Item("count", "integer"), Item("is_open", "boolean"))
KEYS = ("id",)
texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8) | st.sampled_from(
    ["=1+1", "'=x", "'", "-5", "@a", '"q",', "a\nb", "000123"]
)
values = st.fixed_dictionaries(
    {"id": texts}, optional={"name": texts, "count": st.integers(-99, 99), "is_open": st.booleans()}
)


@dataclass
class Bad:
    place: int
    raw: str
    is_delete: bool = False
    record_id: str | None = None
    reasons: list[Any] = field(default_factory=lambda: [{"zh": "缺少", "en": "missing"}] * 2)


def read(content: bytes, form: str, *, correcting: bool = True) -> list[Change]:
    told = Told(form, None if form == XLSX else "utf-8")
    file = io.BytesIO(content)
    return read_batch(file, told, ITEMS, KEYS, most=100, limit=10_000_000, correcting=correcting)


@given(st.lists(st.tuples(values, st.none() | texts), min_size=1, max_size=4))
def test_what_was_sent_comes_back(sent: list[tuple[dict[str, Any], str | None]]) -> None:
    records = [Bad(7 * n, json.dumps(value), record_id=id) for n, (value, id) in enumerate(sent, start=1)]
    wanted = [Change(value, place=7 * n, id=id) for n, (value, id) in enumerate(sent, start=1)]
    assert read(as_csv(records, ITEMS, language="zh"), CSV) == wanted
    assert read(as_xlsx(records, ITEMS, language="en"), XLSX) == wanted


def test_a_spreadsheet_sees_texts_alone() -> None:
    records = [Bad(2, json.dumps({"id": "=1+1", "name": "\b", "count": -5, "is_open": True})), Bad(3, "[1]")]
    sheet = load_workbook(io.BytesIO(as_xlsx(records, ITEMS, language="en"))).active
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert rows[0] == ["$op", "$id", "$place", "$reasons", "id", "name", "count", "is_open"]
    assert rows[1] == [None, None, "2", "missing; missing", "=1+1", "�", "-5", "true"]
    assert all(cell.data_type in ("s", "n") for row in sheet.iter_rows() for cell in row)
    text = as_csv(records, ITEMS, language="zh").decode("utf-8-sig").splitlines()
    assert text[1] == ",,2,缺少；缺少,'=1+1,\b,'-5,true"
    assert text[2] == ",,3,缺少；缺少,,,,"


def test_deletes_and_values_of_the_wrong_kind_are_shown_as_they_were() -> None:
    records = [Bad(2, json.dumps({"id": ["x"], "count": None}), is_delete=True)]
    assert read(as_csv(records, ITEMS, language="en"), CSV) == [Change({"id": '["x"]'}, True, place=2)]


@pytest.mark.parametrize("place", ["", "0", "x", "²", "1234567890"])
def test_a_place_is_that_of_a_bad_record(place: str) -> None:
    with pytest.raises(RowUnreadable):
        read(f"$place,id\n{place},a\n".encode(), CSV)


def test_corrections_have_places_and_publishing_has_none() -> None:
    with pytest.raises(BadColumns, match=r"\$place"):
        read(b"id\na\n", CSV)
    with pytest.raises(BadColumns):
        read(b"$place,id\n2,a\n", CSV, correcting=False)
    assert read("位置,原因,记录标识,id\n2,x,n1,a\n".encode(), CSV) == [Change({"id": "a"}, place=2, id="n1")]
    assert read(b'[{"place": 3, "value": {"id": "a"}, "id": "n"}]', ARRAY) == [
        Change({"id": "a"}, place=3, id="n")
    ]
    for wrong in (b'[{"value": 1}]', b'[{"place": 0, "value": 1}]', b'[{"place": "2", "value": 1}]'):
        with pytest.raises(Unreadable):
            read(wrong, ARRAY)
    with pytest.raises(Unreadable):
        read(b'[{"value": 1, "id": 5}]', ARRAY, correcting=False)


def test_a_sheet_says_places_as_numbers_too_and_ids_as_texts_alone() -> None:
    book = load_workbook(io.BytesIO(as_xlsx([Bad(2, '{"id": "a"}')], ITEMS, language="en")))
    book.active["C2"] = 2
    file = io.BytesIO()
    book.save(file)
    assert read(file.getvalue(), XLSX)[0].place == 2
    book.active["B2"] = 17
    file = io.BytesIO()
    book.save(file)
    with pytest.raises(RowUnreadable, match=r"\$id"):
        read(file.getvalue(), XLSX)
