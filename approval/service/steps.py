"""The steps of a case: lay out a round, begin the next step, end the round or the case. No acts of people."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from approval.errors import PlaceMissing, RoleNeeded, SamePerson
from approval.flow import ACCEPT, APPLICANT, State, StepRule, clash, parse_steps
from approval.models import Case, CaseBranch, CaseDecision, CaseStep
from approval.queries import deciders, holds_role, item_of, list_round
from approval.service.clocks import end_suspensions, find_running_clock, start_clock, stop_clocks
from approval.service.record import notify
from approval.wording import APPLICANT_PART, Pair, both
from identity.models import Bureau
from infra.clock import city_date


def rules_of(session: Session, case: Case) -> dict[str, StepRule]:
    """The step rules of the version of the item that the case runs on, by key."""
    return {rule.key: rule for rule in parse_steps(item_of(session, case).steps)}


def lay_out(session: Session, case: Case, rules: Iterable[StepRule], places: Mapping[str, int]) -> None:
    """Lay out the steps of the case's present round; `places` says which bureau each scope means."""
    branch_id = session.scalars(select(CaseBranch.id).where(CaseBranch.case_id == case.id)).one()
    for position, rule in enumerate(rules):
        bureau_id = case.bureau_id if rule.scope == APPLICANT else places.get(rule.scope)
        if bureau_id is None:
            raise PlaceMissing(number=case.number, scope=rule.scope, **step_facts(rule))
        _add_step(session, case, branch_id, position, rule, bureau_id)
    session.flush()


def lay_out_again(session: Session, case: Case, *, at: datetime) -> None:
    """Void this round, and lay out the next one at the same places, without acceptance if it is past."""
    rules = rules_of(session, case)
    old = list_round(session, case)
    mine = CaseDecision.case_id == case.id, CaseDecision.voided_at.is_(None)
    session.execute(update(CaseDecision).where(*mine).values(voided_at=at))
    for step in old:
        step.state, step.ended_at = "void", step.ended_at or at
    session.flush()
    case.round += 1
    accepted = case.accepted_at is not None
    for step in old:
        if not (accepted and step.key == ACCEPT):
            _add_step(session, case, step.branch_id, step.position, rules[step.key], step.bureau_id)
    stop_clocks(session, case, at=at, kinds=("step",))


def begin_next(session: Session, case: Case, *, at: datetime) -> CaseStep | None:
    """Activate the next step and start its clock; automatic ones decide themselves. None: no step is left."""
    rules = rules_of(session, case)
    for step in list_round(session, case):
        if step.state != "waiting":
            continue
        rule = rules[step.key]
        step.state, step.began_at = "active", at
        session.flush()
        _start_clock_of(session, case, step, rule, at)
        if not rule.automatic:
            tell_step(session, case, step, rule, code="step_waiting", key=f"step_waiting:{step.id}", at=at)
            return step
        settle_step(
            session, case, step, person_id=None, basis="automatic", decision="approve", reason="", at=at
        )
    return None


def settle_step(
    session: Session,
    case: Case,
    step: CaseStep,
    *,
    person_id: int | None,
    basis: str,
    decision: str,
    reason: str,
    at: datetime,
) -> None:
    """Write the decision on the active step down, and stop its clock."""
    session.add(
        CaseDecision(
            case_id=case.id,
            step_id=step.id,
            round=case.round,
            person_id=person_id,
            basis=basis,
            decision=decision,
            reason=reason,
            revision_seen=case.revision,
            decided_at=at,
        )
    )
    step.state, step.ended_at = "done", at
    stop_clocks(session, case, at=at, kinds=("acceptance",) if step.key == ACCEPT else ("step",))


def begin_handling(session: Session, case: Case, *, at: datetime, clock_from: datetime) -> None:
    """Let the case count as accepted, and its handling clock run from the city's date at `clock_from`."""
    case.state, case.accepted_at = State.accepted, at
    start_clock(
        session,
        case,
        kind="handling",
        budget_days=item_of(session, case).promised_days,
        start_on=city_date(clock_from),
        at=at,
    )
    tell_applicant(session, case, code="case_accepted", at=at)


