"""What every act on a case leaves behind: its journal entry, its notices, its Outcome."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from approval.errors import NotApplicant, WrongState
from approval.flow import Outcome, State, allows
from approval.models import Case, CaseClock, CaseStep, Notice
from approval.queries import find_active_step
from approval.wording import ACTS, STATES, both
from identity.actor import INSTALLATION
from infra.database import insert_once
from infra.errors import Stale
from infra.journal import append


def record(
    session: Session,
    case: Case,
    *,
    person_id: int | None,
    act: str,
    at: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Outcome:
    """Journal the act of a person (None: the platform itself) on the case; returns where the case now is.

    What was told to those who decide counts as read where it is past, such as that a step waits for them.
    """
    session.flush()
    _settle_notices(session, case, at=at)
    step = find_active_step(session, case)
    after = {"state": case.state, "revision": case.revision, "round": case.round, **(after or {})}
    append(
        session,
        actor=INSTALLATION.journal_id if person_id is None else f"person:{person_id}",
        act=f"case.{act}",
        subject=f"case:{case.id}",
        bureau_id=case.bureau_id,
        at=at,
        before=before,
        after=after,
    )
    return Outcome(
        case_id=case.id,
        number=case.number,
        state=State(case.state),
        outcome=case.outcome,  # type: ignore[arg-type]  # the table's constraint holds it to the two outcomes
        revision=case.revision,
        next_step=step.key if step else None,
        next_bureau_id=step.bureau_id if step else None,
        subject_kind=case.subject_kind,
        subject_id=case.subject_id,
    )


def check_act(case: Case, act: str) -> None:
    """Raises WrongState unless `act` is possible where the case is."""
    if not allows(act, case.state):
        raise wrong_state(case, act)


def check_applicant(case: Case, person_id: int, act: str) -> None:
    """Raises NotApplicant unless the person applied."""
    if case.applicant_id != person_id:
        raise NotApplicant(number=case.number, **both(ACTS[act], "act"))


def check_revision(case: Case, revision_seen: int) -> None:
    """Raises Stale if the case was edited since the person looked."""
    if case.revision != revision_seen:
        raise Stale(seen=revision_seen, now=case.revision)


def wrong_state(case: Case, act: str) -> WrongState:
    """The refusal of `act` where the case is."""
    return WrongState(number=case.number, **both(STATES[case.state], "state"), **both(ACTS[act], "act"))


def notify(
    session: Session,
    *,
    key: str,
    code: str,
    facts: dict[str, Any],
    subject_kind: str,
    subject_id: int,
    at: datetime,
    person_id: int | None = None,
    role: str | None = None,
    bureau_id: int | None = None,
) -> bool:
    """Leave a notice for a person or a bureau's role, once per `key`; whether it was new."""
    return insert_once(
        session,
        Notice,
        key=key,
        code=code,
        facts=facts,
        subject_kind=subject_kind,
        subject_id=subject_id,
        made_at=at,
        person_id=person_id,
        role=role,
        bureau_id=bureau_id,
    )


def _settle_notices(session: Session, case: Case, *, at: datetime) -> None:
    """Mark as read what deciders were told of steps that wait no more, and of limits that no longer run."""
    mine = Notice.subject_kind == "case", Notice.subject_id == case.id
    notices = session.scalars(
        select(Notice).where(*mine, Notice.role.is_not(None), Notice.read_at.is_(None))
    ).all()
    if not notices:
        return
    active = select(CaseStep.id).where(CaseStep.case_id == case.id, CaseStep.state == "active")
    running = select(CaseClock.id).where(CaseClock.case_id == case.id, CaseClock.ended_at.is_(None))
    steps, clocks = set(session.scalars(active)), set(session.scalars(running))
    for notice in notices:
        if _is_past(notice.key, steps, clocks):
            notice.read_at = at
    session.flush()


def _is_past(key: str, steps: set[int], clocks: set[int]) -> bool:
    """Whether the step of 'step_waiting:7', or the clock of 'due_soon:clock:3:…', is none of those."""
    code, *about = key.split(":")
    if code == "step_waiting":
        return int(about[0]) not in steps
    return about[:1] == ["clock"] and int(about[1]) not in clocks
