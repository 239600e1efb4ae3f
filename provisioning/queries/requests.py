"""SELECTs on requests and their lines."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from approval.flow import State
from approval.models import Case
from identity.models import Person
from identity.queries import subtree_ids
from infra.database import locked
from infra.errors import NotFound
from provisioning.models import Request, RequestLine, Server


def get_request(session: Session, request_id: int, *, lock: bool = False) -> Request:
    """The request, locked and as last committed if asked. Raises: NotFound."""
    query = select(Request).where(Request.id == request_id)
    if lock:
        query = locked(query, key_share=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound(what_zh="申请", what_en="request", key=request_id)
    return found


def list_requests(
    session: Session,
    *,
    within: int | None = None,
    bureau_ids: Collection[int] | None = None,
    system_id: int | None = None,
    applicant_id: int | None = None,
    state: str | None = None,
    kind: str | None = None,
    open_only: bool = False,
    before_id: int | None = None,
    limit: int = 50,
) -> Sequence[Request]:
    """A page of requests, newest first; `within` a bureau's subtree, of `bureau_ids` only.

    `open_only` leaves out those that have ended.
    """
    query = select(Request).order_by(Request.id.desc()).limit(limit)
    if within is not None:
        query = query.where(Request.bureau_id.in_(subtree_ids(within)))
    if bureau_ids is not None:
        query = query.where(Request.bureau_id.in_(bureau_ids))
    if system_id is not None:
        query = query.where(Request.system_id == system_id)
    if applicant_id is not None:
        query = query.where(Request.applicant_id == applicant_id)
    if state is not None:
        query = query.where(Request.state == state)
    if kind is not None:
        query = query.where(Request.kind == kind)
    if open_only:
        query = query.where(Request.ended_at.is_(None))
    if before_id is not None:
        query = query.where(Request.id < before_id)
    return session.scalars(query).all()


def list_left_behind(session: Session, *, case_id: int | None = None) -> list[tuple[int, str | None]]:
    """Requests that wait although their case ended without approval: (id, the case's outcome if decided)."""
    unapproved = or_(Case.state.in_((State.withdrawn, State.abandoned)), Case.outcome == "refused")
    query = select(Request.id, Case.outcome).join(Case, Case.id == Request.case_id)
    query = query.where(Request.state.in_(("draft", "submitted")), unapproved)
    query = query if case_id is None else query.where(Case.id == case_id)
    return [(request_id, outcome) for request_id, outcome in session.execute(query.order_by(Request.id))]


@dataclass(frozen=True)
class AppliedFor:
    """A request that waits for its applicant, with its case and how many of its servers failed."""

    request: Request
    case: Case
    failed: int


def list_applied_for(
    session: Session, *, applicant_id: int, stands_in_at: Collection[int] | None = (), limit: int = 100
) -> list[AppliedFor]:
    """The applicant's requests that wait for them, oldest first: to confirm, to supplement or to edit, or
    with servers that failed.

    Besides, those of the bureaus `stands_in_at` (None: all) to confirm or with failed servers whose
    applicants have left.
    """
    failed = (
        select(func.count(Server.id))
        .join(RequestLine, RequestLine.id == Server.line_id)
        .where(RequestLine.request_id == Request.id, Server.state == "failed")
        .scalar_subquery()
    )
    asked_back = and_(Request.state == "submitted", Case.state.in_((State.supplement, State.returned)))
    built = or_(Request.state == "confirming", and_(Request.state == "provisioning", failed > 0))
    left: ColumnElement[bool] = Person.departed_at.is_not(None)
    if stands_in_at is not None:
        left = and_(left, Request.bureau_id.in_(stands_in_at))
    query = (
        select(Request, Case, failed)
        .join(Case, Case.id == Request.case_id)
        .join(Person, Person.id == Request.applicant_id)
        .where(or_(and_(Request.applicant_id == applicant_id, or_(built, asked_back)), and_(left, built)))
        .order_by(Request.id)
        .limit(limit)
    )
    return [AppliedFor(*row) for row in session.execute(query)]


def count_open_requests(
    session: Session, *, applicant_id: int, bureau_ids: Collection[int] | None = None
) -> int:
    """How many of the applicant's requests, of `bureau_ids` only, have not ended."""
    query = select(func.count(Request.id)).where(Request.applicant_id == applicant_id)
    if bureau_ids is not None:
        query = query.where(Request.bureau_id.in_(bureau_ids))
    return session.scalars(query.where(Request.ended_at.is_(None))).one()


def find_adopting(
    session: Session, *, region: str, cloud_ids: Collection[str], besides: int | None
) -> RequestLine | None:
    """A line of another request, handed in and not ended, that would adopt or remove one of these."""
    query = select(RequestLine).join(Request, Request.id == RequestLine.request_id)
    query = query.where(Request.region == region, Request.state.in_(("submitted", "provisioning")))
    query = query.where(RequestLine.cloud_id.in_(cloud_ids), Request.id != (besides or 0))
    return session.scalar(query.order_by(RequestLine.id).limit(1))


def list_unseen(session: Session) -> Sequence[int]:
    """Ids of undecided requests with things to adopt or remove that nobody has looked at in the cloud."""
    query = select(RequestLine.request_id).join(Request, Request.id == RequestLine.request_id)
    query = query.where(Request.state.in_(("draft", "submitted")), RequestLine.cloud_id.is_not(None))
    query = query.where(RequestLine.seen.is_(None))
    return session.scalars(query.distinct().order_by(RequestLine.request_id)).all()


def list_lines(session: Session, request_id: int) -> Sequence[RequestLine]:
    """The request's lines in order."""
    query = select(RequestLine).where(RequestLine.request_id == request_id)
    return session.scalars(query.order_by(RequestLine.position)).all()
