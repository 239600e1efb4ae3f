"""When a limit in work days ends, and how near its end is. Pure: no rows, no clock, no settings."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Protocol

SUPPLEMENT = "supplement"


class Procedure(StrEnum):
    """A special procedure (特别程序), whose days are not counted. Source: 《行政许可法》 article 45."""

    hearing = "hearing"
    inspection = "inspection"
    testing = "testing"
    quarantine = "quarantine"
    appraisal = "appraisal"
    expert_review = "expert_review"


LONGEST_FORESEEN_DAYS = 60
"""How many days ahead the end of a special procedure may be told; a longer one is ended when it ends.

Source: 《行政许可法》 article 42: the longest limit of a whole case is 45 days and 15 more.
"""
SPECIAL_PROCEDURES = tuple(procedure.value for procedure in Procedure)


class WorkCalendar(Protocol):
    """The State Council's calendar, as far as it is published."""

    def is_published(self, year: int) -> bool:
        """Whether the rest days of `year` are known."""
        ...

    def is_work_day(self, day: date) -> bool:
        """Whether people work on `day`; asked of published years only."""
        ...


@dataclass(frozen=True)
class NotYetPublished:
    """The date needs the calendar of `year`, which is not published; it is not guessed."""

    year: int


@dataclass(frozen=True)
class Paused:
    """The clock stands still since `since_on` until a running suspension ends."""

    since_on: date


Standing = date | NotYetPublished | Paused


@dataclass(frozen=True)
class Suspension:
    """Days, first and last included, that are not counted; `last_on` None: it still runs."""

    first_on: date
    last_on: date | None

    def covers(self, day: date) -> bool:
        """Whether `day` falls into it."""
        return self.first_on <= day and (self.last_on is None or day <= self.last_on)


class Card(StrEnum):
    """How a limit stands: yellow near its end, red past it."""

    none = "none"
    yellow = "yellow"
    red = "red"


def due_on(
    start_on: date, budget_days: int, suspensions: Iterable[Suspension], calendar: WorkCalendar
) -> date | NotYetPublished:
    """The last day of a limit of `budget_days` work days (at least 1) that began on `start_on`.

    The start day is not counted, nor are work days in a suspension; a day in several of them counts as one.
    All `suspensions` have ended (`last_on` is set).

    Source: 《行政许可法》 articles 42 to 45 and 82 (limits are work days, rest days left out, special
    procedures not counted); the day on which a period begins is not counted (《民法典》 article 201).
    """
    if budget_days < 1:
        raise ValueError(f"a limit is at least one work day, not {budget_days}")
    paused = tuple(suspensions)
    if any(suspension.last_on is None for suspension in paused):
        raise ValueError("a suspension that still runs has no due date: ask standing()")
    day, counted = start_on, 0
    while counted < budget_days:
        day += timedelta(days=1)
        if not calendar.is_published(day.year):
            return NotYetPublished(day.year)
        if calendar.is_work_day(day) and not any(suspension.covers(day) for suspension in paused):
            counted += 1
    return day


def standing(
    start_on: date, budget_days: int, suspensions: Iterable[Suspension], calendar: WorkCalendar
) -> Standing:
    """As `due_on`, with suspensions that may still run: a limit that one of them caught is paused."""
    every = tuple(suspensions)
    ended = [suspension for suspension in every if suspension.last_on is not None]
    due = due_on(start_on, budget_days, ended, calendar)
    running = [suspension.first_on for suspension in every if suspension.last_on is None]
    if not running or (isinstance(due, date) and due < min(running)):
        return due
    return Paused(min(running))


def halts(suspension_kind: str, clock_kind: str) -> bool:
    """Whether a suspension stops a clock: supplements that of acceptance, special procedures the others."""
    return (suspension_kind == SUPPLEMENT) == (clock_kind == "acceptance")


def work_days_left(on: date, due: date, calendar: WorkCalendar) -> int:
    """Work days after `on` up to and with `due`; 0 on the last day and later. `due` came from `calendar`."""
    days = (on + timedelta(days=offset) for offset in range(1, (due - on).days + 1))
    return sum(calendar.is_work_day(day) for day in days)


def card(stands: Standing, *, on: date, budget_days: int, calendar: WorkCalendar) -> Card:
    """Red past the due date; yellow with a fifth of the budget left, or one work day; else none."""
    if not isinstance(stands, date):
        return Card.none
    if on > stands:
        return Card.red
    return Card.yellow if work_days_left(on, stands, calendar) <= max(1, budget_days // 5) else Card.none


def reminders_due(shown: Card) -> tuple[str, ...]:
    """The reminders that should have gone out by now, oldest first, whether or not a run was missed."""
    return {Card.none: (), Card.yellow: ("due_soon",), Card.red: ("due_soon", "overdue")}[shown]
