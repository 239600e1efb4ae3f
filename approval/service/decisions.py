"""What officials decide: accept a case, approve, refuse or return a step of it."""

from datetime import datetime

from sqlalchemy.orm import Session

from approval.errors import ReasonNeeded, StepNotActive
from approval.flow import ACCEPT, Decision, Outcome, State, allows, needs_reason
from approval.models import Case, CaseStep
from approval.queries import find_step, get_case
from approval.service.record import check_revision, record
from approval.service.steps import (
    begin_handling,
    begin_next,
    check_hand,
    end_case,
    end_round,
    rules_of,
    settle_step,
    step_facts,
    tell_applicant,
)
from approval.service.supplements import ask_supplement, counts_from
from approval.wording import STATES, STEP_STATES, both
from infra.errors import NotFound


def accept(session: Session, *, case_id: int, person_id: int, revision_seen: int, at: datetime) -> Outcome:
    """Accept (受理) a submitted case; the approval of its first step by another name. Raises as `decide`."""
    return decide(
        session,
        case_id=case_id,
        step_key=ACCEPT,
        person_id=person_id,
        decision="approve",
        revision_seen=revision_seen,
        at=at,
    )


def decide(
    session: Session,
    *,
    case_id: int,
    step_key: str,
    person_id: int,
    decision: Decision,
    revision_seen: int,
    at: datetime,
    reason: str = "",
) -> Outcome:
    """Decide the active step of a case; of simultaneous decisions exactly one holds.

    'approve' moves on, and ends the case as approved on its last step; 'refuse' ends it; 'return' sends it
    back to be edited, or asks for a supplement if it is not accepted yet. The person must hold the step's
    role at its bureau or above it, now. Raises NotFound, Stale, StepNotActive, RoleNeeded, SamePerson,
    ReasonNeeded and, for a return before acceptance, as `ask_supplement`.
    """
    if decision == "return" and step_key == ACCEPT:
        return ask_supplement(
            session, case_id=case_id, person_id=person_id, missing=reason, revision_seen=revision_seen, at=at
        )
    case = get_case(session, case_id, lock=True)
    step = find_step(session, case, step_key)
    if step is None:
        raise NotFound(
            what_zh=f"办件 {case.number} 的环节", what_en=f"step of case {case.number}", key=step_key
        )
    check_revision(case, revision_seen)
    check_active(session, case, step)
    check_hand(session, case, step, person_id, at)
    if needs_reason(decision) and not reason.strip():
        raise ReasonNeeded(number=case.number)
    received_at = counts_from(session, case, at=at)
    settle_step(
        session, case, step, person_id=person_id, basis="person", decision=decision, reason=reason, at=at
    )
    if decision == "refuse":
        end_case(session, case, state=State.decided, outcome="refused", at=at)
        tell_applicant(session, case, code="case_refused", at=at, reason=reason)
    elif decision == "return":
        end_round(session, case, at=at)
        case.state = State.returned
        tell_applicant(session, case, code="case_returned", at=at, reason=reason)
    else:
        if step_key == ACCEPT:
            begin_handling(session, case, at=at, clock_from=received_at or at)
        move_on(session, case, at=at)
    told = {"step": step_key, "decision": decision, "reason": reason, "revision_seen": revision_seen}
    return record(session, case, person_id=person_id, act="decided", at=at, after=told)


def move_on(session: Session, case: Case, *, at: datetime) -> None:
    """Begin the next step; without one the case is approved."""
    if begin_next(session, case, at=at) is None:
        end_case(session, case, state=State.decided, outcome="approved", at=at)
        tell_applicant(session, case, code="case_approved", at=at)


def check_active(session: Session, case: Case, step: CaseStep) -> None:
    """Raises StepNotActive unless the step waits for a decision and nothing holds the case up."""
    if step.state == "active" and allows("decide", case.state):
        return
    names = STATES[case.state] if step.state == "active" else STEP_STATES[step.state]
    rule = rules_of(session, case)[step.key]
    raise StepNotActive(number=case.number, **both(names, "state"), **step_facts(rule))
