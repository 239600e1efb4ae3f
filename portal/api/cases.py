"""Cases (办件), read: whose they are, their steps, decisions and clocks. Acts on them: case_acts.py."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from approval.flow import State
from approval.models import Case, CaseDecision, CaseStep, Item
from approval.queries import CaseView, get_case_in_sight, list_cases, view_case
from identity.models import Bureau, Person
from identity.queries import find_bureaus, find_persons
from identity.roles import Permission
from infra.clock import city_date
from infra.workdays import load_calendar
from portal.access import At, Reading
from portal.api.clocks import ClockOut
from portal.api.shapes import PREFIX, Cursor, Limit, Out, Page, api_router, id_of, page_of
from portal.needs import Asker, needs
from portal.revisions import tag
from portal.sight import sight_of

router = api_router("cases")

Reader = Annotated[Asker, needs(Permission.requests_see, Permission.subscriptions_see)]


class PersonNamed(Out):
    """Somebody who had a part in a case."""

    login: str = Field(examples=["minzheng"])
    name: str = Field(examples=["孙民政"])


class SubjectOut(Out):
    """What a case is about; `href` is where it is read, decided and withdrawn."""

    kind: str = Field(examples=["request"])
    id: int
    href: str = Field(examples=["/api/v1/requests/12"])

    @classmethod
    def of(cls, case: Case) -> "SubjectOut":
        """What the case names."""
        href = f"{PREFIX}/{case.subject_kind}s/{case.subject_id}"
        return cls(kind=case.subject_kind, id=case.subject_id, href=href)


class CaseOut(Out):
    """One case."""

    number: str = Field(examples=["BD-2026-000012"])
    item: str = Field(examples=["resource-request"])
    item_version: int
    item_zh: str = Field(examples=["政务云资源申请"])
    item_en: str = Field(examples=["Request for government cloud resources"])
    state: State
    outcome: str | None = Field(examples=["approved"])
    applicant: PersonNamed
    bureau: str = Field(examples=["1306-mzj"])
    subject: SubjectOut
    revision: int
    round: int
    opened_at: datetime
    submitted_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None


class DecisionOut(Out):
    """What was decided on a step: by a person, by silence, or automatically; void after an edit."""

    by: PersonNamed | None
    basis: str = Field(examples=["person"])
    decision: str = Field(examples=["approve"])
    reason: str
    revision_seen: int
    decided_at: datetime
    voided_at: datetime | None


class StepOut(Out):
    """A step of a round, and what was decided on it."""

    key: str = Field(examples=["review"])
    name_zh: str = Field(examples=["审核"])
    name_en: str = Field(examples=["review"])
    round: int
    role: str | None = Field(examples=["operator"])
    bureau: str = Field(examples=["1306"])
    state: str = Field(examples=["active"])
    began_at: datetime | None
    ended_at: datetime | None
    decision: DecisionOut | None


class SuspensionOut(Out):
    """Days, first and last included, that are not counted; `last_on` null: it still runs."""

    kind: str = Field(examples=["expert_review"])
    first_on: date
    last_on: date | None
    reason: str


class SupplementOut(Out):
    """What the applicant was told to add."""

    asked_by: PersonNamed
    missing: str
    asked_at: datetime
    answered_at: datetime | None


class CaseAlarmOut(Out):
    """A limit of the case has no date, as the calendar of `year` is not yet published."""

    kind: str = Field(examples=["calendar_not_published"])
    year: int
    raised_at: datetime


class CaseWhole(CaseOut):
    """A case with all that happened to it; steps of every round, in order."""

    steps: list[StepOut]
    clocks: list[ClockOut]
    suspensions: list[SuspensionOut]
    supplement: SupplementOut | None
    alarms: list[CaseAlarmOut]


@router.get("/cases")
def cases(
    asker: Reader,
    session: Reading,
    state: State | None = None,
    mine: Annotated[bool, Query(description="只看本人申请的 · those that you applied for")] = False,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[CaseOut]:
    """Your own cases, and those of bureaus whose requests or subscriptions you may see, newest first."""
    found = list_cases(
        session,
        sight=sight_of(session, asker.actor),
        applicant_id=asker.person_id if mine else None,
        state=state,
        before_id=id_of(cursor),
        limit=limit + 1,
    )
    shown = {case.id: one for case, one in zip(found, list_shown(session, found), strict=True)}
    return page_of(found, limit, shown=lambda case: shown[case.id], place=lambda case: case.id)


@router.get("/cases/{number}")
def case(asker: Reader, session: Reading, at: At, response: Response, number: str) -> CaseWhole:
    """One case; one that you may not see is not there for you. Its ETag is what edits and decisions carry."""
    found = get_case_in_sight(session, number, sight_of(session, asker.actor))
    tag(response, found.revision)
    return whole(session, found, at)


def list_shown(session: Session, found: Sequence[Case]) -> list[CaseOut]:
    """Cases as they are listed, in their order."""
    people = find_persons(session, {case.applicant_id for case in found})
    bureaus = find_bureaus(session, {case.bureau_id for case in found})
    items = {case.item_id: session.get_one(Item, case.item_id) for case in found}
    return [
        _shown(case, items[case.item_id], people[case.applicant_id], bureaus[case.bureau_id])
        for case in found
    ]


def whole(session: Session, found: Case, at: datetime) -> CaseWhole:
    """A case with all that happened to it, its clocks as they stand at `at`."""
    view = view_case(session, case_id=found.id, calendar=load_calendar(session), on=city_date(at))
    people = find_persons(session, _people_of(view))
    bureaus = find_bureaus(session, {found.bureau_id, *(step.bureau_id for step in view.steps)})
    short = _shown(found, view.item, people[found.applicant_id], bureaus[found.bureau_id])
    names = {rule.key: (rule.name_zh, rule.name_en) for rule in view.rules}
    decided = {decision.step_id: decision for decision in view.decisions}
    return CaseWhole(
        **dict(short),
        steps=[
            _step(step, names[step.key], bureaus[step.bureau_id].code, decided.get(step.id), people)
            for step in view.steps
        ],
        clocks=[ClockOut.of_view(clock) for clock in view.clocks],
        suspensions=[SuspensionOut.model_validate(each) for each in view.suspensions],
        supplement=None
        if view.supplement is None
        else SupplementOut(
            asked_by=PersonNamed.model_validate(people[view.supplement.asked_by]),
            missing=view.supplement.missing,
            asked_at=view.supplement.asked_at,
            answered_at=view.supplement.answered_at,
        ),
        alarms=[CaseAlarmOut.model_validate(alarm) for alarm in view.alarms],
    )


def _people_of(view: CaseView) -> set[int]:
    decided = {decision.person_id for decision in view.decisions if decision.person_id is not None}
    asked = {view.supplement.asked_by} if view.supplement else set()
    return {view.case.applicant_id, *decided, *asked}


def _shown(case: Case, item: Item, applicant: Person, bureau: Bureau) -> CaseOut:
    return CaseOut(
        number=case.number,
        item=item.code,
        item_version=item.version,
        item_zh=item.name_zh,
        item_en=item.name_en,
        state=State(case.state),
        outcome=case.outcome,
        applicant=PersonNamed.model_validate(applicant),
        bureau=bureau.code,
        subject=SubjectOut.of(case),
        revision=case.revision,
        round=case.round,
        opened_at=case.opened_at,
        submitted_at=case.submitted_at,
        accepted_at=case.accepted_at,
        ended_at=case.ended_at,
    )


def _step(
    step: CaseStep,
    names: tuple[str, str],
    bureau: str,
    decision: CaseDecision | None,
    people: dict[int, Person],
) -> StepOut:
    return StepOut(
        key=step.key,
        name_zh=names[0],
        name_en=names[1],
        round=step.round,
        role=step.role,
        bureau=bureau,
        state=step.state,
        began_at=step.began_at,
        ended_at=step.ended_at,
        decision=None
        if decision is None
        else DecisionOut(
            by=None if decision.person_id is None else PersonNamed.model_validate(people[decision.person_id]),
            basis=decision.basis,
            decision=decision.decision,
            reason=decision.reason,
            revision_seen=decision.revision_seen,
            decided_at=decision.decided_at,
            voided_at=decision.voided_at,
        ),
    )
