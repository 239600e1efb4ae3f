"""Requests for cloud resources: draft, edit, submit, decide, withdraw, confirm.

The ETag is the revision of the request's case: what was decided on is what was seen.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from approval.flow import Outcome
from approval.queries import get_case
from identity.queries import get_bureau, get_system
from identity.roles import Permission
from infra.clock import city_date
from infra.workdays import load_calendar
from portal.access import At, Reading, Writing
from portal.api.amounts import LimitsIn
from portal.api.request_shapes import LineIn, RequestOut, RequestRow, SubmittedOut, show_request, show_rows
from portal.api.shapes import Cursor, In, Limit, Page, api_router, id_of, page_of
from portal.asking import ASKERS, who_asks
from portal.deciding import DECIDERS, let_decide
from portal.needs import Asker, needs
from portal.numbers import RowId
from portal.once import Once
from portal.revisions import Seen, tag
from provisioning.models import Request
from provisioning.queries import get_request, list_requests
from provisioning.quota import Limits
from provisioning.service import requests
from provisioning.service.removal_asking import removing_of
from provisioning.wording import RequestKind

router = api_router("requests")
Sees = Annotated[Asker, needs(Permission.requests_see)]
Submits = Annotated[Asker, needs(*ASKERS)]


class RequestIn(In):
    """What is asked for; a quota change names its bureau and limit, a removal findings, any other kind its
    system and lines.
    """

    kind: RequestKind
    system: str | None = Field(
        None, max_length=64, examples=["1306-mzj-s1"], description="信息系统代码 · system"
    )
    bureau: str | None = Field(
        None, max_length=64, description="单位代码，仅配额调整 · for a quota change only"
    )
    region: str = Field(max_length=64, examples=["baoding"])
    purpose: str = Field(max_length=2000, examples=["智慧民生二期扩容"])
    end_on: date | None = Field(
        None, examples=["2027-12-31"], description="使用期限（含当日）· last day, inclusive"
    )
    lines: list[LineIn] = Field([], max_length=200)
    limit: LimitsIn | None = Field(None, description="新配额，仅配额调整 · for a quota change only")


class RequestEdit(In):
    """What changes; what is left out stays."""

    purpose: str | None = Field(None, max_length=2000)
    end_on: date | None = None
    lines: list[LineIn] | None = Field(None, max_length=200)
    limit: LimitsIn | None = None


class RequestDecisionIn(In):
    """A decision on the step that waits; to refuse or return needs a reason."""

    step: str = Field(max_length=32, examples=["review"], description="待办环节 · the step that waits")
    decision: Literal["approve", "refuse", "return"]
    reason: str = Field("", max_length=2000, examples=["用途不明确"])


class WithdrawalIn(In):
    """Why a request is taken back, if it is said."""

    reason: str = Field("", max_length=2000, examples=["不再需要"])


@router.get("/requests")
def list_(
    asker: Sees,
    session: Reading,
    bureau: Annotated[
        str | None, Query(max_length=64, description="该单位及下级 · with all below it")
    ] = None,
    system: Annotated[str | None, Query(max_length=64)] = None,
    state: Annotated[str | None, Query(max_length=16, examples=["submitted"])] = None,
    mine: Annotated[bool, Query(description="只看本人提交的 · only my own")] = False,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[RequestRow]:
    """Requests that the caller may see, newest first."""
    within = get_bureau(session, code=bureau).id if bureau else None
    if within is not None:
        asker.at(session, within)
    rows = list_requests(
        session,
        within=within,
        bureau_ids=asker.scope(session),  # of a token, its own bureau without those below
        system_id=get_system(session, code=system).id if system else None,
        applicant_id=asker.person_id if mine else None,
        state=state,
        before_id=id_of(cursor),
        limit=limit + 1,
    )
    shown = show_rows(session, rows)
    return page_of(rows, limit, shown=lambda row: shown[row.id], place=lambda row: row.id)


@router.get("/requests/{request_id}")
def show(asker: Sees, session: Reading, at: At, response: Response, request_id: RowId) -> RequestOut:
    """One request with its lines, servers and where its case stands."""
    found = get_request(session, request_id)
    asker.at(session, found.bureau_id)
    return _shown(session, found, at, response)


@router.post("/requests", status_code=201)
def draft(asker: Submits, session: Writing, at: At, once: Once, body: RequestIn) -> RequestOut:
    """Draft a request; nobody sees it as asked before it is submitted."""
    system = get_system(session, code=body.system) if body.system else None
    bureau_id = get_bureau(session, code=body.bureau).id if body.bureau else None
    if body.kind == "removal":
        bureau_id = removing_of(session, [one.finding for one in body.lines if one.finding is not None])[1]
    owner = system.bureau_id if system else bureau_id or asker.actor.bureau_id
    who_asks(asker, body.kind).at(session, owner)

    def act() -> RequestOut:
        made = requests.draft_request(
            session,
            kind=body.kind,
            applicant_id=asker.person_id,
            region=body.region,
            purpose=body.purpose,
            at=at,
            system_id=system.id if system else None,
            bureau_id=bureau_id,
            end_on=body.end_on,
            lines=[line.asked() for line in body.lines],
            limit=None if body.limit is None else Limits.parse(body.limit),
        )
        return _shown(session, made, at)

    return once(body, act)


@router.patch("/requests/{request_id}")
def edit(
    asker: Submits,
    session: Writing,
    at: At,
    seen: Seen,
    response: Response,
    request_id: RowId,
    body: RequestEdit,
) -> RequestOut:
    """Change what is asked before it is decided; approvals that it had are void."""
    found = _applied_for(asker, session, request_id)
    requests.edit_request(
        session,
        request_id=found.id,
        person_id=asker.person_id,
        revision_seen=seen,
        at=at,
        purpose=body.purpose,
        end_on=body.end_on,
        lines=None if body.lines is None else [line.asked() for line in body.lines],
        limit=None if body.limit is None else Limits.parse(body.limit),
    )
    return _shown(session, found, at, response)


@router.post("/requests/{request_id}/submit")
def submit(asker: Submits, session: Writing, at: At, once: Once, request_id: RowId) -> SubmittedOut:
    """Hand a draft in; quota that is missing now is a warning, not a refusal."""
    found = _applied_for(asker, session, request_id)

    def act() -> SubmittedOut:
        done = requests.submit_request(session, request_id=found.id, person_id=asker.person_id, at=at)
        return SubmittedOut(request=_shown(session, found, at), shortfalls=done.shortfalls)

    return once(None, act)


@router.post("/requests/{request_id}/decide")
def decide(
    asker: Annotated[Asker, needs(*DECIDERS)],
    session: Writing,
    at: At,
    seen: Seen,
    response: Response,
    request_id: RowId,
    body: RequestDecisionIn,
) -> RequestOut:
    """Decide the step that waits; the last approval claims all quota, or names every shortfall."""
    found = get_request(session, request_id)
    let_decide(session, asker, get_case(session, found.case_id or 0))
    requests.decide_request(
        session,
        request_id=found.id,
        step_key=body.step,
        person_id=asker.person_id,
        decision=body.decision,
        revision_seen=seen,
        at=at,
        reason=body.reason,
    )
    return _shown(session, found, at, response)


@router.post("/requests/{request_id}/withdraw")
def withdraw(
    asker: Submits, session: Writing, at: At, once: Once, request_id: RowId, body: WithdrawalIn
) -> RequestOut:
    """Take a request back until it is decided."""
    found = _applied_for(asker, session, request_id)
    return once(
        body,
        _after(
            session,
            found,
            at,
            lambda: requests.withdraw_request(
                session, request_id=found.id, person_id=asker.person_id, at=at, reason=body.reason
            ),
        ),
    )


@router.post("/requests/{request_id}/confirm")
def confirm(
    asker: Annotated[Asker, needs(Permission.requests_confirm)],
    session: Writing,
    at: At,
    once: Once,
    request_id: RowId,
) -> RequestOut:
    """The applicant confirms what was built, or a bureau admin once they have left; then it is active."""
    found = _asked_of(asker, session, request_id)
    return once(
        None,
        _after(
            session,
            found,
            at,
            lambda: requests.confirm_request(session, request_id=found.id, person_id=asker.person_id, at=at),
        ),
    )


def _applied_for(asker: Asker, session: Session, request_id: RowId) -> Request:
    found = get_request(session, request_id)
    who_asks(asker, found.kind).at(session, found.bureau_id)
    return found


def _asked_of(asker: Asker, session: Session, request_id: RowId) -> Request:
    found = get_request(session, request_id)
    asker.at(session, found.bureau_id)
    return found


def _after(
    session: Session, found: Request, at: datetime, act: Callable[[], Outcome | Request]
) -> Callable[[], RequestOut]:
    def done() -> RequestOut:
        act()
        return _shown(session, found, at)

    return done


def _shown(session: Session, found: Request, at: datetime, response: Response | None = None) -> RequestOut:
    out = show_request(session, found, calendar=load_calendar(session), on=city_date(at))
    if response is not None:
        tag(response, out.revision)
    return out
