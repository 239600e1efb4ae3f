"""The work calendar: what is worked, what is not, and what nobody knows yet."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.calendar_file import CalendarFileRefused, CalendarFileUnreadable, read_calendar_file
from infra.textfile import FileTooLarge, UndecodableEither
from infra.work_calendar import DayKind, NotYetPublished, WorkCalendar, against_weekday, built_in_calendar


def due(calendar: WorkCalendar, received: date, work_days: int) -> date:
    day = received
    while work_days:
        day += timedelta(days=1)
        work_days -= calendar.is_work_day(day)
    return day


def test_three_work_days_over_spring_festival_2026() -> None:
    assert due(built_in_calendar(), date(2026, 2, 13), 3) == date(2026, 2, 25)


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        (date(2026, 2, 14), True),  # a Saturday made up for
        (date(2026, 2, 16), False),  # Spring Festival, a Monday
        (date(2026, 2, 23), False),
        (date(2026, 2, 28), True),  # a Saturday made up for
        (date(2026, 3, 1), False),  # a plain Sunday
        (date(2026, 3, 2), True),  # a plain Monday
        (date(2026, 10, 1), False),
        (date(2020, 1, 31), False),  # the Spring Festival that was prolonged
    ],
)
def test_built_in_days(day: date, worked: bool) -> None:
    assert built_in_calendar().is_work_day(day) is worked


@pytest.mark.parametrize("day", [date(2027, 1, 1), date(2027, 3, 3), date(2003, 12, 31), date(2031, 5, 4)])
def test_an_unpublished_year_is_never_guessed(day: date) -> None:
    calendar = built_in_calendar()
    assert not calendar.is_published(day.year)
    with pytest.raises(NotYetPublished) as refused:
        calendar.is_work_day(day)
    assert refused.value.year == day.year
    assert str(day.year) in refused.value.message("en")
    assert str(day.year) in refused.value.message("zh")


def test_a_year_replaces_only_itself() -> None:
    before = built_in_calendar()
    after = before.with_year(2026, {date(2026, 3, 2): "holiday", date(2026, 3, 1): "workday"})
    assert not after.is_work_day(date(2026, 3, 2))
    assert after.is_work_day(date(2026, 3, 1))
    assert after.is_work_day(date(2026, 2, 16)), (
        "the new calendar does not list it, so it follows its weekday"
    )
    assert after.exceptions(2025) == before.exceptions(2025)
    assert after.published == before.published
    assert before.with_year(2027, {}).is_published(2027)


@given(
    st.dictionaries(
        st.dates(date(2027, 1, 1), date(2027, 12, 31)), st.sampled_from(["holiday", "workday"]), max_size=60
    )
)
def test_a_listed_day_is_as_listed_and_any_other_follows_its_weekday(days: dict[date, DayKind]) -> None:
    calendar = built_in_calendar().with_year(2027, days)
    for offset in range(365):
        day = date(2027, 1, 1) + timedelta(days=offset)
        expected = days[day] == "workday" if day in days else day.weekday() < 5
        assert calendar.is_work_day(day) == expected
    assert calendar.exceptions(2027) == against_weekday(days)


LISTED = {date(2027, 1, 1): "holiday", date(2027, 2, 6): "workday"}


@pytest.mark.parametrize(
    "content",
    [
        b"date,kind\n2027-01-01,holiday\n2027-02-06,workday\n",
        b"\xef\xbb\xbfdate,kind\r\n2027-01-01,holiday\r\n\r\n2027-02-06,workday\r\n",
        "kind,date,说明\nholiday,2027/1/1,元旦\nworkday,2027/2/6,调休\n".encode(),
        "date,kind,说明\n2027-01-01,holiday,元旦\n2027-02-06,workday,调休".encode("gb18030"),
        b' date , kind \n"2027-01-01", holiday\n2027-02-06 ,workday\n',
    ],
    ids=["plain", "bom", "utf-8", "gb18030", "spaces"],
)
def test_files_that_are_read(content: bytes) -> None:
    assert read_calendar_file(content, name="2027.csv") == (2027, LISTED)


def test_every_wrong_row_is_named() -> None:
    content = (
        "date,kind\n2027-01-01,holiday\n2027-02-30,holiday\n2028-01-01,holiday\n2027-02-06,half\n"
        "2027-1-1,workday\n1 January,holiday\n2027-05-01\n,holiday\n2027-01-01T00:00,holiday\n"
        "２０２７-03-01,holiday,元旦\n"
    )
    with pytest.raises(CalendarFileRefused) as refused:
        read_calendar_file(content.encode(), name="2027.csv")
    assert [(row, what) for row, what, _ in refused.value.facts["problems"]] == [
        (3, "date"),
        (4, "year"),
        (5, "kind"),
        (6, "duplicate"),
        (7, "date"),
        (8, "columns"),
        (9, "columns"),
        (10, "date"),
        (11, "date"),
    ]
    assert "row 5: 'half' is neither holiday nor workday" in refused.value.message("en")
    assert "第 6 行：日期 2027-01-01 重复" in refused.value.message("zh")


def test_a_long_list_of_errors_is_cut_and_counted() -> None:
    content = "date,kind\n" + "x,holiday\n" * 50
    with pytest.raises(CalendarFileRefused, match="errors in it: 50") as refused:
        read_calendar_file(content.encode(), name="2027.csv")
    assert refused.value.message("en").endswith("and 30 more")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "must name the columns"),
        (b"2027-01-01,holiday\n", "must name the columns"),
        (b"date,kind\n", "no row with a date"),
    ],
    ids=["empty", "no header", "no rows"],
)
def test_files_that_are_no_calendar(content: bytes, why: str) -> None:
    with pytest.raises(CalendarFileUnreadable, match=why):
        read_calendar_file(content, name="2027.csv")


def test_bytes_that_are_no_text_or_too_many_are_refused() -> None:
    with pytest.raises(UndecodableEither, match="offset 28"):
        read_calendar_file(b"date,kind\n2027-01-01,holiday\xff\xff\n", name="2027.csv")
    with pytest.raises(FileTooLarge, match="1048576 bytes"):
        read_calendar_file(b"date,kind\n" + b" " * 1024 * 1024, name="2027.csv")


def test_a_declared_encoding_decides() -> None:
    content = "date,kind,说明\n2027-01-01,holiday,模\n".encode("utf-16")
    expected = (2027, {date(2027, 1, 1): "holiday"})
    assert read_calendar_file(content, name="2027.csv", encoding="utf-16") == expected


def test_broken_quotes_are_told_with_their_row() -> None:
    with pytest.raises(CalendarFileRefused, match="row 2: not valid CSV"):
        read_calendar_file(b'date,kind\n"2027-01-01"x,holiday\n', name="2027.csv")
