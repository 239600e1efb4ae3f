"""Files of records: what is in them, and that spreadsheets neither run nor shorten it."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet._writer import ALL_TEMP_FILES
from pyarrow import parquet

from exchange.files import (
    XLSX_MOST_CHARACTERS,
    Column,
    Unfit,
    columns_of,
    write_csv,
    write_ndjson,
    write_parquet,
    write_xlsx,
)
from exchange.masking import Mask
from exchange.schema import TYPES, Item

ALL = [Column(name, name) for name in TYPES]
ROW: dict[str, Any] = {
    "text": '𠮷野,\n"家"',
    "integer": 2**53 - 1,
    "number": 0.1,
    "boolean": True,
    "date": "2026-02-28",
    "datetime": "2026-02-28T08:00:00.123456+08:00",
    "resident_id": "130602199003070078",
    "uscc": "91350100M000100Y43",
    "division_code": "130602",
    "mobile": "13800138000",
    "money": "-0.5",
}


def read_csv(content: bytes) -> list[list[str]]:
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_csv_says_what_json_says() -> None:
    names, row, empty = read_csv(b"".join(write_csv(ALL, [ROW, {}])))
    assert names == list(TYPES)
    assert row == [value if isinstance(value, str) else json.dumps(value) for value in ROW.values()]
    assert set(empty) == {""}


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),
        ("-12.50", "-12.50"),
        ("+8613800138000", "+8613800138000"),
        ("1=1", "1=1"),
        ("'=1", "'=1"),
    ],
)
def test_what_would_run_in_a_spreadsheet_is_text(text: str, cell: str, tmp_path: Path) -> None:
    columns = [Column("a", "text")]
    assert read_csv(b"".join(write_csv(columns, [{"a": text}])))[1] == [cell]
    write_xlsx(columns, [{"a": text}], tmp_path / "a.xlsx")
    found = load_workbook(tmp_path / "a.xlsx").active["A2"]
    assert (found.value, found.data_type) == (text.replace("\r", "_x000D_"), "s")


def test_a_name_of_an_item_is_no_formula_either() -> None:
    assert read_csv(b"".join(write_csv([Column("=a", "text")], [])))[0] == ["'=a"]


def test_ndjson_has_a_record_a_line() -> None:
    rows = [{"b": 1, "a": "甲" * 1_000}] * 50
    pieces = list(write_ndjson(rows))
    assert [json.loads(line) for line in b"".join(pieces).splitlines()] == rows
    assert [piece.count(b"\n") for piece in pieces] == [22, 22, 6]
    assert list(write_ndjson([])) == []


def test_in_xlsx_long_numbers_stay_whole(tmp_path: Path) -> None:
    row = ROW | {"text": "\x01_x0041_", "number": 1e300}
    write_xlsx(ALL, [row, {}], tmp_path / "a.xlsx")
    sheet = load_workbook(tmp_path / "a.xlsx").active
    names, values = ([cell.value for cell in line] for line in list(sheet.rows)[:2])
    told = dict(zip(names, values, strict=True))
    assert told["resident_id"] == "130602199003070078"
    assert told["integer"] == str(2**53 - 1)
    assert told["boolean"] is True
    assert told["number"] == "1e+300"
    assert told["text"] == "_x0001__x005F_x0041_"
    write_xlsx([Column("n", "integer")], [{"n": 12}], tmp_path / "b.xlsx")
    assert load_workbook(tmp_path / "b.xlsx").active["A2"].value == 12
    with pytest.raises(Unfit, match="text"):
        write_xlsx(ALL, [{"text": "x" * (XLSX_MOST_CHARACTERS + 1)}], tmp_path / "c.xlsx")
    assert ALL_TEMP_FILES == []
    write_xlsx([Column("x", "text")], [{"x": [1]}], tmp_path / "d.xlsx")


def test_parquet_has_the_items_types(tmp_path: Path) -> None:
    write_parquet(ALL, [ROW, {}, ROW | {"integer": 7.0, "text": [1], "number": 3}], tmp_path / "a.parquet")
    table = parquet.read_table(tmp_path / "a.parquet")
    first, empty, other = table.to_pylist()
    assert first | {"datetime": None} == ROW | {
        "date": date(2026, 2, 28),
        "money": Decimal("-0.50"),
        "datetime": None,
    }
    assert first["datetime"] == datetime(2026, 2, 28, 0, 0, 0, 123456, UTC)
    assert set(empty.values()) == {None}
    assert (other["integer"], other["text"], other["number"]) == (7, "[1]", 3.0)


@pytest.mark.parametrize(
    ("item_type", "value"),
    [
        ("integer", True),
        ("integer", 1.5),
        ("integer", "x"),
        ("number", True),
        ("number", "secret-value"),
        ("boolean", "secret-value"),
        ("date", "0000-01-01"),
        ("date", 5),
        ("datetime", "2016-12-31T23:59:60Z"),
        ("money", "secret-value"),
        ("money", "9" * 30),
    ],
)
def test_what_a_typed_column_cannot_hold_is_refused_by_its_items_name(
    item_type: str, value: Any, tmp_path: Path
) -> None:
    with pytest.raises(Unfit) as refused:
        write_parquet([Column("a", item_type)], [{"a": value}], tmp_path / "a.parquet")
    assert refused.value.item == str(refused.value) == "a"


def test_a_nothing_of_an_older_type_is_nothing(tmp_path: Path) -> None:
    columns = [Column(name, name) for name in ("date", "datetime", "money")]
    write_parquet(columns, [{"date": "", "datetime": "", "money": ""}], tmp_path / "a.parquet")
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == [
        dict.fromkeys(("date", "datetime", "money"))
    ]


def test_what_a_mask_makes_a_text_is_a_text_column() -> None:
    items = [
        Item("n", "integer"),
        Item("m", "number"),
        Item("d", "date"),
        Item("x", "text"),
        Item("o", "money"),
    ]
    masks = {
        "n": Mask("generalise", step=10),
        "m": Mask("digest"),
        "d": Mask("generalise", to="year"),
        "x": Mask("drop"),
    }
    found = [(one.name, one.type) for one in columns_of(items, masks)]
    assert found == [("n", "integer"), ("m", "text"), ("d", "text"), ("o", "money")]
