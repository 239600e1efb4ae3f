"""SELECTs on cases, their items, steps and decisions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session, aliased

from approval.deadline import WorkCalendar
from approval.flow import StepRule, parse_steps
from approval.models import (
    Alarm,
    Case,
    CaseClock,
    CaseDecision,
    CaseStep,
    CaseSuspension,
    Item,
    Supplement,
)
from approval.queries.clocks import ClockView, suspensions_of, view_clock
from approval.queries.sight import Sight, is_seen
from infra.database import locked
from infra.errors import NotFound


@dataclass(frozen=True)
class CaseView:
    """All there is to show of a case; steps and decisions of every round, in order."""

    case: Case
    item: Item
    rules: tuple[StepRule, ...]
    steps: Sequence[CaseStep]
    decisions: Sequence[CaseDecision]
    clocks: Sequence[ClockView]
    suspensions: Sequence[CaseSuspension]
    supplement: Supplement | None
    alarms: Sequence[Alarm]


def get_item(session: Session, code: str, version: int | None = None) -> Item:
    """The item in `version`, or in its newest one; NotFound."""
    query = select(Item).where(Item.code == code).order_by(Item.version.desc()).limit(1)
    item = session.scalar(query if version is None else query.where(Item.version == version))
    if item is None:
        raise NotFound(what_zh="事项", what_en="item", key=code if version is None else f"{code} v{version}")
    return item


def list_items(session: Session) -> Sequence[Item]:
    """Each item in its newest version, by code."""
    other = aliased(Item)
    newest = select(func.max(other.version)).where(other.code == Item.code).scalar_subquery()
    return session.scalars(select(Item).where(Item.version == newest).order_by(Item.code)).all()


def get_case(session: Session, case_id: int, *, lock: bool = False) -> Case:
    """The case, with its row locked until the transaction ends if `lock`; NotFound."""
    query = select(Case).where(Case.id == case_id).execution_options(populate_existing=True)
    case = session.scalar(locked(query) if lock else query)
    if case is None:
        raise NotFound(what_zh="办件", what_en="case", key=case_id)
    return case


def get_case_in_sight(session: Session, number: str, sight: Sight) -> Case:
    """The case of that number; NotFound, also if it is out of sight."""
    case = session.scalar(select(Case).where(Case.number == number, is_seen(sight)))
    if case is None:
        raise NotFound(what_zh="办件", what_en="case", key=number)
    return case


def cases_by_id(session: Session, ids: Iterable[int]) -> dict[int, Case]:
    """These cases, by id."""
    return {case.id: case for case in session.scalars(select(Case).where(Case.id.in_(list(ids))))}


def item_of(session: Session, case: Case) -> Item:
    """The version of the item on which the case runs."""
    return session.get_one(Item, case.item_id)


def find_case_of(session: Session, subject_kind: str, subject_id: int) -> Case | None:
    """The newest case about a subject of a package above."""
    about = and_(Case.subject_kind == subject_kind, Case.subject_id == subject_id)
    return session.scalar(select(Case).where(about).order_by(Case.id.desc()).limit(1))


def list_cases(
    session: Session,
    *,
    sight: Sight | None = None,
    bureau_ids: Iterable[int] | None = None,
    applicant_id: int | None = None,
    state: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> Sequence[Case]:
    """A page of cases, newest first; the next page is `before_id` the last one's id.

    `sight` leaves out what is out of sight; None: every case is in it.
    """
    query = select(Case).order_by(Case.id.desc()).limit(limit)
    if sight is not None:
        query = query.where(is_seen(sight))
    if bureau_ids is not None:
        query = query.where(Case.bureau_id.in_(list(bureau_ids)))
    if applicant_id is not None:
        query = query.where(Case.applicant_id == applicant_id)
    if state is not None:
        query = query.where(Case.state == state)
    if before_id is not None:
        query = query.where(Case.id < before_id)
    return session.scalars(query).all()


def find_step(session: Session, case: Case, key: str) -> CaseStep | None:
    """The step of the case's present round."""
    return session.scalar(_steps_of_round(case).where(CaseStep.key == key))


def find_active_step(session: Session, case: Case) -> CaseStep | None:
    """The step that waits for a decision."""
    return session.scalar(_steps_of_round(case).where(CaseStep.state == "active"))


def list_round(session: Session, case: Case) -> Sequence[CaseStep]:
    """The steps of the case's present round, in order."""
    return session.scalars(_steps_of_round(case)).all()


def deciders(session: Session, case: Case) -> dict[str, int]:
    """Who decided which step of the present round: key to person."""
    query = (
        select(CaseStep.key, CaseDecision.person_id)
        .join(CaseDecision, CaseDecision.step_id == CaseStep.id)
        .where(CaseStep.case_id == case.id, CaseStep.round == case.round, CaseDecision.voided_at.is_(None))
    )
    return {key: person_id for key, person_id in session.execute(query) if person_id is not None}


def view_case(session: Session, *, case_id: int, calendar: WorkCalendar, on: date) -> CaseView:
    """Everything about a case, with its clocks as they stand on `on`; NotFound."""
    case = get_case(session, case_id)
    item = item_of(session, case)
    steps = session.scalars(
        select(CaseStep).where(CaseStep.case_id == case_id).order_by(CaseStep.round, CaseStep.position)
    ).all()
    keys: dict[int | None, str] = {step.id: step.key for step in steps}
    suspensions = suspensions_of(session, [case_id])[case_id]
    clocks = session.scalars(select(CaseClock).where(CaseClock.case_id == case_id).order_by(CaseClock.id))
    decisions = select(CaseDecision).where(CaseDecision.case_id == case_id).order_by(CaseDecision.id)
    alarms = select(Alarm).where(Alarm.case_id == case_id, Alarm.cleared_at.is_(None)).order_by(Alarm.id)
    return CaseView(
        case=case,
        item=item,
        rules=parse_steps(item.steps),
        steps=steps,
        decisions=session.scalars(decisions).all(),
        clocks=[view_clock(clock, keys.get(clock.step_id), suspensions, calendar, on) for clock in clocks],
        suspensions=suspensions,
        supplement=session.scalar(select(Supplement).where(Supplement.case_id == case_id)),
        alarms=session.scalars(alarms).all(),
    )


def _steps_of_round(case: Case) -> Select[CaseStep]:
    mine = select(CaseStep).where(CaseStep.case_id == case.id, CaseStep.round == case.round)
    return mine.order_by(CaseStep.position)
