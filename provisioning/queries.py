"""Reads of requests, their lines, servers, volumes, leases and what a region offers. No decisions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, func, or_, select
from sqlalchemy.orm import Session

from approval.flow import State
from approval.models import Case
from identity.models import Bureau, Person
from identity.queries import subtree_ids
from infra.database import locked
from infra.errors import NotFound
from provisioning.errors import NoSuchRegion
from provisioning.models import (
    WORKING,
    Grant,
    Lease,
    QuotaAccount,
    Region,
    RegionFlavor,
    RegionImage,
    RegionInventory,
    Request,
    RequestLine,
    Server,
    Volume,
)


def list_regions(session: Session) -> Sequence[Region]:
    """Every region that was opened, by name."""
    return session.scalars(select(Region).order_by(Region.name)).all()


def get_region(session: Session, name: str) -> Region:
    """The region of that name. Raises: NoSuchRegion."""
    found = session.get(Region, name)
    if found is None:
        raise NoSuchRegion(region=name)
    return found


def list_inventory(session: Session, region: str) -> Sequence[RegionInventory]:
    """What each provider of the region has of each dimension, as the cloud told it last."""
    query = select(RegionInventory).where(RegionInventory.region == region)
    return session.scalars(query.order_by(RegionInventory.dimension, RegionInventory.provider)).all()


def find_open_grant(session: Session, *, region: str, bureau_id: int) -> Grant | None:
    """What the bureau is granted now, and how; None if it never had an account."""
    query = select(Grant).where(
        Grant.bureau_id == bureau_id, Grant.region == region, Grant.valid_to.is_(None)
    )
    return session.scalars(query).one_or_none()


def list_grants(
    session: Session, *, region: str, bureau_id: int, before_id: int | None = None, limit: int = 50
) -> Sequence[Grant]:
    """What the bureau was granted, the newest first; `before_id` is the last one seen."""
    query = select(Grant).where(Grant.bureau_id == bureau_id, Grant.region == region)
    if before_id is not None:
        query = query.where(Grant.id < before_id)
    return session.scalars(query.order_by(Grant.id.desc()).limit(limit)).all()


def list_accounts_of(
    session: Session, *, region: str, bureau_ids: Collection[int]
) -> dict[int, QuotaAccount]:
    """The accounts of these bureaus in the region, by the bureau's id; those without one are left out."""
    query = select(QuotaAccount).where(QuotaAccount.region == region, QuotaAccount.bureau_id.in_(bureau_ids))
    return {account.bureau_id: account for account in session.scalars(query)}


def list_granted_children(
    session: Session,
    *,
    region: str,
    parent_id: int,
    bureau_ids: Collection[int] | None = None,
    after_code: str = "",
    limit: int = 50,
) -> Sequence[tuple[Bureau, QuotaAccount]]:
    """A page of the living bureaus right below, of `bureau_ids` only, with their accounts, by code."""
    query = (
        select(Bureau, QuotaAccount)
        .join(QuotaAccount, QuotaAccount.bureau_id == Bureau.id)
        .where(Bureau.parent_id == parent_id, Bureau.abolished_at.is_(None), Bureau.code > after_code)
        .where(QuotaAccount.region == region)
    )
    if bureau_ids is not None:
        query = query.where(Bureau.id.in_(bureau_ids))
    return [
        (bureau, account) for bureau, account in session.execute(query.order_by(Bureau.code).limit(limit))
    ]


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


def list_lines(session: Session, request_id: int) -> Sequence[RequestLine]:
    """The request's lines in order."""
    query = select(RequestLine).where(RequestLine.request_id == request_id)
    return session.scalars(query.order_by(RequestLine.position)).all()


