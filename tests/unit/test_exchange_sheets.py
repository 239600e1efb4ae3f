"""XLSX that is sent for publishing: what was written comes back; nothing is guessed, lost or blown up."""

import io
import re
import warnings
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.chart import BarChart

from exchange import sheet_parts
from exchange.batch import Change, encode, sort_batch
from exchange.errors import BadColumns, RowUnreadable, SheetTooLarge, SheetUnreadable
from exchange.schema import RecordRules
from exchange.sheets import read_sheet
from infra.errors import SijiError
from tests.unit.tables import ITEMS, KEYS

LIMIT = 64 * 1024 * 1024
ID = "130602199003070078"
plain = st.text("甲乙 aZ09'=\"<&_", min_size=1, max_size=8).filter(lambda text: not text.startswith("="))


def book(rows: list[list[Any]], change: Callable[[Any], object] | None = None) -> bytes:
    made = Workbook()
    sheet = made.active
    for row in rows:
        sheet.append(row)
    if change is not None:
        change(made)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def altered(content: bytes, part: str, change: Callable[[str], str]) -> bytes:
    """The file with one of its parts rewritten."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, change(text.decode()).encode() if name == part else text)
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def read(content: bytes, sheet: str | None = None, limit: int = LIMIT) -> list[Change]:
    return list(read_sheet(io.BytesIO(content), ITEMS, KEYS, sheet=sheet, limit=limit))


def values(content: bytes, sheet: str | None = None) -> list[Any]:
    return [change.value for change in read(content, sheet)]


@given(
    st.lists(
        st.fixed_dictionaries(
            {"id": plain, "name": plain},
            optional={
                "count": st.integers(-(10**14), 10**14),
                "ratio": st.floats(-1e9, 1e9).map(lambda number: round(number, 6)),
                "is_open": st.booleans(),
                "born": st.dates(date(1901, 1, 1), date(2100, 1, 1)),
            },
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_a_spreadsheet_holds_comes_back(rows: list[dict[str, Any]]) -> None:
    names = ["id", "name", "count", "ratio", "is_open", "born"]
    changes = read(book([names, *([row.get(name) for name in names] for row in rows)]))
    assert [change.value for change in changes] == [
        {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
        for row in rows
    ]
    assert [change.place for change in changes] == list(range(2, len(rows) + 2))


def test_a_number_where_an_identity_number_belongs_goes_to_quarantine_with_its_cell() -> None:
    changes = read(book([["姓名", "id", "person"], ["甲", "1", ID], ["乙", "2", int(ID)], ["丙", 3, ID]]))
    batch = sort_batch(changes, encode(changes), rules=RecordRules(ITEMS, KEYS), partitions=1, full=False)
    assert [(bad.place, [(reason.code, reason.item) for reason in bad.reasons]) for bad in batch.bad] == [
        (3, [("digits_lost", "person")]),
        (4, [("not_text", "id")]),
    ]
    [[lost], _] = [bad.reasons for bad in batch.bad]
    assert "C3" in lost.zh
    assert ID[:15] not in lost.zh + lost.en
    assert len(batch.good) == 1


def test_formulas_and_errors_are_refused_by_record() -> None:
    changes = read(book([["id", "name", "count"], ["1", "=A2", 1], ["2", "b", "#N/A"], ["3", "c", 3]]))
    assert [[fault.code for fault in change.faults] for change in changes] == [
        ["formula"],
        ["cell_error"],
        [],
    ]


def test_deletes_have_their_key_alone() -> None:
    changes = read(book([["操作", "id", "name"], ["删除", "1", "=A1"], [None, "2", "b"]]))
    assert [(one.delete, one.value, one.faults) for one in changes] == [
        (True, {"id": "1"}, ()),
        (False, {"id": "2", "name": "b"}, ()),
    ]
    with pytest.raises(RowUnreadable):
        read(book([["$op", "id"], [1, "1"]]))


def test_the_sheet_is_the_first_that_is_seen_or_the_named_one() -> None:
    def two(made: Any) -> None:
        made.active.sheet_state = "hidden"
        other = made.create_sheet("名单")
        other.append([None, None])
        other.append(["id", "name"])
        other.row_dimensions[4].hidden = True
        other.append(["2", "b"])
        other.append(["3", "c"])

    content = book([["id", "name"], ["1", "a"]], two)
    assert [(change.place, change.value["id"]) for change in read(content)] == [(3, "2"), (4, "3")]
    assert values(content, "Sheet") == [{"id": "1", "name": "a"}]
    with pytest.raises(SheetUnreadable) as refusal:
        read(content, "无")
    assert "Sheet、名单" in refusal.value.message("zh")


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([["id", "name"], ["1", "a", "beyond"]], RowUnreadable),
        ([["id", "name", 5], ["1", "a", 5]], BadColumns),
        ([["id", None, "name"], ["1", None, "a"]], BadColumns),
        ([], SheetUnreadable),
    ],
)
def test_columns_and_rows_that_do_not_fit_are_refused(rows: list[list[Any]], error: type[SijiError]) -> None:
    with pytest.raises(error):
        read(book(rows))


def test_merged_cells_are_refused_by_name() -> None:
    content = book([["id", "name"], ["1", "a"], ["2", "b"]], lambda made: made.active.merge_cells("B2:B3"))
    with pytest.raises(SheetUnreadable) as refusal:
        read(content)
    assert "B2:B3" in refusal.value.message("en")


def test_a_false_dimension_hides_no_row() -> None:
    content = book([["id", "name"], *([str(number), "a"] for number in range(50))])
    short = altered(
        content, SHEET, lambda xml: re.sub(r'<dimension ref="[^"]*"', '<dimension ref="A1:B2"', xml)
    )
    assert len(read(short)) == 50


def test_dates_are_told_by_their_format_and_no_value_is_warned_of() -> None:
    def far(made: Any) -> None:
        made.active["C2"].number_format = "yyyy-mm-dd"
        made.active["C3"].number_format = "[h]:mm"

    day = datetime(2026, 3, 2)  # noqa: DTZ001 # as a spreadsheet has it
    rows: list[list[Any]] = [["id", "name", "born"], ["1", "a", 99_999_999], ["2", "b", 0.5], ["3", "c", day]]
    content = book(rows, far)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        changes = read(content)
    assert changes[0].faults[0].code == "cell_error"
    assert [change.value["born"] for change in changes[1:]] == ["12:00:00", "2026-03-02"]


@pytest.mark.parametrize(
    "change",
    [
        lambda xml: xml.replace('r="3"', 'r="1"'),
        lambda xml: xml.replace('<row r="3"', '<row r="1048577"'),
        lambda xml: xml.replace('<row r="3"', '<row r="x"'),
        lambda xml: xml.replace('r="B3"', 'r="A3"'),
        lambda xml: xml.replace('r="B3"', 'r="B7"'),
        lambda xml: xml.replace('r="B3"', 'r="ZZZZ3"'),
        lambda xml: xml[:-20],
        lambda xml: xml.replace("<sheetData>", "<!DOCTYPE x><sheetData>"),
        lambda xml: '<!DOCTYPE w [<!ENTITY a "x">]>' + xml,
    ],
)
def test_a_sheet_that_may_be_read_in_two_ways_is_refused(change: Callable[[str], str]) -> None:
    content = book([["id", "name"], ["1", "a"], ["2", "b"]])
    assert len(read(content)) == 2
    with pytest.raises(SheetUnreadable):
        read(altered(content, SHEET, change))


def test_a_cell_far_away_costs_nothing() -> None:
    content = book([["id", "name"], ["1", "a"]])
    row = '<row r="1048576"><c r="XFD1048576"/></row></sheetData>'
    assert len(read(altered(content, SHEET, lambda xml: xml.replace("</sheetData>", row)))) == 1


@pytest.mark.parametrize("cut", [0, 10, 500, -30])
def test_what_is_no_xlsx_or_cut_is_refused(cut: int) -> None:
    content = book([["id", "name"], ["1", "a"]])
    with pytest.raises(SheetUnreadable):
        read(content[:cut])


def test_an_archive_of_something_else_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a.xml", "<a/>")
        made.writestr("b.png", "no XML")
    with pytest.raises(SheetUnreadable):
        read(file.getvalue())


@given(st.binary(max_size=4), st.integers(0, 10_000))
def test_damage_never_crashes(damage: bytes, place: int) -> None:
    content = book([["id", "name"], ["1", "a"]])
    at = place % len(content)
    try:
        read(content[:at] + damage + content[at + len(damage) :])
    except (SheetUnreadable, SheetTooLarge, BadColumns, RowUnreadable):
        return


def test_bombs_are_refused_before_anything_is_made_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    content = book([["id", "name"], ["1", "a"]])

    def grown(by: str) -> bytes:
        return altered(content, SHEET, lambda xml: xml.replace("</sheetData>", f"{by}</sheetData>"))

    spaces = grown(" " * (LIMIT + 1))
    assert len(spaces) < 1024 * 1024
    for bomb, limit in (
        (spaces, LIMIT),
        (
            grown("<row>" + "<c/>" * (sheet_parts.MAX_FAR_ELEMENTS + 1) + "</row>"),
            sheet_parts.MAX_FAR_ELEMENTS,
        ),
    ):
        with pytest.raises(SheetTooLarge) as refusal:
            read(bomb)
        assert refusal.value.facts["limit"] == limit
    monkeypatch.setattr(sheet_parts, "MAX_NEAR_ELEMENTS", 1000)
    with pytest.raises(SheetTooLarge):
        read(grown("<row/>" * 1000))
    monkeypatch.setattr(sheet_parts, "MAX_PARTS", 3)
    with pytest.raises(SheetTooLarge):
        read(content)


STYLES, TYPES = "xl/styles.xml", "[Content_Types].xml"


def renamed(content: bytes, name: str) -> bytes:
    """The file whose sheet has another name among its parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            text = old.read(part).replace(SHEET.encode(), name.encode())
            new.writestr(name if part == SHEET else part, text)
    return file.getvalue()


