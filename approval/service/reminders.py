"""Yellow and red cards as notices: 'due and not yet sent'; missed runs lose none, double ones double none."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from sqlalchemy.orm import Session

from approval.deadline import Card, card, reminders_due
from approval.flow import State, StepRule
from approval.models import Case, CaseClock
from approval.queries import clock_stands, find_active_step, get_notice, item_of, running_clocks
from approval.service.clocks import note_red_card
from approval.service.record import notify
from approval.service.steps import rules_of, step_facts, tell_step
from infra.clock import city_date
from infra.workdays import load_calendar


def list_to_remind(session: Session, *, at: datetime) -> list[int]:
    """Ids of the cases with a clock near its limit or past it, reminded of already or not."""
    return sorted({case.id for case, _, _, _ in _near_limits(session, at, None)})


def send_reminders(session: Session, *, case_id: int, at: datetime) -> int:
    """Leave the case's reminders that are due and not yet sent, once per clock, kind and date; how many.

    Cases are reminded of one by one, each in a transaction of its own: one that is locked holds up no other.
    """
    sent = 0
    for case, clock, due, shown in list(_near_limits(session, at, case_id)):
        note_red_card(session, case, clock, due, at=at)
        sent += sum(_remind(session, case, clock, code, due, at) for code in reminders_due(shown))
    return sent


def read_notice(
    session: Session, *, notice_id: int, person_id: int, roles: Iterable[tuple[str, int]], at: datetime
) -> None:
    """Mark a notice for the person, or for one of their roles, as read for all who see it; NotFound."""
    notice = get_notice(session, notice_id=notice_id, person_id=person_id, roles=roles)
    notice.read_at = notice.read_at or at
    session.flush()


def _near_limits(
    session: Session, at: datetime, case_id: int | None
) -> Iterator[tuple[Case, CaseClock, date, Card]]:
    """Clocks that show a card, with their cases, the last day and the card."""
    calendar, today = load_calendar(session), city_date(at)
    for clock, case, suspensions in running_clocks(session, case_id=case_id):
        stands = clock_stands(clock, suspensions, calendar)
        shown = card(stands, on=today, budget_days=clock.budget_days, calendar=calendar)
        if shown is not Card.none and isinstance(stands, date):
            yield case, clock, stands, shown


def _remind(session: Session, case: Case, clock: CaseClock, code: str, due: date, at: datetime) -> bool:
    key = f"{code}:clock:{clock.id}:{due.isoformat()}"
    step = find_active_step(session, case)
    if step is not None and case.state != State.returned:
        rule = rules_of(session, case)[step.key] if clock.kind != "handling" else _whole(session, case)
        return tell_step(session, case, step, rule, code=code, key=key, at=at, due_on=due.isoformat())
    return notify(
        session,
        key=key,
        code=code,
        facts={"number": case.number, **step_facts(_whole(session, case)), "due_on": due.isoformat()},
        subject_kind="case",
        subject_id=case.id,
        at=at,
        person_id=case.applicant_id,
    )


def _whole(session: Session, case: Case) -> StepRule:
    item = item_of(session, case)
    return StepRule(item.code, item.name_zh, item.name_en, None, item.asked_of, item.promised_days, ())
