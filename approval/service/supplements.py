"""Supplements (补正) before acceptance, and what happens without a word: silent acceptance, abandonment."""

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from approval.deadline import SUPPLEMENT
from approval.errors import ReasonNeeded, SupplementAskedBefore, SupplementTooLate
from approval.flow import ACCEPT, Outcome, State
from approval.models import Case, CaseSuspension, Supplement
from approval.queries import answer_is_late, find_active_step, find_step, get_case, item_of, telling_stands
from approval.service.clocks import end_suspensions, note_red_cards, refresh_case_alarms
from approval.service.record import check_act, check_applicant, check_revision, record, wrong_state
from approval.service.steps import (
    begin_handling,
    begin_next,
    check_hand,
    end_case,
    settle_step,
    tell_applicant,
)
from infra.clock import city_date
from infra.jobs import enqueue
from infra.workdays import load_calendar


def ask_supplement(
    session: Session, *, case_id: int, person_id: int, missing: str, revision_seen: int, at: datetime
) -> Outcome:
    """Tell the applicant, once and within the item's limit, all that is missing; acceptance waits for it.

    Raises NotFound, WrongState, Stale, RoleNeeded, SamePerson, ReasonNeeded, SupplementAskedBefore,
    SupplementTooLate.
    Source: 《行政许可法》 article 32 (4).
    """
    case = get_case(session, case_id, lock=True)
    check_act(case, "ask_supplement")
    check_revision(case, revision_seen)
    step = find_active_step(session, case)
    if step is None:
        raise wrong_state(case, "ask_supplement")
    check_hand(session, case, step, person_id, at)
    if not missing.strip():
        raise ReasonNeeded(number=case.number)
    _check_may_ask(session, case, at)
    note_red_cards(session, case, at=at)
    session.add(Supplement(case_id=case.id, asked_by=person_id, missing=missing, asked_at=at))
    session.add(CaseSuspension(case_id=case.id, kind=SUPPLEMENT, first_on=city_date(at), reason=missing))
    refresh_case_alarms(session, case, at=at)
    case.state = State.supplement
    tell_applicant(session, case, code="supplement_asked", at=at, reason=missing)
    return record(
        session, case, person_id=person_id, act="supplement_asked", at=at, after={"missing": missing}
    )


def answer_supplement(
    session: Session, *, case_id: int, person_id: int, revision_seen: int, at: datetime
) -> Outcome:
    """Hand in what was missing: the case waits for acceptance again, on a new revision.

    Raises NotFound, NotApplicant, WrongState, Stale.
    """
    case = get_case(session, case_id, lock=True)
    check_applicant(case, person_id, "answer_supplement")
    check_act(case, "answer_supplement")
    check_revision(case, revision_seen)
    _supplement_of(session, case).answered_at = at
    end_suspensions(session, case, at=at)
    refresh_case_alarms(session, case, at=at)
    case.state = State.submitted
    case.revision += 1
    return record(session, case, person_id=person_id, act="supplement_answered", at=at)


def accept_by_silence(session: Session, *, case_id: int, at: datetime) -> Outcome | None:
    """Let a submitted case that nobody answered in time count as accepted from the day it was received.

    None if that is not so (any more). Source: 《行政许可法》 article 32 (4).
    """
    case = get_case(session, case_id, lock=True)
    step = find_step(session, case, ACCEPT)
    received_at = counts_from(session, case, at=at)
    if case.state != State.submitted or step is None or received_at is None:
        return None
    settle_step(session, case, step, person_id=None, basis="silence", decision="approve", reason="", at=at)
    begin_handling(session, case, at=at, clock_from=received_at)
    begin_next(session, case, at=at)
    return record(session, case, person_id=None, act="accepted_by_silence", at=at)


def counts_from(session: Session, case: Case, *, at: datetime) -> datetime | None:
    """When the case was received whole, if nobody answered in time and it counts as accepted; else None."""
    if case.submitted_at is None:
        return None
    stands = telling_stands(session, case, item_of(session, case), load_calendar(session))
    if not isinstance(stands, date) or stands >= city_date(at):
        return None
    answered_at = session.scalar(select(Supplement.answered_at).where(Supplement.case_id == case.id))
    return answered_at or case.submitted_at


def abandon_supplement(session: Session, *, case_id: int, at: datetime) -> Outcome | None:
    """End a case whose supplement did not come within the item's limit; None if that is not so (any more).

    The package of its subject is nudged by the subject's kind to let it follow, and its sweep does so too.
    """
    case = get_case(session, case_id, lock=True)
    if case.state != State.supplement:
        return None
    asked_at = _supplement_of(session, case).asked_at
    days = item_of(session, case).supplement_answer_days
    if not answer_is_late(asked_at, days, at=at, calendar=load_calendar(session)):
        return None
    end_case(session, case, state=State.abandoned, at=at)
    tell_applicant(session, case, code="case_abandoned", at=at)
    enqueue(session, f"{case.subject_kind}.follow_case", case.id)
    return record(session, case, person_id=None, act="abandoned", at=at)


def _check_may_ask(session: Session, case: Case, at: datetime) -> None:
    before = session.scalar(select(Supplement).where(Supplement.case_id == case.id))
    if before is not None:
        raise SupplementAskedBefore(number=case.number, asked_on=city_date(before.asked_at).isoformat())
    item = item_of(session, case)
    stands = telling_stands(session, case, item, load_calendar(session))
    if isinstance(stands, date) and stands < city_date(at):
        raise SupplementTooLate(number=case.number, days=item.supplement_days, due_on=stands.isoformat())


def _supplement_of(session: Session, case: Case) -> Supplement:
    return session.scalars(select(Supplement).where(Supplement.case_id == case.id)).one()
