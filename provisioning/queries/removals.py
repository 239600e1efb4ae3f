"""SELECTs on what is removed from clouds."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from infra.database import locked
from infra.errors import NotFound
from provisioning.models import REMOVING, Removal, Request, RequestLine


def get_removal(session: Session, removal_id: int, *, lock: bool = False) -> Removal:
    """The removal, locked and as last committed if asked. Raises: NotFound."""
    query = select(Removal).where(Removal.id == removal_id)
    found = session.scalar(locked(query) if lock else query)
    if found is None:
        raise NotFound(what_zh="移除", what_en="removal", key=removal_id)
    return found


def find_removing(session: Session, *, region: str, cloud_ids: Collection[str]) -> Removal | None:
    """A removal under way of one of these."""
    query = select(Removal).where(Removal.region == region, Removal.cloud_id.in_(cloud_ids))
    return session.scalar(query.where(Removal.state.in_(REMOVING)).order_by(Removal.id).limit(1))


def read_leaving(session: Session, region: str) -> set[str]:
    """Ids in the cloud of the servers whose removal is under way."""
    query = select(Removal.cloud_id).where(Removal.region == region, Removal.thing == "server")
    return set(session.scalars(query.where(Removal.state.in_(REMOVING))))


def read_removed(session: Session, region: str, cloud_ids: Collection[str]) -> set[str]:
    """Which of these were removed: a listing that began before may still show them."""
    query = select(Removal.cloud_id).where(Removal.region == region, Removal.cloud_id.in_(cloud_ids))
    return set(session.scalars(query.where(Removal.state == "removed")))


def list_due_removals(session: Session, *, at: datetime, limit: int) -> Sequence[int]:
    """Ids of removals that wait for a visit since `at` or longer, the longest first."""
    due = or_(Removal.next_try_at.is_(None), Removal.next_try_at <= at)
    query = select(Removal.id).where(Removal.state.in_(REMOVING), due)
    return session.scalars(query.order_by(Removal.next_try_at, Removal.id).limit(limit)).all()


def removals_of(session: Session, request_id: int) -> dict[int, Removal]:
    """The removals of a request, by their lines."""
    query = select(Removal).join(RequestLine, RequestLine.id == Removal.line_id)
    found = session.scalars(query.where(RequestLine.request_id == request_id))
    return {one.line_id: one for one in found}


def find_removal_request(session: Session, finding_id: int) -> Request | None:
    """The request that has not ended and names the finding, the latest of several."""
    query = select(Request).join(RequestLine, RequestLine.request_id == Request.id)
    query = query.where(RequestLine.finding_id == finding_id, Request.ended_at.is_(None))
    return session.scalar(query.order_by(Request.id.desc()).limit(1))
