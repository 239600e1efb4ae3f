"""What an applicant does with a case: open, submit, edit, withdraw."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from approval.flow import ACCEPT, Outcome, State, parse_steps, taken_steps
from approval.models import Case, CaseBranch, CaseCounter
from approval.queries import get_case, get_item, item_of
from approval.service.decisions import move_on
from approval.service.record import check_act, check_applicant, check_revision, record
from approval.service.steps import begin_handling, begin_next, end_case, lay_out, lay_out_again
from infra.clock import city_date
from infra.database import insert_once

NUMBER_PREFIX = "BD"


def open_case(
    session: Session,
    *,
    item_code: str,
    applicant_id: int,
    bureau_id: int,
    subject_kind: str,
    subject_id: int,
    at: datetime,
) -> Case:
    """A draft on the item's newest version, about a subject of a package above. NotFound for the item."""
    item = get_item(session, item_code)
    case = Case(
        number=_next_number(session, city_date(at).year),
        item_id=item.id,
        applicant_id=applicant_id,
        bureau_id=bureau_id,
        subject_kind=subject_kind,
        subject_id=subject_id,
        state=State.draft,
        revision=1,
        round=1,
        opened_at=at,
    )
    session.add(case)
    session.flush()
    session.add(CaseBranch(case_id=case.id, key="main"))
    subject = {"item": item.code, "version": item.version, "about": f"{subject_kind}:{subject_id}"}
    record(session, case, person_id=applicant_id, act="opened", at=at, after=subject)
    return case


def submit_case(
    session: Session,
    *,
    case_id: int,
    person_id: int,
    places: Mapping[str, int],
    at: datetime,
    skip_steps: Iterable[str] = (),
) -> Outcome:
    """Submit a draft: its first step waits, or it is decided already if its steps are automatic.

    `places`: which bureau each scope of the item's steps means ('office', 'county', 'provider'; 'applicant'
    is known). `skip_steps`: keys of steps that do not apply. An item without an acceptance step accepts at
    once. Raises NotFound, NotApplicant, WrongState, PlaceMissing; ValueError for unknown steps to skip.
    """
    case = get_case(session, case_id, lock=True)
    check_applicant(case, person_id, "submit")
    check_act(case, "submit")
    rules = taken_steps(parse_steps(item_of(session, case).steps), skip_steps)
    lay_out(session, case, rules, places)
    case.state, case.submitted_at = State.submitted, at
    if rules[0].key != ACCEPT:
        begin_handling(session, case, at=at, clock_from=at)
    move_on(session, case, at=at)
    return record(session, case, person_id=person_id, act="submitted", at=at)


def edit_case(
    session: Session,
    *,
    case_id: int,
    person_id: int,
    revision_seen: int,
    at: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Outcome:
    """Note that the applicant changed what is asked: approvals of this round are void, the steps begin again.

    The limits that run on the case go on. `before` and `after` go to the journal. Raises NotFound,
    NotApplicant, WrongState, Stale.
    """
    case = get_case(session, case_id, lock=True)
    check_applicant(case, person_id, "edit")
    check_act(case, "edit")
    check_revision(case, revision_seen)
    case.revision += 1
    if case.state in (State.submitted, State.accepted, State.returned):
        lay_out_again(session, case, at=at)
        case.state = State.submitted if case.accepted_at is None else State.accepted
        begin_next(session, case, at=at)
    return record(session, case, person_id=person_id, act="edited", at=at, before=before, after=after)


def withdraw(session: Session, *, case_id: int, person_id: int, at: datetime, reason: str = "") -> Outcome:
    """End the case at the applicant's wish until it is decided. Raises NotFound, NotApplicant, WrongState."""
    case = get_case(session, case_id, lock=True)
    check_applicant(case, person_id, "withdraw")
    check_act(case, "withdraw")
    end_case(session, case, state=State.withdrawn, at=at)
    return record(session, case, person_id=person_id, act="withdrawn", at=at, after={"reason": reason})


def _next_number(session: Session, year: int) -> str:
    insert_once(session, CaseCounter, year=year, last=0)
    counter = update(CaseCounter).where(CaseCounter.year == year).values(last=CaseCounter.last + 1)
    last = session.execute(counter.returning(CaseCounter.last)).scalar_one()
    return f"{NUMBER_PREFIX}-{year}-{last:06d}"
