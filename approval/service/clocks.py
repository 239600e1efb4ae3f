"""Start and stop the clocks of cases; raise the alarm that a year's calendar is missing, and clear it."""

from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from approval.deadline import WorkCalendar
from approval.models import Alarm, Case, CaseClock, CaseStep, CaseSuspension
from approval.queries import find_missing_year, running_clocks, suspensions_of
from infra.clock import city_date
from infra.database import insert_once
from infra.workdays import load_calendar


def start_clock(
    session: Session,
    case: Case,
    *,
    kind: str,
    budget_days: int,
    start_on: date,
    at: datetime,
    step: CaseStep | None = None,
) -> CaseClock:
    """Start a clock on the case, or on a step of a branch of it."""
    clock = CaseClock(
        case_id=case.id,
        branch_id=step.branch_id if step else None,
        step_id=step.id if step else None,
        kind=kind,
        budget_days=budget_days,
        start_on=start_on,
    )
    session.add(clock)
    session.flush()
    suspensions = suspensions_of(session, [case.id])[case.id]
    _settle_alarm(session, clock, case, suspensions, load_calendar(session), at)
    return clock


def find_running_clock(session: Session, case: Case, kind: str) -> CaseClock | None:
    """The case's clock of `kind` that has not ended."""
    mine = CaseClock.case_id == case.id, CaseClock.kind == kind, CaseClock.ended_at.is_(None)
    return session.scalar(select(CaseClock).where(*mine))


def stop_clocks(session: Session, case: Case, *, at: datetime, kinds: tuple[str, ...]) -> None:
    """Stop the case's clocks of `kinds`, and clear their alarms."""
    mine = CaseClock.case_id == case.id, CaseClock.kind.in_(kinds), CaseClock.ended_at.is_(None)
    for clock in session.scalars(select(CaseClock).where(*mine)):
        clock.ended_at = at
        _clear_alarm(session, clock, at)
    session.flush()


def end_suspensions(session: Session, case: Case, *, at: datetime) -> None:
    """End every suspension of the case that still runs: today, or on its first day if that comes later."""
    running = CaseSuspension.case_id == case.id, CaseSuspension.last_on.is_(None)
    for suspension in session.scalars(select(CaseSuspension).where(*running)):
        suspension.last_on = max(suspension.first_on, city_date(at))
    session.flush()


def refresh_alarms(session: Session, *, at: datetime) -> tuple[int, int]:
    """Raise and clear alarms by the calendar as it now is, as after an import: (raised, cleared)."""
    calendar = load_calendar(session)
    changes = [
        _settle_alarm(session, clock, case, suspensions, calendar, at)
        for clock, case, suspensions in running_clocks(session)
    ]
    return changes.count("raised"), changes.count("cleared")


def refresh_case_alarms(session: Session, case: Case, *, at: datetime) -> None:
    """Raise and clear the alarms of one case, as after a suspension."""
    session.flush()
    calendar, suspensions = load_calendar(session), suspensions_of(session, [case.id])[case.id]
    running = CaseClock.case_id == case.id, CaseClock.ended_at.is_(None)
    for clock in session.scalars(select(CaseClock).where(*running)).all():
        _settle_alarm(session, clock, case, suspensions, calendar, at)


def _settle_alarm(
    session: Session,
    clock: CaseClock,
    case: Case,
    suspensions: list[CaseSuspension],
    calendar: WorkCalendar,
    at: datetime,
) -> str | None:
    year = find_missing_year(session, clock, case, suspensions, calendar)
    if year is None:
        return "cleared" if _clear_alarm(session, clock, at) else None
    raised = insert_once(
        session,
        Alarm,
        kind="calendar_not_published",
        case_id=clock.case_id,
        clock_id=clock.id,
        year=year,
        raised_at=at,
    )
    return "raised" if raised else None


def _clear_alarm(session: Session, clock: CaseClock, at: datetime) -> bool:
    open_one = Alarm.clock_id == clock.id, Alarm.cleared_at.is_(None)
    cleared = session.execute(update(Alarm).where(*open_one).values(cleared_at=at).returning(Alarm.id))
    return cleared.first() is not None