@pytest.mark.parametrize("name", ["xl/sheet1.bin", "xl/sheet1", "xl/worksheets/SHEET1.XML", "x.png"])
def test_a_part_is_held_to_the_limits_whatever_its_name(name: str) -> None:
    content = book([["id", "name"], ["1", "a"]])
    assert len(read(renamed(content, name))) == 1
    cells = "<row>" + "<c/>" * (sheet_parts.MAX_FAR_ELEMENTS + 1) + "</row></sheetData>"
    with pytest.raises(SheetTooLarge):
        read(renamed(altered(content, SHEET, lambda xml: xml.replace("</sheetData>", cells)), name))
    declared = altered(content, SHEET, lambda xml: '<!DOCTYPE w [<!ENTITY a "x">]>' + xml)
    for encoding in ("utf-8", "utf-16"):
        file = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(renamed(declared, name))) as old, zipfile.ZipFile(file, "w") as new:
            for part in old.namelist():
                text = old.read(part)
                new.writestr(part, text.decode().encode(encoding) if part == name else text)
        with pytest.raises(SheetUnreadable) as refusal:
            read(file.getvalue())
        assert "document type" in refusal.value.message("en")


@pytest.mark.parametrize("also", ["", "worksheet+xml", "sharedStrings+xml"])
def test_styles_are_few_whatever_they_are_said_to_be(also: str) -> None:
    content = book([["id", "name"], ["1", "a"]])
    many = "<xf/>" * sheet_parts.MAX_OTHER_ELEMENTS + "</cellXfs>"
    bomb = altered(content, STYLES, lambda xml: xml.replace("</cellXfs>", many))
    if also:
        bomb = altered(bomb, TYPES, lambda xml: xml.replace("styles+xml", also))
    assert len(bomb) < 16 * 1024
    with pytest.raises(SheetTooLarge) as refusal:
        read(bomb)
    assert refusal.value.facts["limit"] == sheet_parts.MAX_OTHER_ELEMENTS


