"""How the API shows a limit in work days: its last day, or why there is none yet."""

from datetime import date
from typing import Literal

from pydantic import Field

from approval.deadline import NotYetPublished, Paused
from approval.queries.clocks import ClockView
from portal.api.shapes import Out


class StandingOut(Out):
    """A running limit. Without `due` it is paused, or ends in a year whose calendar is not yet published."""

    kind: str = Field(examples=["step"], description="acceptance, handling, step")
    step: str | None = Field(examples=["review"])
    budget_days: int = Field(examples=[2], description="工作日 · work days")
    start_on: date
    due: date | None = Field(examples=["2026-02-25"])
    no_date: Literal["calendar_not_yet_published", "paused"] | None = Field(
        description="日历尚未公布或暂停计时 · why there is no date"
    )
    card: str = Field(examples=["none"], description="none, yellow 黄牌, red 红牌")
    has_ended: bool


def show_standing(clock: ClockView) -> StandingOut:
    """The clock as it stands."""
    due: date | None = None
    no_date: str | None = None
    match clock.stands:
        case NotYetPublished():
            no_date = "calendar_not_yet_published"
        case Paused():
            no_date = "paused"
        case date() as day:
            due = day
    return StandingOut.model_validate(
        {
            "kind": clock.kind,
            "step": clock.step_key,
            "budget_days": clock.budget_days,
            "start_on": clock.start_on,
            "due": due,
            "no_date": no_date,
            "card": clock.card.value,
            "has_ended": clock.ended_at is not None,
        }
    )
