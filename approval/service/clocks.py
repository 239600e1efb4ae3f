"""Start and stop the clocks of cases, note their red cards; raise and clear the alarm for a missing year."""

from datetime import date, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from approval.deadline import Standing, WorkCalendar
from approval.models import Alarm, Case, CaseClock, CaseStep, CaseSuspension
from approval.queries import clock_stands, find_missing_year, running_clocks, suspensions_of
from identity.actor import INSTALLATION
from infra.clock import city_date
from infra.database import insert_once
from infra.journal import append
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
    """Stop the case's clocks of `kinds`, note the red cards they got, and clear their alarms."""
    note_red_cards(session, case, at=at)
    mine = CaseClock.case_id == case.id, CaseClock.kind.in_(kinds), CaseClock.ended_at.is_(None)
    for clock in session.scalars(select(CaseClock).where(*mine)):
        clock.ended_at = at
        _clear_alarm(session, clock, at)
    session.flush()


def note_red_cards(session: Session, case: Case, *, at: datetime) -> None:
    """Put on record which running clocks of the case show a red card, before an act that may move dates."""
    running = CaseClock.case_id == case.id, CaseClock.ended_at.is_(None), CaseClock.missed_due_on.is_(None)
    clocks = session.scalars(select(CaseClock).where(*running).order_by(CaseClock.id))
    late = [each for each in clocks if each.start_on + timedelta(days=each.budget_days) < city_date(at)]
    if not late:  # a limit in work days never ends sooner than in days: most acts need no calendar here
        return
    calendar, suspensions = load_calendar(session), suspensions_of(session, [case.id])[case.id]
    for clock in late:
        note_red_card(session, case, clock, clock_stands(clock, suspensions, calendar), at=at)


def note_red_card(session: Session, case: Case, clock: CaseClock, stands: Standing, *, at: datetime) -> None:
    """If the clock stands past its due date: keep that, once and for good, in its row and in the journal."""
    if not isinstance(stands, date) or city_date(at) <= stands:
        return
    unnoted = CaseClock.id == clock.id, CaseClock.missed_due_on.is_(None)
    note = update(CaseClock).where(*unnoted).values(missed_due_on=stands).returning(CaseClock.id)
    if session.execute(note).first() is None:
        return
    append(
        session,
        actor=INSTALLATION.journal_id,
        act="case.red_card",
        subject=f"case:{case.id}",
        bureau_id=case.bureau_id,
        at=at,
        after={"clock": clock.kind, "clock_id": clock.id, "due_on": stands},
    )


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
