"""What a form makes of what people type, and that nothing typed is lost."""

from datetime import date

import pytest

from portal.form import LONGEST_NUMBER, Form
from portal.numbers import LARGEST_AMOUNT


@pytest.mark.parametrize(
    ("typed", "number"),
    [("12", 12), (" 12 ", 12), ("１２", 12), ("0", 0), (str(LARGEST_AMOUNT), LARGEST_AMOUNT)],
)
def test_a_whole_number_is_read_as_people_type_it(typed: str, number: int) -> None:
    form = Form.of(count=typed)
    assert form.whole("count") == number
    assert not form.is_wrong


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "-1",
        "1.5",
        "1,000",
        "²",
        "十",
        "١٢",
        "𠮷",
        "0x10",
        "1e3",
        str(LARGEST_AMOUNT + 1),
        "0" * (LONGEST_NUMBER + 1),
    ],
)
def test_what_is_no_whole_number_is_refused_beside_its_field_and_kept(typed: str) -> None:
    form = Form.of(count=typed)
    assert form.whole("count") is None
    assert set(form.errors) == {"count"}
    assert form.typed("count") == typed


def test_an_empty_field_that_is_not_needed_is_no_fault() -> None:
    form = Form.of(count="", day="  ", text="")
    assert form.whole("count", needed=False) is None
    assert form.day("day", needed=False) is None
    assert form.text("text", longest=10, needed=False) == ""
    assert form.one_of("kind", {"a"}, needed=False) == ""
    assert not form.is_wrong


@pytest.mark.parametrize("typed", ["2026-02-30", "明天", "31.12.2026", "2026-12-31T00:00", "9" * 5000])
def test_what_is_no_day_is_refused(typed: str) -> None:
    form = Form.of(day=typed)
    assert form.day("day") is None
    assert set(form.errors) == {"day"}


def test_a_day_is_a_date() -> None:
    assert Form.of(day=" 2026-12-31 ").day("day") == date(2026, 12, 31)


@pytest.mark.parametrize("typed", ["a\x00b", "a\x1bb", "\u202e130624", "\u2066x", "字" * 11, "   "])
def test_a_text_that_is_empty_too_long_or_holds_what_is_unseen_is_refused(typed: str) -> None:
    form = Form.of(purpose=typed)
    form.text("purpose", longest=10)
    assert set(form.errors) == {"purpose"}
    assert form.typed("purpose") == typed


def test_a_text_counts_characters_and_keeps_its_lines() -> None:
    form = Form.of(purpose="𠮷" * 4 + "\r\n第二行\t好 ")
    assert form.text("purpose", longest=10) == "𠮷𠮷𠮷𠮷\n第二行\t好"
    assert not form.is_wrong


def test_one_of_refuses_what_was_not_offered() -> None:
    form = Form.of(kind="other")
    assert form.one_of("kind", {"servers"}) == ""
    assert set(form.errors) == {"kind"}


def test_every_form_has_a_key_of_its_own() -> None:
    assert Form().once != Form().once
