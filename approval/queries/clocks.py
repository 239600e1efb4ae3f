"""SELECTs on clocks, suspensions and alarms; due dates are computed here, never stored."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from approval.deadline import (
    Card,
    NotYetPublished,
    Standing,
    Suspension,
    WorkCalendar,
    card,
    due_on,
    halts,
    standing,
)
from approval.flow import State
from approval.models import (
    Alarm,
    Case,
    CaseClock,
    CaseSuspension,
    Item,
    Supplement,
)
from infra.clock import city_date


@dataclass(frozen=True)
class ClockView:
    """A clock as it stands: `stands` is the due date, or why there is none yet."""

    kind: str
    step_key: str | None
    budget_days: int
    start_on: date
    stands: Standing
    card: Card
    ended_at: datetime | None


def suspensions_of(session: Session, case_ids: Iterable[int]) -> dict[int, list[CaseSuspension]]:
    """The suspensions of many cases at once, by case."""
    found: dict[int, list[CaseSuspension]] = {case_id: [] for case_id in case_ids}
    query = select(CaseSuspension).where(CaseSuspension.case_id.in_(found)).order_by(CaseSuspension.id)
    for suspension in session.scalars(query):
        found[suspension.case_id].append(suspension)
    return found


def clock_stands(
    clock: CaseClock,
    suspensions: Iterable[CaseSuspension],
    calendar: WorkCalendar,
    *,
    budget_days: int | None = None,
) -> Standing:
    """The due date of a clock, or why there is none; of another budget that runs beside its own if given."""
    return standing(clock.start_on, budget_days or clock.budget_days, _pauses(clock, suspensions), calendar)


def view_clock(
    clock: CaseClock,
    step_key: str | None,
    suspensions: Iterable[CaseSuspension],
    calendar: WorkCalendar,
    on: date,
) -> ClockView:
    """A clock as it stands on `on`, or stood when it ended; a red card on record stays."""
    stands = clock_stands(clock, suspensions, calendar)
    judged_on = on if clock.ended_at is None else city_date(clock.ended_at)
    shown = card(stands, on=judged_on, budget_days=clock.budget_days, calendar=calendar)
    return ClockView(
        kind=clock.kind,
        step_key=step_key,
        budget_days=clock.budget_days,
        start_on=clock.start_on,
        stands=stands,
        card=shown if clock.missed_due_on is None else Card.red,
        ended_at=clock.ended_at,
    )


def running_clocks(
    session: Session, *, case_id: int | None = None
) -> Iterator[tuple[CaseClock, Case, list[CaseSuspension]]]:
    """Every clock that runs (of one case, or of all), oldest first, with its case and its suspensions."""
    query = select(CaseClock, Case).join(Case, Case.id == CaseClock.case_id)
    suspensions = select(CaseSuspension).order_by(CaseSuspension.id)
    if case_id is not None:
        query = query.where(Case.id == case_id)
        suspensions = suspensions.where(CaseSuspension.case_id == case_id)
    rows = session.execute(query.where(CaseClock.ended_at.is_(None)).order_by(CaseClock.id)).all()
    suspended: dict[int, list[CaseSuspension]] = {}
    for suspension in session.scalars(suspensions):
        suspended.setdefault(suspension.case_id, []).append(suspension)
    for clock, case in rows:
        yield clock, case, suspended.get(case.id, [])


def telling_stands(session: Session, case: Case, item: Item, calendar: WorkCalendar) -> Standing | None:
    """Until when a submitted case may be asked for a supplement; past it, it counts as accepted.

    It runs with the acceptance clock but is not its limit: the city promises an answer within the step's days
    (3), the law lets a case count as accepted after the item's `supplement_days` (5).
    Source: 《行政许可法》 article 32 (4).
    """
    clock = session.scalar(
        select(CaseClock).where(
            CaseClock.case_id == case.id, CaseClock.kind == "acceptance", CaseClock.ended_at.is_(None)
        )
    )
    if clock is None:
        return None
    suspensions = suspensions_of(session, [case.id])[case.id]
    return clock_stands(clock, suspensions, calendar, budget_days=item.supplement_days)


def find_missing_year(
    session: Session,
    clock: CaseClock,
    case: Case,
    suspensions: Sequence[CaseSuspension],
    calendar: WorkCalendar,
) -> int | None:
    """The unpublished year that a date of the running clock needs; None if every date is known.

    The dates are its end and, before acceptance, the last day to ask for a supplement or to answer one.
    """
    dates = [clock_stands(clock, suspensions, calendar)]
    if clock.kind == "acceptance":
        item = session.get_one(Item, case.item_id)
        dates.append(clock_stands(clock, suspensions, calendar, budget_days=item.supplement_days))
        asked_on = [pause.first_on for pause in _pauses(clock, suspensions) if pause.last_on is None]
        dates += [due_on(first_on, item.supplement_answer_days, (), calendar) for first_on in asked_on]
    return next((stands.year for stands in dates if isinstance(stands, NotYetPublished)), None)


def list_silent(session: Session, *, at: datetime, calendar: WorkCalendar) -> list[int]:
    """Cases that were submitted, and nobody answered within the limit of their item."""
    query = select(Case, Item).join(Item, Item.id == Case.item_id).where(Case.state == State.submitted)
    today = city_date(at)
    silent = []
    for case, item in session.execute(query.order_by(Case.id)).all():
        if case.submitted_at and city_date(case.submitted_at) + timedelta(days=item.supplement_days) < today:
            stands = telling_stands(session, case, item, calendar)
            if isinstance(stands, date) and stands < today:
                silent.append(case.id)
    return silent


def list_unanswered(session: Session, *, at: datetime, calendar: WorkCalendar) -> list[int]:
    """Cases whose supplement did not come within the limit of their item."""
    query = (
        select(Case.id, Supplement.asked_at, Item.supplement_answer_days)
        .join(Supplement, Supplement.case_id == Case.id)
        .join(Item, Item.id == Case.item_id)
        .where(Case.state == State.supplement, Supplement.answered_at.is_(None))
        .order_by(Case.id)
    )
    rows = session.execute(query).all()
    return [
        case_id
        for case_id, asked_at, days in rows
        if answer_is_late(asked_at, days, at=at, calendar=calendar)
    ]


def answer_is_late(asked_at: datetime, days: int, *, at: datetime, calendar: WorkCalendar) -> bool:
    """Whether the `days` work days to answer a supplement asked for at `asked_at` are over."""
    due = due_on(city_date(asked_at), days, (), calendar)
    return isinstance(due, date) and due < city_date(at)


def list_alarms(session: Session, *, after_id: int = 0, limit: int = 50) -> Sequence[tuple[Alarm, Case]]:
    """A page of the alarms that are not cleared, oldest first, with their cases."""
    query = select(Alarm, Case).join(Case, Case.id == Alarm.case_id)
    open_ones = query.where(Alarm.cleared_at.is_(None), Alarm.id > after_id)
    rows = session.execute(open_ones.order_by(Alarm.id).limit(limit))
    return [(alarm, case) for alarm, case in rows]


def _pauses(clock: CaseClock, suspensions: Iterable[CaseSuspension]) -> list[Suspension]:
    """Those of the case's suspensions that stop this clock."""
    return [Suspension(each.first_on, each.last_on) for each in suspensions if halts(each.kind, clock.kind)]
