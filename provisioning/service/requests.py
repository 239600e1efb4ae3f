"""Requests of every kind from draft to confirmation. Who says yes is approval's, what then is fulfil's.

Every act keeps the tree still before it locks a row: what it began for a bureau it ends for the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from approval import service as approval
from approval.flow import Decision, Outcome
from approval.queries import get_case
from identity.models import RoleAssignment
from identity.queries import get_system_by_id, list_chain
from identity.roles import Role
from identity.service.tree import keep_tree_still
from provisioning.errors import RequestInvalid, RequestOutdated, RequestState
from provisioning.models import Request, RequestLine
from provisioning.queries import get_finding, get_request, list_lines
from provisioning.quota import Limits
from provisioning.service.asking import LineAsked, check_request, with_servers
from provisioning.service.confirming import check_confirms
from provisioning.service.fulfil import find_request_shortfalls, fulfil
from provisioning.service.looking import check_seen, have_looked
from provisioning.service.settling import conclude_request, record_request
from provisioning.wording import REQUEST_STATES, state_facts

ITEM = "resource-request"
SUBJECT = "request"
FIRST_REVIEW = "first_review"


@dataclass(frozen=True)
class Submitted:
    """What became of a submission; `shortfalls` warns of quota that would be missing if it were verified
    now."""

    outcome: Outcome
    shortfalls: list[dict[str, Any]]


def draft_request(
    session: Session,
    *,
    kind: str,
    applicant_id: int,
    region: str,
    purpose: str,
    at: datetime,
    system_id: int | None = None,
    bureau_id: int | None = None,
    end_on: date | None = None,
    zone: str | None = None,
    lines: Sequence[LineAsked] = (),
    limit: Limits | None = None,
) -> Request:
    """A draft with its case. `end_on` is the last day in the city; `zone` None: the system's.

    The bureau is the system's, or `bureau_id` for a quota change or a removal. Raises RequestInvalid,
    NotFound.
    """
    keep_tree_still(session)
    system = None if system_id is None else get_system_by_id(session, system_id=system_id)
    if system is not None:
        session.refresh(system)  # whoever asked may have read it before the tree stood still
    owner = bureau_id if system is None else system.bureau_id
    if owner is None:
        raise RequestInvalid(why_zh="须指明信息系统", why_en="it names no information system")
    request = Request(
        kind=kind,
        state="draft",
        bureau_id=owner,
        system_id=system_id,
        region=region,
        zone=zone or (system.zone if system else None),
        end_on=end_on,
        purpose=purpose,
        limit=limit,
        applicant_id=applicant_id,
        created_at=at,
    )
    lines = with_servers(session, lines)
    check_request(session, request, lines, at=at)
    session.add(request)
    session.flush()
    _write_lines(session, request, lines)
    have_looked(session, request)
    case = approval.open_case(
        session,
        item_code=ITEM,
        applicant_id=applicant_id,
        bureau_id=owner,
        subject_kind=SUBJECT,
        subject_id=request.id,
        at=at,
    )
    request.case_id = case.id
    record_request(
        session, request, act="draft", at=at, actor=_person(applicant_id), after=_told(request, lines)
    )
    return request


def edit_request(
    session: Session,
    *,
    request_id: int,
    person_id: int,
    revision_seen: int,
    at: datetime,
    purpose: str | None = None,
    end_on: date | None = None,
    lines: Sequence[LineAsked] | None = None,
    limit: Limits | None = None,
) -> Outcome:
    """Change what is asked before it is decided; approvals of this round are void. None leaves a part.

    Raises as `draft_request`, NotApplicant, WrongState, Stale.
    """
    keep_tree_still(session)
    case_id = _case_id(get_request(session, request_id))
    get_case(session, case_id, lock=True)
    request = get_request(session, request_id, lock=True)
    old = [LineAsked.of(line) for line in list_lines(session, request.id)]
    before = _told(request, old)
    request.purpose = request.purpose if purpose is None else purpose
    request.end_on = request.end_on if end_on is None else end_on
    request.limit = request.limit if limit is None else limit
    lines = None if lines is None else with_servers(session, lines)
    new = old if lines is None else lines
    check_request(session, request, new, at=at)
    if lines is not None:
        session.execute(delete(RequestLine).where(RequestLine.request_id == request.id))
        _write_lines(session, request, lines)
        have_looked(session, request)
    return approval.edit_case(
        session,
        case_id=case_id,
        person_id=person_id,
        revision_seen=revision_seen,
        at=at,
        before=before,
        after=_told(request, new),
    )


def submit_request(session: Session, *, request_id: int, person_id: int, at: datetime) -> Submitted:
    """Hand a draft in; quota that is missing now is a warning only.

    The county's first review is taken by units under a county that has a reviewer. Raises NotFound,
    NotApplicant, WrongState, RequestInvalid.
    """
    keep_tree_still(session)
    case_id = _case_id(get_request(session, request_id))
    get_case(session, case_id, lock=True)
    request = get_request(session, request_id, lock=True)
    check_request(session, request, [LineAsked.of(line) for line in list_lines(session, request.id)], at=at)
    check_seen(session, request, decides=False)
    have_looked(session, request)
    places = _places(session, request, at=at)
    outcome = approval.submit_case(
        session,
        case_id=case_id,
        person_id=person_id,
        places=places,
        skip_steps=() if "county" in places else (FIRST_REVIEW,),
        at=at,
    )
    request.state = "submitted"
    short = find_request_shortfalls(session, request)
    record_request(
        session, request, act="submit", at=at, actor=_person(person_id), after={"shortfalls": short}
    )
    return Submitted(outcome, short)


def decide_request(
    session: Session,
    *,
    request_id: int,
    step_key: str,
    person_id: int,
    decision: Decision,
    revision_seen: int,
    at: datetime,
    reason: str = "",
) -> Outcome:
    """Decide a step of the request's case; its last approval claims all quota and starts the work.

    Where quota is missing, `QuotaExceeded` names every shortfall and nothing is done: the decision is not
    recorded either; so it is with `RequestOutdated`, for what would not be taken in now. Raises besides as
    `approval.service.decide`, NoSuchRegion, NotFound, ServerState.
    """
    keep_tree_still(session)
    outcome = approval.decide(
        session,
        case_id=_case_id(get_request(session, request_id)),
        step_key=step_key,
        person_id=person_id,
        decision=decision,
        revision_seen=revision_seen,
        at=at,
        reason=reason,
    )
    if not outcome.decided:
        return outcome
    request = get_request(session, request_id, lock=True)
    actor = _person(person_id)
    if outcome.approved:
        _check_still(session, request, at=at)
        request.state = "provisioning"
        fulfil(session, request, at=at, actor=actor)
    else:
        request.state, request.ended_at = "refused", at
    record_request(
        session, request, act="decide", at=at, actor=actor, after={"step": step_key, "reason": reason}
    )
    session.flush()
    conclude_request(session, request, at=at)
    return outcome


def confirm_request(session: Session, *, request_id: int, person_id: int, at: datetime) -> Request:
    """The applicant confirms what was built; only then it is active. Confirming again changes nothing.

    Once the applicant has left, an admin of the bureau stands in. Raises NotFound, NotTheApplicant,
    SamePerson, RequestState.
    """
    keep_tree_still(session)
    request = get_request(session, request_id, lock=True)
    check_confirms(session, request, person_id=person_id, at=at)
    if request.state == "active":
        return request
    if request.state != "confirming":
        raise RequestState(
            request_id=request.id,
            act_zh="确认",
            act_en="confirm it",
            **state_facts(REQUEST_STATES, request.state),
        )
    request.state, request.ended_at = "active", at
    record_request(session, request, act="confirm", at=at, actor=_person(person_id))
    return request


def withdraw_request(
    session: Session, *, request_id: int, person_id: int, at: datetime, reason: str = ""
) -> Outcome:
    """Take a request back until it is decided. Raises NotFound, NotApplicant, WrongState."""
    keep_tree_still(session)
    case_id = _case_id(get_request(session, request_id))
    outcome = approval.withdraw(session, case_id=case_id, person_id=person_id, at=at, reason=reason)
    request = get_request(session, request_id, lock=True)
    request.state, request.ended_at = "withdrawn", at
    record_request(session, request, act="withdraw", at=at, actor=_person(person_id))
    return outcome


def _check_still(session: Session, request: Request, *, at: datetime) -> None:
    """Raises RequestOutdated for what would be refused if it were handed in now."""
    lines = [LineAsked.of(line) for line in list_lines(session, request.id)]
    try:
        check_request(session, request, lines, at=at)
        check_seen(session, request, decides=True)
    except RequestInvalid as invalid:
        raise RequestOutdated(request_id=request.id, **invalid.facts) from invalid


def _write_lines(session: Session, request: Request, lines: Sequence[LineAsked]) -> None:
    session.add_all(
        RequestLine(
            request_id=request.id,
            position=position,
            count=line.count,
            flavor=line.flavor,
            image=line.image,
            volume_gib=line.volume_gib,
            target_id=line.target_id,
            cloud_id=line.cloud_id or _found_id(session, line),
            finding_id=line.finding_id,
            volume_id=line.volume_id,
            state="pending",
        )
        for position, line in enumerate(lines, start=1)
    )
    session.flush()


def _found_id(session: Session, line: LineAsked) -> str | None:
    return None if line.finding_id is None else get_finding(session, line.finding_id).cloud_id


def _places(session: Session, request: Request, *, at: datetime) -> dict[str, int]:
    """The office at the root of the tree, and the county above the bureau if it has a reviewer."""
    chain = list_chain(session, bureau_id=request.bureau_id)
    places = {"office": chain[-1].id}
    county = next((one.id for one in chain if one.level == "county" and one.is_territorial), None)
    if county is None:
        return places
    reviewers = select(RoleAssignment.id).where(
        RoleAssignment.bureau_id == county,
        RoleAssignment.role == Role.reviewer,
        RoleAssignment.person_id != request.applicant_id,
        RoleAssignment.valid_from <= at,
        or_(RoleAssignment.valid_to.is_(None), RoleAssignment.valid_to > at),
    )
    if session.scalar(reviewers.limit(1)) is not None:
        places["county"] = county
    return places


def _case_id(request: Request) -> int:
    """Raises RequestState for a request that an operator imported, which has no case."""
    if request.case_id is None:
        raise RequestState(
            request_id=request.id,
            act_zh="审批或修改：它由运营人员导入，没有办件",
            act_en="decide on it or change it: an operator imported it, and it has no case",
            **state_facts(REQUEST_STATES, request.state),
        )
    return request.case_id


def _person(person_id: int) -> str:
    return f"person:{person_id}"


def _told(request: Request, lines: Sequence[LineAsked]) -> dict[str, Any]:
    return {
        "kind": request.kind,
        "system_id": request.system_id,
        "region": request.region,
        "zone": request.zone,
        "end_on": request.end_on,
        "purpose": request.purpose,
        "limit": None if request.limit is None else request.limit.document(),
        "lines": [line.__dict__ for line in lines],
    }
