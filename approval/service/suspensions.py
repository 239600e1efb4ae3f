"""Special procedures (特别程序) of an accepted case: the days they take are not counted."""

from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from approval.deadline import LONGEST_FORESEEN_DAYS, SPECIAL_PROCEDURES
from approval.errors import NoSuspension, SuspensionEnd, SuspensionRunning, SuspensionStart
from approval.flow import Outcome
from approval.models import Case, CaseSuspension
from approval.queries import find_active_step, get_case
from approval.service.clocks import note_red_cards, refresh_case_alarms
from approval.service.record import check_act, record, wrong_state
from approval.service.steps import check_hand
from approval.wording import PROCEDURES, both
from infra.clock import city_date


def suspend(
    session: Session,
    *,
    case_id: int,
    person_id: int,
    procedure: str,
    first_on: date,
    reason: str,
    at: datetime,
    last_on: date | None = None,
) -> Outcome:
    """Begin a special procedure today (`first_on`), with its last day if that is known.

    For those who may decide the active step. Raises NotFound, WrongState, RoleNeeded, SamePerson,
    SuspensionRunning, SuspensionStart, SuspensionEnd; ValueError for an unknown procedure.
    Source: 《行政许可法》 article 45: the applicant is told in writing of the time that a procedure takes.
    """
    if procedure not in SPECIAL_PROCEDURES:
        raise ValueError(f"{procedure!r} is no special procedure: {', '.join(SPECIAL_PROCEDURES)}")
    case = _case_in_hand(session, case_id, person_id, "suspend", at)
    if _find_running(session, case, procedure) is not None:
        raise SuspensionRunning(number=case.number, **both(PROCEDURES[procedure], "procedure"))
    if first_on != city_date(at):
        raise SuspensionStart(
            number=case.number, first_on=first_on.isoformat(), today=city_date(at).isoformat()
        )
    if last_on is not None:
        _check_end(case, first_on, last_on, latest_on=first_on + timedelta(days=LONGEST_FORESEEN_DAYS))
    note_red_cards(session, case, at=at)
    session.add(
        CaseSuspension(case_id=case.id, kind=procedure, first_on=first_on, last_on=last_on, reason=reason)
    )
    refresh_case_alarms(session, case, at=at)
    told = {
        "procedure": procedure,
        "first_on": first_on.isoformat(),
        "last_on": last_on.isoformat() if last_on else None,
        "reason": reason,
    }
    return record(session, case, person_id=person_id, act="suspended", at=at, after=told)


def resume(
    session: Session, *, case_id: int, person_id: int, procedure: str, last_on: date, at: datetime
) -> Outcome:
    """End the special procedure that runs: `last_on`, today or before, is the last day that is not counted.

    For those who may decide the active step. Raises NotFound, WrongState, RoleNeeded, SamePerson,
    NoSuspension, SuspensionEnd.
    """
    case = _case_in_hand(session, case_id, person_id, "resume", at)
    running = _find_running(session, case, procedure)
    if running is None:
        names = PROCEDURES.get(procedure, (procedure, procedure))
        raise NoSuspension(number=case.number, **both(names, "procedure"))
    _check_end(case, running.first_on, last_on, latest_on=city_date(at))
    running.last_on = last_on
    refresh_case_alarms(session, case, at=at)
    told = {"procedure": procedure, "last_on": last_on.isoformat()}
    return record(session, case, person_id=person_id, act="resumed", at=at, after=told)


def _case_in_hand(session: Session, case_id: int, person_id: int, act: str, at: datetime) -> Case:
    case = get_case(session, case_id, lock=True)
    check_act(case, act)
    step = find_active_step(session, case)
    if step is None:
        raise wrong_state(case, act)
    check_hand(session, case, step, person_id, at)
    return case


def _find_running(session: Session, case: Case, procedure: str) -> CaseSuspension | None:
    which = (
        CaseSuspension.case_id == case.id,
        CaseSuspension.kind == procedure,
        CaseSuspension.last_on.is_(None),
    )
    return session.scalar(select(CaseSuspension).where(*which))


def _check_end(case: Case, first_on: date, last_on: date, *, latest_on: date) -> None:
    if not first_on <= last_on <= latest_on:
        raise SuspensionEnd(
            number=case.number,
            first_on=first_on.isoformat(),
            last_on=last_on.isoformat(),
            latest_on=latest_on.isoformat(),
        )
