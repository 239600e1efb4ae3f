"""Limits in work days: the published examples, and laws that hold for all of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approval.deadline import (
    Card,
    NotYetPublished,
    Paused,
    Suspension,
    card,
    due_on,
    halts,
    reminders_due,
    standing,
    work_days_left,
)
from infra.work_calendar import built_in_calendar

CALENDAR = built_in_calendar()
FRIDAY = date(2026, 2, 13)


@dataclass(frozen=True)
class Weekdays:
    """A calendar without holidays; years up to `last` are published."""

    last: int = 2026

    def is_published(self, year: int) -> bool:
        return year <= self.last

    def is_work_day(self, day: date) -> bool:
        assert self.is_published(day.year), "asked about a year that is not published"
        return day.weekday() < 5


def naive_due_on(start_on: date, budget_days: int, suspensions: Iterable[Suspension]) -> date:
    """The oracle: write all the days that count down, and take the one that is wanted."""
    off = {
        each.first_on + timedelta(days=offset)
        for each in suspensions
        if each.last_on is not None
        for offset in range((each.last_on - each.first_on).days + 1)
    }
    days = [start_on + timedelta(days=offset) for offset in range(1, 900)]
    return [day for day in days if CALENDAR.is_work_day(day) and day not in off][budget_days - 1]


starts = st.dates(date(2023, 1, 1), date(2024, 6, 30))
budgets = st.integers(1, 60)


@st.composite
def suspended(draw: st.DrawFn) -> Suspension:
    first = draw(st.dates(date(2023, 1, 1), date(2024, 12, 31)))
    return Suspension(first, first + timedelta(days=draw(st.integers(0, 40))))


several = st.lists(suspended(), max_size=4)


def test_spring_festival_and_its_working_saturday_are_known() -> None:
    assert due_on(FRIDAY, 3, (), CALENDAR) == date(2026, 2, 25)


def test_the_start_day_is_not_counted() -> None:
    assert due_on(date(2026, 3, 2), 1, (), CALENDAR) == date(2026, 3, 3)


def test_a_limit_that_begins_on_a_rest_day_counts_from_the_next_work_day() -> None:
    assert due_on(date(2026, 3, 7), 1, (), CALENDAR) == date(2026, 3, 9)


def test_first_and_last_day_of_a_suspension_are_not_counted() -> None:
    wednesday_to_thursday = Suspension(date(2026, 3, 4), date(2026, 3, 5))
    assert due_on(date(2026, 3, 2), 3, (), CALENDAR) == date(2026, 3, 5)
    assert due_on(date(2026, 3, 2), 3, [wednesday_to_thursday], CALENDAR) == date(2026, 3, 9)


def test_overlapping_suspensions_count_once() -> None:
    one = Suspension(date(2026, 3, 4), date(2026, 3, 5))
    other = Suspension(date(2026, 3, 5), date(2026, 3, 6))
    assert due_on(date(2026, 3, 2), 3, [one, other], CALENDAR) == date(2026, 3, 10)


def test_a_year_that_is_not_published_is_never_guessed() -> None:
    assert due_on(date(2026, 12, 29), 2, (), Weekdays()) == date(2026, 12, 31)
    assert due_on(date(2026, 12, 29), 3, (), Weekdays()) == NotYetPublished(2027)
    assert due_on(date(2026, 12, 29), 3, (), Weekdays(2027)) == date(2027, 1, 1)
    assert due_on(date(2027, 5, 3), 1, (), Weekdays()) == NotYetPublished(2027)


def test_a_limit_has_a_day_at_least_and_its_suspensions_have_ended() -> None:
    with pytest.raises(ValueError, match="at least one work day, not 0"):
        due_on(FRIDAY, 0, (), CALENDAR)
    with pytest.raises(ValueError, match="still runs"):
        due_on(FRIDAY, 1, [Suspension(FRIDAY, None)], CALENDAR)


def test_a_running_suspension_pauses_only_the_limits_that_it_catches() -> None:
    start = date(2026, 3, 2)
    assert standing(start, 3, [Suspension(date(2026, 3, 4), None)], CALENDAR) == Paused(date(2026, 3, 4))
    assert standing(start, 3, [Suspension(date(2026, 3, 6), None)], CALENDAR) == date(2026, 3, 5)
    assert standing(start, 3, (), CALENDAR) == date(2026, 3, 5)
    december = date(2026, 12, 29)
    assert standing(december, 3, [Suspension(december, None)], Weekdays()) == Paused(december)


def test_supplements_halt_the_clock_before_acceptance_and_procedures_those_after_it() -> None:
    assert halts("supplement", "acceptance")
    assert not halts("supplement", "handling")
    assert not halts("hearing", "acceptance")
    assert halts("hearing", "handling")
    assert halts("expert_review", "step")


@pytest.mark.parametrize(
    ("on", "shown"),
    [
        (date(2026, 3, 2), Card.none),
        (date(2026, 3, 12), Card.yellow),
        (date(2026, 3, 11), Card.none),
        (date(2026, 3, 16), Card.yellow),
        (date(2026, 3, 17), Card.red),
    ],
)
def test_ten_days_turn_yellow_with_two_left_and_red_past_the_last(on: date, shown: Card) -> None:
    due = date(2026, 3, 16)
    assert due_on(date(2026, 3, 2), 10, (), CALENDAR) == due
    assert card(due, on=on, budget_days=10, calendar=CALENDAR) == shown


def test_short_limits_turn_yellow_with_one_work_day_left() -> None:
    due = date(2026, 3, 9)
    assert work_days_left(date(2026, 3, 6), due, CALENDAR) == 1
    assert card(due, on=date(2026, 3, 5), budget_days=3, calendar=CALENDAR) == Card.none
    assert card(due, on=date(2026, 3, 6), budget_days=3, calendar=CALENDAR) == Card.yellow


@pytest.mark.parametrize("stands", [NotYetPublished(2027), Paused(FRIDAY)])
def test_without_a_date_there_is_no_card(stands: NotYetPublished | Paused) -> None:
    assert card(stands, on=date(2030, 1, 1), budget_days=1, calendar=CALENDAR) == Card.none


def test_a_red_card_brings_the_yellow_ones_reminder_too() -> None:
    assert reminders_due(Card.none) == ()
    assert reminders_due(Card.yellow) == ("due_soon",)
    assert reminders_due(Card.red) == ("due_soon", "overdue")


@given(starts, budgets, several)
def test_it_equals_counting_day_by_day(start: date, budget: int, suspensions: list[Suspension]) -> None:
    assert due_on(start, budget, suspensions, CALENDAR) == naive_due_on(start, budget, suspensions)


@given(starts, budgets, several)
def test_a_larger_budget_ends_later(start: date, budget: int, suspensions: list[Suspension]) -> None:
    shorter, longer = (due_on(start, days, suspensions, CALENDAR) for days in (budget, budget + 1))
    assert isinstance(shorter, date)
    assert isinstance(longer, date)
    assert shorter < longer


@given(starts, budgets, several, suspended())
def test_a_suspension_never_makes_it_earlier(
    start: date, budget: int, suspensions: list[Suspension], another: Suspension
) -> None:
    without, with_it = (
        due_on(start, budget, each, CALENDAR) for each in (suspensions, [*suspensions, another])
    )
    assert isinstance(without, date)
    assert isinstance(with_it, date)
    assert without <= with_it
    assert due_on(start, budget, [*suspensions, another, another], CALENDAR) == with_it


@given(starts, budgets, several)
def test_the_due_date_is_a_counted_work_day(start: date, budget: int, suspensions: list[Suspension]) -> None:
    due = due_on(start, budget, suspensions, CALENDAR)
    assert isinstance(due, date)
    assert CALENDAR.is_work_day(due)
    assert not any(suspension.covers(due) for suspension in suspensions)