def get_server(session: Session, server_id: int, *, lock: bool = False) -> Server:
    """The server's row, locked and as last committed if asked. Raises: NotFound."""
    query = select(Server).where(Server.id == server_id)
    if lock:
        query = locked(query, key_share=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound(what_zh="云服务器", what_en="server", key=server_id)
    return found


def list_servers(
    session: Session,
    *,
    within: int | None = None,
    bureau_ids: Collection[int] | None = None,
    system_id: int | None = None,
    region: str | None = None,
    states: Collection[str] | None = None,
    after_id: int = 0,
    limit: int | None = 50,
) -> Sequence[Server]:
    """A page of servers by id (`limit` None: all); `within` a bureau's subtree, of `bureau_ids` only."""
    query = select(Server).where(Server.id > after_id).order_by(Server.id).limit(limit)
    if within is not None:
        query = query.where(Server.bureau_id.in_(subtree_ids(within)))
    if bureau_ids is not None:
        query = query.where(Server.bureau_id.in_(bureau_ids))
    if system_id is not None:
        query = query.where(Server.system_id == system_id)
    if region is not None:
        query = query.where(Server.region == region)
    if states is not None:
        query = query.where(Server.state.in_(states))
    return session.scalars(query).all()


def list_servers_of(session: Session, request_id: int) -> Sequence[Server]:
    """The servers that the request asked for, by id."""
    query = select(Server).join(RequestLine, RequestLine.id == Server.line_id)
    return session.scalars(query.where(RequestLine.request_id == request_id).order_by(Server.id)).all()


def servers_by_id(session: Session, ids: Collection[int]) -> dict[int, Server]:
    """These servers, by id."""
    return {server.id: server for server in session.scalars(select(Server).where(Server.id.in_(ids)))}


def list_volumes_of(session: Session, server_id: int) -> Sequence[Volume]:
    """The server's data volumes, released ones too."""
    return session.scalars(select(Volume).where(Volume.server_id == server_id).order_by(Volume.id)).all()


def keys_held_by(which: ColumnElement[bool], *columns: ColumnElement[Any]) -> Subquery:
    """A table expression with `key` and `columns`: the allocation keys of those servers and of their
    volumes, each beside columns of its server.
    """
    servers = select(Server.allocation_key.label("key"), *columns).where(which)
    volumes = select(Volume.allocation_key, *columns).join(Server, Server.id == Volume.server_id)
    return servers.union_all(volumes.where(which)).subquery()


def find_lease(session: Session, server_id: int) -> Lease | None:
    """The server's lease."""
    return session.scalar(select(Lease).where(Lease.server_id == server_id))


def leases_of(session: Session, server_ids: Collection[int]) -> dict[int, Lease]:
    """The leases of these servers, by the server's id; those without one are left out."""
    query = select(Lease).where(Lease.server_id.in_(server_ids))
    return {lease.server_id: lease for lease in session.scalars(query)}


def list_flavors(session: Session, region: str) -> Sequence[RegionFlavor]:
    """What the region offers, by name."""
    query = select(RegionFlavor).where(RegionFlavor.region == region)
    return session.scalars(query.order_by(RegionFlavor.name)).all()


def list_images(session: Session, region: str) -> Sequence[RegionImage]:
    """What servers of the region can start from, by name."""
    query = select(RegionImage).where(RegionImage.region == region)
    return session.scalars(query.order_by(RegionImage.name)).all()


def find_flavor(session: Session, *, region: str, name: str) -> RegionFlavor | None:
    """The region's flavor of that name."""
    return session.scalar(
        select(RegionFlavor).where(RegionFlavor.region == region, RegionFlavor.name == name)
    )


def find_image(session: Session, *, region: str, name: str) -> RegionImage | None:
    """The region's image of that name."""
    return session.scalar(select(RegionImage).where(RegionImage.region == region, RegionImage.name == name))


def list_due(session: Session, *, at: datetime, limit: int) -> Sequence[int]:
    """Ids of servers that wait for a visit since `at` or longer, the longest first."""
    due = or_(Server.next_try_at.is_(None), Server.next_try_at <= at)
    query = select(Server.id).where(Server.state.in_(WORKING), due)
    return session.scalars(query.order_by(Server.next_try_at, Server.id).limit(limit)).all()