def end_round(session: Session, case: Case, *, at: datetime) -> None:
    """Let no step of the round wait any longer."""
    left = CaseStep.case_id == case.id, CaseStep.state.in_(("waiting", "active"))
    session.execute(update(CaseStep).where(*left).values(state="void", ended_at=at))
    session.flush()


def end_case(session: Session, case: Case, *, state: State, at: datetime, outcome: str | None = None) -> None:
    """End the case: no step waits, no clock runs."""
    case.state, case.outcome, case.ended_at = state, outcome, at
    end_round(session, case, at=at)
    stop_clocks(session, case, at=at, kinds=("acceptance", "handling", "step"))
    end_suspensions(session, case, at=at)


def check_hand(session: Session, case: Case, step: CaseStep, person_id: int, at: datetime) -> None:
    """Raises RoleNeeded or SamePerson unless the person may decide the step."""
    rules = rules_of(session, case)
    rule = rules[step.key]
    role = step.role or ""
    if not holds_role(session, person_id=person_id, role=role, bureau_id=step.bureau_id, at=at):
        bureau = session.get_one(Bureau, step.bureau_id).name
        raise RoleNeeded(number=case.number, role=role, bureau=bureau, **step_facts(rule))
    part = clash(rule, person_id, applicant_id=case.applicant_id, decided_by=deciders(session, case))
    if part is not None:
        names = APPLICANT_PART if part == APPLICANT else (rules[part].name_zh, rules[part].name_en)
        raise SamePerson(number=case.number, **both(names, "part"), **step_facts(rule))


def check_other_hand(session: Session, case: Case, person_id: int, *, step: Pair) -> None:
    """Raises SamePerson if the person decided a step of the case, for what comes after the last one: `step`
    names it in Chinese and English.
    """
    rules = rules_of(session, case)
    part = next((key for key, by in deciders(session, case).items() if by == person_id), None)
    if part is not None:
        names = rules[part].name_zh, rules[part].name_en
        raise SamePerson(number=case.number, **both(names, "part"), **both(step, "step"))


def step_facts(rule: StepRule) -> dict[str, str]:
    """The step's names as facts of an error or a notice."""
    return {"step_zh": rule.name_zh, "step_en": rule.name_en}


def tell_step(
    session: Session,
    case: Case,
    step: CaseStep,
    rule: StepRule,
    *,
    code: str,
    key: str,
    at: datetime,
    due_on: str | None = None,
) -> bool:
    """Leave a notice for those who may decide the step; whether it was new."""
    return notify(
        session,
        key=key,
        code=code,
        facts={"number": case.number, **step_facts(rule), "due_on": due_on},
        subject_kind="case",
        subject_id=case.id,
        at=at,
        role=step.role,
        bureau_id=step.bureau_id,
    )


def tell_applicant(session: Session, case: Case, *, code: str, at: datetime, reason: str = "") -> None:
    """Leave a notice for who applied, once per code and round."""
    notify(
        session,
        key=f"{code}:case:{case.id}:{case.round}",
        code=code,
        facts={"number": case.number, "reason": reason},
        subject_kind="case",
        subject_id=case.id,
        at=at,
        person_id=case.applicant_id,
    )


def _add_step(
    session: Session, case: Case, branch_id: int, position: int, rule: StepRule, bureau_id: int
) -> None:
    session.add(
        CaseStep(
            case_id=case.id,
            branch_id=branch_id,
            round=case.round,
            position=position,
            key=rule.key,
            role=rule.role,
            bureau_id=bureau_id,
            state="waiting",
        )
    )


def _start_clock_of(session: Session, case: Case, step: CaseStep, rule: StepRule, at: datetime) -> None:
    running = find_running_clock(session, case, "acceptance") if step.key == ACCEPT else None
    if running is not None:
        running.step_id = step.id
        session.flush()
        return
    kind = "acceptance" if step.key == ACCEPT else "step"
    start_clock(
        session, case, kind=kind, budget_days=rule.limit_days, start_on=city_date(at), at=at, step=step
    )
