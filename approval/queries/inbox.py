"""SELECTs on what waits for a person: steps to decide, notices to read, by the roles they hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, and_, false, literal, or_, select
from sqlalchemy.orm import Session, aliased

from approval.deadline import Card, Standing, WorkCalendar
from approval.flow import ALLOWED, HeldRole, State, StepRule, clash, parse_steps
from approval.models import (
    Case,
    CaseClock,
    CaseDecision,
    CaseStep,
    Item,
    Notice,
)
from approval.queries.clocks import ClockView, suspensions_of, view_clock
from identity.models import Bureau, RoleAssignment
from infra.errors import NotFound


@dataclass(frozen=True)
class InboxRow:
    """A step that waits for the person who asks."""

    step_id: int
    case_id: int
    number: str
    item_code: str
    item_zh: str
    item_en: str
    step_key: str
    step_zh: str
    step_en: str
    applicant_id: int
    bureau_id: int
    subject_kind: str
    subject_id: int
    revision: int
    began_at: datetime | None
    stands: Standing
    card: Card


def holds_role(session: Session, *, role: str, bureau_id: int, at: datetime, person_id: int | None) -> bool:
    """Whether the person (None: anybody) holds `role` at the bureau or above it, at `at`."""
    chain = _chains(select(Bureau.id).where(Bureau.id == bureau_id))
    query = (
        select(RoleAssignment.id)
        .join(chain, chain.c.above_id == RoleAssignment.bureau_id)
        .where(RoleAssignment.role == role, RoleAssignment.valid_from <= at)
        .where(or_(RoleAssignment.valid_to.is_(None), RoleAssignment.valid_to > at))
    )
    if person_id is not None:
        query = query.where(RoleAssignment.person_id == person_id)
    return session.scalar(query.limit(1)) is not None


def list_inbox(
    session: Session,
    *,
    person_id: int,
    roles: Iterable[tuple[str, int]],
    calendar: WorkCalendar,
    on: date,
    after_step_id: int = 0,
    limit: int = 50,
) -> list[InboxRow]:
    """A page of the active steps that this person, with these roles, may decide; oldest first.

    A step that another part of the person's in the case rules out is left out.
    """
    held = {HeldRole(*each) for each in roles}
    if not held:
        return []
    acted = _parts_of(session, person_id)
    chain = _chains(select(CaseStep.bureau_id.label("id")).where(CaseStep.state == "active").distinct())
    may = [and_(CaseStep.role == each.role, chain.c.above_id == each.bureau_id) for each in sorted(held)]
    reached = select(CaseStep.id).join(chain, chain.c.id == CaseStep.bureau_id).where(or_(*may))
    query = (
        select(CaseStep, Case, Item, CaseClock)
        .join(Case, Case.id == CaseStep.case_id)
        .join(Item, Item.id == Case.item_id)
        .join(CaseClock, and_(CaseClock.step_id == CaseStep.id, CaseClock.ended_at.is_(None)))
        .where(CaseStep.state == "active", Case.state.in_(ALLOWED["decide"]))
        .where(CaseStep.id.in_(reached))
        .order_by(CaseStep.id)
    )
    picked: list[tuple[CaseStep, Case, Item, CaseClock, StepRule]] = []
    while len(picked) < limit:
        page = session.execute(query.where(CaseStep.id > after_step_id).limit(limit)).all()
        for step, case, item, clock in page:
            rule = next(rule for rule in parse_steps(item.steps) if rule.key == step.key)
            mine = dict.fromkeys(acted.get((case.id, case.round), ()), person_id)
            if clash(rule, person_id, applicant_id=case.applicant_id, decided_by=mine) is None:
                picked.append((step, case, item, clock, rule))
        if len(page) < limit:
            break
        after_step_id = page[-1][0].id
    picked = picked[:limit]
    suspensions = suspensions_of(session, [case.id for _, case, *_ in picked])
    return [
        _inbox_row(step, case, item, rule, view_clock(clock, step.key, suspensions[case.id], calendar, on))
        for step, case, item, clock, rule in picked
    ]


def list_notices(
    session: Session,
    *,
    person_id: int,
    roles: Iterable[tuple[str, int]] = (),
    unread_only: bool = True,
    before_id: int | None = None,
    limit: int = 50,
) -> Sequence[Notice]:
    """A page of the notices for the person or for one of their roles, newest first."""
    query = select(Notice).where(_reaches(person_id, roles))
    if unread_only:
        query = query.where(Notice.read_at.is_(None))
    if before_id is not None:
        query = query.where(Notice.id < before_id)
    return session.scalars(query.order_by(Notice.id.desc()).limit(limit)).all()


def get_notice(
    session: Session, *, notice_id: int, person_id: int, roles: Iterable[tuple[str, int]]
) -> Notice:
    """A notice for the person or for one of their roles; NotFound, also if it is for others."""
    notice = session.scalar(select(Notice).where(Notice.id == notice_id, _reaches(person_id, roles)))
    if notice is None:
        raise NotFound(what_zh="通知", what_en="notice", key=notice_id)
    return notice


def _chains(bureau_ids: Select[Any]) -> CTE:
    """(id, above_id): each of the bureaus with itself and every bureau above it."""
    wanted = bureau_ids.subquery()
    start = select(Bureau.id.label("id"), Bureau.id.label("above_id"), Bureau.parent_id.label("next_id"))
    chain = start.join(wanted, wanted.c.id == Bureau.id).cte("chain", recursive=True)
    above = aliased(Bureau)
    climb = select(chain.c.id, above.id, above.parent_id).join(above, above.id == chain.c.next_id)
    return chain.union_all(climb)


def _reaches(person_id: int, roles: Iterable[tuple[str, int]]) -> ColumnElement[bool]:
    return or_(Notice.person_id == person_id, _reaches_role(roles))


def _reaches_role(roles: Iterable[tuple[str, int]]) -> ColumnElement[bool]:
    held = sorted({HeldRole(*each) for each in roles})
    if not held:
        return false()
    chain = _chains(
        select(Notice.bureau_id.label("id")).where(Notice.role.in_({each.role for each in held})).distinct()
    )
    reached = select(literal(1)).where(chain.c.id == Notice.bureau_id)
    may = [and_(Notice.role == each.role, chain.c.above_id == each.bureau_id) for each in held]
    return reached.where(or_(*may)).correlate(Notice).exists()


def _parts_of(session: Session, person_id: int) -> dict[tuple[int, int], set[str]]:
    """The steps that the person decided in open cases: (case, round) to keys."""
    query = (
        select(CaseStep.case_id, CaseStep.round, CaseStep.key)
        .join(CaseDecision, CaseDecision.step_id == CaseStep.id)
        .join(Case, Case.id == CaseStep.case_id)
        .where(CaseDecision.person_id == person_id, CaseDecision.voided_at.is_(None))
        .where(Case.state == State.accepted)
    )
    parts: dict[tuple[int, int], set[str]] = {}
    for case_id, case_round, key in session.execute(query):
        parts.setdefault((case_id, case_round), set()).add(key)
    return parts


def _inbox_row(step: CaseStep, case: Case, item: Item, rule: StepRule, clock: ClockView) -> InboxRow:
    return InboxRow(
        step_id=step.id,
        case_id=case.id,
        number=case.number,
        item_code=item.code,
        item_zh=item.name_zh,
        item_en=item.name_en,
        step_key=step.key,
        step_zh=rule.name_zh,
        step_en=rule.name_en,
        applicant_id=case.applicant_id,
        bureau_id=case.bureau_id,
        subject_kind=case.subject_kind,
        subject_id=case.subject_id,
        revision=case.revision,
        began_at=step.began_at,
        stands=clock.stands,
        card=clock.card,
    )
