"""CSV that is sent for publishing: what was written comes back, and nothing is guessed."""

import csv
import io
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.batch import Change, encode, sort_batch
from exchange.columns import letters
from exchange.errors import BadColumns, RowUnreadable
from exchange.schema import RecordRules
from exchange.tables import check_rows, csv_rows, read_csv
from tests.unit.tables import ITEMS, KEYS, records


def read(text: str) -> list[Change]:
    return list(read_csv([text], ITEMS, KEYS))


def written(rows: list[dict[str, Any]], **how: Any) -> str:
    file = io.StringIO()
    out = csv.DictWriter(file, [item.name for item in ITEMS], **how)
    out.writeheader()
    out.writerows(rows)
    return file.getvalue()


@given(
    st.lists(records, min_size=1, max_size=5),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.lists(st.integers(0, 300), max_size=4),
)
def test_what_csv_writes_of_valid_records_comes_back(
    rows: list[dict[str, Any]], quoting: int, places: list[int]
) -> None:
    text = written(rows, quoting=quoting)
    at = sorted(place % (len(text) + 1) for place in places)
    pieces = [text[first:last] for first, last in zip([0, *at], [*at, len(text)], strict=True)]
    changes = list(read_csv(pieces, ITEMS, KEYS))
    assert [change.value for change in changes] == rows
    assert [change.place for change in changes] == list(range(2, len(rows) + 2))
    rules = RecordRules(ITEMS, KEYS)
    batch = sort_batch(changes, encode(changes), rules=rules, partitions=1, full=False)
    assert batch.bad == ()


@given(st.text(alphabet='a,"\r\n $op姓名', max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, f"id,name\n{text}"):
        with suppress(BadColumns, RowUnreadable):
            assert all(change.value for change in read(whole))


@given(st.text(alphabet='a,"\r\n', max_size=12))
def test_rows_that_csv_reads_strictly_are_read_alike(text: str) -> None:
    try:
        cells = [row for _, row in csv_rows([text])]
    except RowUnreadable:
        return
    known = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert [row for row in cells if any(row)] == [row for row in known if any(row)]


def test_digits_and_words_of_texts_stay_as_they_are() -> None:
    text = "身份号码,name,note\r\n130602199003070078,NA,000123\r\n130602199003070078,null,TRUE\r\n"
    assert [change.value for change in read(text)] == [
        {"id": "130602199003070078", "name": "NA", "note": "000123"},
        {"id": "130602199003070078", "name": "null", "note": "TRUE"},
    ]


def test_an_empty_cell_is_an_absent_item_and_an_empty_row_is_none() -> None:
    text = 'id,name,count\n\n"1","",\n,,\n2,,0'
    assert [(change.place, change.value) for change in read(text)] == [
        (3, {"id": "1"}),
        (5, {"id": "2", "count": 0}),
    ]


def test_what_is_not_of_its_type_goes_to_quarantine_with_row_and_item() -> None:
    header = "id,name,count,ratio,is_open,born,paid"
    cells = ["1", "n", "1,000", "1.", "1", "2026/3/2", "12.345"]
    text = f"{header}\n1,n,,,,,\n" + ",".join(f'"{cell}"' for cell in cells)
    changes = read(text)
    rules = RecordRules(ITEMS, KEYS)
    batch = sort_batch(changes, encode(changes), rules=rules, partitions=1, full=False)
    [bad] = batch.bad
    assert bad.place == 3
    assert [reason.item for reason in bad.reasons] == ["count", "ratio", "is_open", "born", "paid"]
    told = " ".join(reason.zh + reason.en for reason in bad.reasons)
    assert not any(cell in told for cell in cells[2:] if len(cell) > 2)


def test_a_column_says_what_is_deleted() -> None:
    text = "$op,id,name,note\nupsert,1,a,x\n删除,2,b,x\n,3,c,\ndelete,4,,\n更新,5,e,"
    assert [(change.delete, change.value) for change in read(text)] == [
        (False, {"id": "1", "name": "a", "note": "x"}),
        (True, {"id": "2"}),
        (False, {"id": "3", "name": "c"}),
        (True, {"id": "4"}),
        (False, {"id": "5", "name": "e"}),
    ]
    assert [change.delete for change in read("id,操作\n1,delete\n")] == [True]
    with pytest.raises(RowUnreadable) as refusal:
        read("$op,id\n,1\nmerge,2\n")
    assert refusal.value.facts["row"] == 3


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("id,name,张三,,note", "3 (C), 4 (D)"),
        ("id,name,note,note", "repeated: note"),
        ("id,name,身份号码", "repeated: id"),
        ("id,name,$op,操作", "repeated: $op"),
        ("id,note", "missing: name"),
        ("note,$op", "missing: id"),
        ("id;name", "column 1 (A)"),
        ("id,name,同", "column 3 (C)"),
        ("\n,,", "nothing at all"),
    ],
)
def test_columns_that_are_not_the_items_are_told(header: str, told: str) -> None:
    with pytest.raises(BadColumns) as refusal:
        read(f"{header}\n")
    assert told in refusal.value.message("en")
    assert "张三" not in refusal.value.message("zh")


@pytest.mark.parametrize(
    ("rows", "row"),
    [
        ('1,a\n2,b"c\n3,d', 3),
        ('1,a\n2,b"c\n3,d"', 3),
        ('1,"a"b', 2),
        ('1,"a\nb', 2),
        ('"1\n2",a\n3', 3),
        ("1,a,c", 2),
        ("1,a\rb", 2),
        ('1," a" ', 2),
        ('1, "a"', 2),
    ],
)
def test_a_lone_quote_or_another_width_is_told_with_its_row(rows: str, row: int) -> None:
    with pytest.raises(RowUnreadable) as refusal:
        read(f"id,name\n{rows}")
    assert refusal.value.facts["row"] == row


def test_columns_have_the_letters_of_a_spreadsheet() -> None:
    assert [letters(place) for place in (1, 26, 27, 702, 703)] == ["A", "Z", "AA", "ZZ", "AAA"]


@given(st.text(alphabet='a,"\n$op', max_size=30))
def test_rows_are_refused_beforehand_only_where_reading_refuses_them(text: str) -> None:
    try:
        check_rows([text])
    except RowUnreadable:
        with pytest.raises((BadColumns, RowUnreadable)):
            read(text)


@pytest.mark.parametrize(
    ("text", "row"),
    [("$op,a\n\nupsert,1\ndelete,2\n", None), ("a,b\n1,2\n3\n", 3), ("$op,a\nwhat,1\n", 2), ("", None)],
)
def test_a_file_is_held_to_what_holds_for_any_items(text: str, row: int | None) -> None:
    if row is None:
        check_rows([text])
        return
    with pytest.raises(RowUnreadable) as refusal:
        check_rows([text])
    assert refusal.value.facts["row"] == row
