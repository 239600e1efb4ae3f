"""SELECTs on servers, their volumes and their leases."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, or_, select
from sqlalchemy.orm import Session

from identity.queries import subtree_ids
from infra.database import locked
from infra.errors import NotFound
from provisioning.models import WORKING, Lease, RequestLine, Server, Volume


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


def get_volume(session: Session, volume_id: int) -> Volume:
    """The volume's row. Raises: NotFound."""
    found = session.get(Volume, volume_id)
    if found is None:
        raise NotFound(what_zh="云硬盘", what_en="volume", key=volume_id)
    return found


def list_volumes_of(session: Session, server_id: int) -> Sequence[Volume]:
    """The server's data volumes, released ones too."""
    return session.scalars(select(Volume).where(Volume.server_id == server_id).order_by(Volume.id)).all()


def list_volumes_in_use(session: Session, server_ids: Collection[int]) -> Sequence[tuple[Volume, Server]]:
    """The active volumes of these servers, each with its server, by server."""
    query = select(Volume, Server).join(Server, Server.id == Volume.server_id)
    query = query.where(Volume.state == "active", Server.id.in_(server_ids))
    return [(one, its) for one, its in session.execute(query.order_by(Server.id, Volume.id))]


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


def find_recorded(
    session: Session, *, region: str, cloud_ids: Collection[str] = (), tag: str | None = None
) -> Server | None:
    """A server of the records that is one of these in the cloud, or has a volume that is, or bears the tag,
    itself or on a volume.
    """
    ours = Server.cloud_id.in_(cloud_ids)
    its = Server.id.in_(select(Volume.server_id).where(Volume.cloud_id.in_(cloud_ids)))
    found = or_(ours, its)
    if tag is not None:
        found = or_(found, and_(Server.tag == tag, Server.state.not_in(("failed", "given_up", "released"))))
        held = select(Volume.server_id).where(Volume.tag == tag, Volume.state.in_(("pending", "active")))
        found = or_(found, Server.id.in_(held))
    return session.scalar(select(Server).where(Server.region == region, found).order_by(Server.id).limit(1))


def list_due(session: Session, *, at: datetime, limit: int) -> Sequence[int]:
    """Ids of servers that wait for a visit since `at` or longer, the longest first."""
    due = or_(Server.next_try_at.is_(None), Server.next_try_at <= at)
    query = select(Server.id).where(Server.state.in_(WORKING), due)
    return session.scalars(query.order_by(Server.next_try_at, Server.id).limit(limit)).all()
