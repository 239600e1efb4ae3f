"""SELECTs on hosts that are taken out of service."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from infra.database import locked
from infra.errors import NotFound
from provisioning.cloud import observed
from provisioning.models import Maintenance, MaintenanceMeets, MaintenanceMove, Server


def get_maintenance(session: Session, maintenance_id: int, *, lock: bool = False) -> Maintenance:
    """The maintenance, locked if asked. Raises: NotFound."""
    query = select(Maintenance).where(Maintenance.id == maintenance_id)
    found = session.scalar(locked(query) if lock else query)
    if found is None:
        raise NotFound(what_zh="维护", what_en="maintenance", key=maintenance_id)
    return found


def list_maintenances(
    session: Session,
    *,
    region: str | None = None,
    host: str | None = None,
    bureau_ids: Collection[int] | None = None,
    states: Collection[str] | None = None,
    after_id: int = 0,
    limit: int | None = 50,
) -> Sequence[Maintenance]:
    """A page of maintenances by id (`limit` None: all); of those only that met one of `bureau_ids`."""
    query = select(Maintenance).where(Maintenance.id > after_id).order_by(Maintenance.id).limit(limit)
    if region is not None:
        query = query.where(Maintenance.region == region)
    if host is not None:
        query = query.where(Maintenance.host == host)
    if bureau_ids is not None:
        met = select(MaintenanceMeets.maintenance_id).where(MaintenanceMeets.bureau_id.in_(bureau_ids))
        query = query.where(Maintenance.id.in_(met))
    if states is not None:
        query = query.where(Maintenance.state.in_(states))
    return session.scalars(query).all()


def meets_of(session: Session, maintenance_id: int) -> Sequence[MaintenanceMeets]:
    """The bureaus that it meets or met, in the order in which they were told."""
    query = select(MaintenanceMeets).where(MaintenanceMeets.maintenance_id == maintenance_id)
    return session.scalars(query.order_by(MaintenanceMeets.id)).all()


def moves_of(session: Session, maintenance_id: int) -> Sequence[MaintenanceMove]:
    """What it has moved or tried to, in the order in which it began."""
    query = select(MaintenanceMove).where(MaintenanceMove.maintenance_id == maintenance_id)
    return session.scalars(query.order_by(MaintenanceMove.id)).all()


def recorded_among(
    session: Session, region: str, servers: Collection[observed.Server]
) -> Mapping[str, Server]:
    """The records of servers that the cloud shows, by their ids there; by the tag before that is known."""
    ids = {one.id: one.id for one in servers}
    tags = {one.tag: one.id for one in servers if one.tag is not None}
    query = select(Server).where(
        Server.region == region,
        or_(Server.cloud_id.in_(ids), Server.cloud_id.is_(None) & Server.tag.in_(tags)),
    )
    return {row.cloud_id or tags[row.tag]: row for row in session.scalars(query)}
