"""How limits in work days are shown: the due date, or why there is none."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from approval.deadline import NotYetPublished, Paused, Standing
from approval.queries import ClockView
from portal.api.shapes import Out


class StandingOut(Out):
    """`due_on` is null while the clock is paused, or while the calendar of `year` is not yet published."""

    stands: Literal["due", "paused", "calendar_not_yet_published"]
    due_on: date | None = Field(examples=["2026-03-05"])
    paused_since: date | None
    year: int | None = Field(examples=[2027])

    @classmethod
    def of(cls, stands: Standing) -> "StandingOut":
        """As the rules say it."""
        match stands:
            case NotYetPublished(year=year):
                return cls(stands="calendar_not_yet_published", due_on=None, paused_since=None, year=year)
            case Paused(since_on=since_on):
                return cls(stands="paused", due_on=None, paused_since=since_on, year=None)
            case due_on:
                return cls(stands="due", due_on=due_on, paused_since=None, year=None)


class ClockOut(StandingOut):
    """A limit of a case or of one of its steps; `card` is none, yellow near the limit, red past it."""

    kind: str = Field(examples=["handling"])
    step: str | None = Field(examples=["review"])
    budget_days: int = Field(examples=[6])
    start_on: date
    card: str = Field(examples=["yellow"])
    ended_at: datetime | None

    @classmethod
    def of_view(cls, clock: ClockView) -> "ClockOut":
        """As the view has it."""
        return cls(
            **StandingOut.of(clock.stands).model_dump(),
            kind=clock.kind,
            step=clock.step_key,
            budget_days=clock.budget_days,
            start_on=clock.start_on,
            card=clock.card.value,
            ended_at=clock.ended_at,
        )
