"""What cells say for items of each type; what a spreadsheet may have spoilt is refused with its cell."""

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from exchange.cells import CellError, Formula, read_sheet_cell, read_text_cell
from exchange.schema import Item

NOON = datetime(2026, 3, 2, 12)  # noqa: DTZ001 # as a spreadsheet has it


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "-12", -12),
        ("integer", "007", "007"),
        ("integer", "+5", "+5"),
        ("integer", " 5", " 5"),
        ("integer", "1.0", "1.0"),
        ("integer", "１２", "１２"),
        ("integer", "9" * 5000, "9" * 5000),
        ("number", "1.50", 1.5),
        ("number", "-3", -3),
        ("number", "1e-3", 0.001),
        ("number", "1,000", "1,000"),
        ("number", "NaN", "NaN"),
        ("number", ".5", ".5"),
        ("boolean", "TRUE", True),
        ("boolean", "否", False),
        ("boolean", "1", "1"),
        ("boolean", "yes", "yes"),
        ("date", "2026/3/2", "2026/3/2"),
        ("text", "TRUE", "TRUE"),
        ("text", "000123", "000123"),
        ("money", "1.50", "1.50"),
    ],
)
def test_a_text_is_read_by_the_strict_rule_of_its_type(kind: str, text: str, value: Any) -> None:
    found = read_text_cell(Item("x", kind), text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "cell", "value", "code"),
    [
        ("resident_id", 130602199003070000, 130602199003070000, "digits_lost"),
        ("resident_id", 1.3060219900307e17, 1.3060219900307e17, "digits_lost"),
        ("resident_id", "130602199003070078", "130602199003070078", None),
        ("resident_id", 86428, 86428, "digits_lost"),
        ("uscc", 10**14, 10**14, "digits_lost"),
        ("text", 123, 123, "not_text"),
        ("text", 10**15, 10**15, "digits_lost"),
        ("text", True, True, "not_text"),
        ("text", NOON, "2026-03-02T12:00:00", "not_text"),
        ("text", time(9), "09:00:00", "not_text"),
        ("text", timedelta(hours=1), "1:00:00", "not_text"),
        ("text", Formula("=A1"), "=A1", "formula"),
        ("number", Formula("=1"), "=1", "formula"),
        ("number", CellError("#N/A"), "#N/A", "cell_error"),
        ("integer", 5, 5, None),
        ("integer", 5.0, 5, None),
        ("integer", 5.5, 5.5, None),
        ("integer", "5", 5, None),
        ("integer", 2**53, 2**53, "digits_lost"),
        ("integer", True, True, None),
        ("number", 0.1, 0.1, None),
        ("number", 1e300, 1e300, None),
        ("boolean", True, True, None),
        ("boolean", 1, 1, None),
        ("mobile", 13812345678, "13812345678", None),
        ("division_code", 130624.0, "130624", None),
        ("division_code", 130624.5, 130624.5, None),
        ("money", 12, "12", None),
        ("money", 12.5, "12.5", None),
        ("money", 1e-7, "0.0000001", None),
        ("date", datetime(2026, 3, 2), "2026-03-02", None),  # noqa: DTZ001
        ("date", date(2026, 3, 2), "2026-03-02", None),
        ("date", NOON, "2026-03-02T12:00:00", None),
        ("date", 46083, 46083, None),
        ("datetime", NOON, "2026-03-02T12:00:00", None),
    ],
)
def test_a_cell_of_a_spreadsheet_is_taken_or_refused(
    kind: str, cell: Any, value: Any, code: str | None
) -> None:
    found, fault = read_sheet_cell(Item("x", kind), cell, cell="B3")
    assert (found, type(found)) == (value, type(value))
    assert (fault and fault.code) == code
    if fault is not None:
        assert all("B3" in text and str(cell) not in text for text in (fault.zh, fault.en))


def test_a_cell_of_no_kind_is_nobodys() -> None:
    with pytest.raises(TypeError):
        read_sheet_cell(Item("x", "text"), b"", cell="A1")