def test_a_sheet_may_have_more_elements_than_what_is_no_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_parts, "MAX_OTHER_ELEMENTS", 400)
    content = book([["id", "name"], *([str(number), f"a{number}"] for number in range(300))])
    assert len(read(content)) == 300
    by_default = altered(
        content, TYPES, lambda xml: re.sub(r'<Override PartName="/xl/worksheets[^>]*/>', "", xml)
    )
    with pytest.raises(SheetTooLarge):
        read(by_default)
    sheet_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
    assert len(read(altered(by_default, TYPES, lambda x: x.replace("application/xml", sheet_type)))) == 300


def test_pictures_and_charts_are_passed_over() -> None:
    def drawn(made: Any) -> None:
        made.create_chartsheet("图", 0).add_chart(BarChart())
        made.active = made.worksheets[0]

    content = book([["id", "name"], ["1", "a"]], drawn)
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as made:
        made.writestr("xl/drawings/vmlDrawing1.vml", "<xml><br></xml>")
        made.writestr("xl/media/image1.png", b"\x89PNG")
    assert values(file.getvalue()) == [{"id": "1", "name": "a"}]


def test_extensions_and_conditional_formats_are_passed_over() -> None:
    content = book([["id", "name"], ["1", "a"]])
    more = (
        '</sheetData><conditionalFormatting sqref="A1"><cfRule type="cellIs" priority="1"/>'
        "</conditionalFormatting>"
        '<extLst><ext uri="{CCE6A557-97BC-4b89-ADB6-D9C93CAAB3DF}"/></extLst>'
    )
    assert len(read(altered(content, SHEET, lambda xml: xml.replace("</sheetData>", more)))) == 1
