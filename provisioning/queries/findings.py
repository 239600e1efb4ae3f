"""SELECTs on findings of audits, and on the records that an audit compares."""

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from infra.database import locked
from infra.errors import NotFound
from provisioning.comparison import RecordedServer, RecordedVolume, Records, Stand
from provisioning.models import Audit, Finding, MaintenanceMove, PushedQuota, Server, Volume

STANDS: dict[str, Stand] = {
    "active": "running", "stopped": "stopped", "failed": "gone", "given_up": "gone", "released": "gone",
}  # fmt: skip
"""How a server at rest stands in its cloud; in any other state, or on its way to another host, something is
under way.
"""
VOLUME_STANDS: dict[str, Stand] = {"active": "running", "failed": "gone", "released": "gone"}
GONE = tuple(state for state, stand in STANDS.items() if stand == "gone")
GONE_VOLUMES = tuple(state for state, stand in VOLUME_STANDS.items() if stand == "gone")
AT_ONCE = 500
"""As many ids as a statement is given."""
Seen = tuple[str, str | None]
"""What the cloud shows, by its id and its tag."""


def read_records(session: Session, region: str) -> Records:
    """What is recorded of the region and not gone."""
    projects = select(PushedQuota.project, PushedQuota.bureau_id).where(
        PushedQuota.region == region, PushedQuota.project.is_not(None)
    )
    return Records(
        servers=list(_servers(session, region, Server.state.not_in(GONE))),
        volumes=list(_volumes(session, region, Volume.state.not_in(GONE_VOLUMES))),
        owners={row.project: row.bureau_id for row in session.execute(projects)},
    )


def read_gone(
    session: Session,
    region: str,
    *,
    servers: Sequence[Seen],
    volumes: Sequence[Seen],
) -> Records:
    """Of what is gone by the records, that which the cloud shows under one of these ids or tags."""
    gone_servers = [
        one
        for some in _parts(servers)
        for one in _servers(session, region, Server.state.in_(GONE), _seen(Server, some))
    ]
    gone_volumes = [
        one
        for some in _parts(volumes)
        for one in _volumes(session, region, Volume.state.in_(GONE_VOLUMES), _seen(Volume, some))
    ]
    return Records(gone_servers, gone_volumes)


def stand_of(server: Server) -> Stand:
    """How its record says that it stands in the cloud, if no maintenance moves it."""
    return STANDS.get(server.state, "moving")


def get_finding(session: Session, finding_id: int, *, lock: bool = False) -> Finding:
    """The finding, locked if asked. Raises: NotFound."""
    query = select(Finding).where(Finding.id == finding_id)
    found = session.scalar(locked(query) if lock else query)
    if found is None:
        raise NotFound(what_zh="核对结果", what_en="finding", key=finding_id)
    return found


def list_findings(
    session: Session,
    *,
    region: str | None = None,
    bureau_ids: Collection[int] | None = None,
    kinds: Collection[str] | None = None,
    server_id: int | None = None,
    is_open: bool | None = True,
    is_acknowledged: bool | None = None,
    after_id: int = 0,
    limit: int | None = 50,
) -> Sequence[Finding]:
    """A page of findings by id (`limit` None: all); of `bureau_ids` only, without those of no known owner;
    `is_open` and `is_acknowledged` None: either.
    """
    query = select(Finding).where(Finding.id > after_id).order_by(Finding.id).limit(limit)
    if region is not None:
        query = query.where(Finding.region == region)
    if bureau_ids is not None:
        query = query.where(Finding.bureau_id.in_(bureau_ids))
    if kinds is not None:
        query = query.where(Finding.kind.in_(kinds))
    if server_id is not None:
        query = query.where(Finding.server_id == server_id)
    if is_open is not None:
        query = query.where(Finding.ended_at.is_(None) if is_open else Finding.ended_at.is_not(None))
    if is_acknowledged is not None:
        known = Finding.acknowledged_at
        query = query.where(known.is_not(None) if is_acknowledged else known.is_(None))
    return session.scalars(query).all()


def list_audits(session: Session) -> Sequence[Audit]:
    """The last audit of each region and scope."""
    return session.scalars(select(Audit).order_by(Audit.region, Audit.scope.desc())).all()


def _servers(session: Session, region: str, *which: ColumnElement[bool]) -> Iterator[RecordedServer]:
    columns = (
        Server.id, Server.tag, Server.name, Server.cloud_id, Server.bureau_id, Server.state, Server.revision,
        Server.flavor, Server.amounts,
    )  # fmt: skip
    moves = select(MaintenanceMove.server_id).where(MaintenanceMove.ended_at.is_(None))
    moved = set(session.scalars(moves))
    query = select(*columns).where(Server.region == region, *which).order_by(Server.id)
    for row in session.execute(query):
        yield RecordedServer(
            id=row.id,
            tag=row.tag,
            name=row.name,
            cloud_id=row.cloud_id,
            bureau_id=row.bureau_id,
            stand="moving" if row.id in moved else STANDS.get(row.state, "moving"),
            revision=row.revision,
            flavor=row.flavor,
            amounts=row.amounts,
        )


def _volumes(session: Session, region: str, *which: ColumnElement[bool]) -> Iterator[RecordedVolume]:
    columns = (
        Volume.id, Volume.tag, Volume.name, Volume.cloud_id, Volume.server_id, Volume.state, Volume.size_gib,
    )  # fmt: skip
    query = select(*columns).join(Server, Server.id == Volume.server_id).where(Server.region == region)
    for row in session.execute(query.where(*which).order_by(Volume.id)):
        yield RecordedVolume(
            id=row.id,
            tag=row.tag,
            name=row.name,
            cloud_id=row.cloud_id,
            server_id=row.server_id,
            stand=VOLUME_STANDS.get(row.state, "moving"),
            size_gib=row.size_gib,
        )


def _parts(seen: Sequence[Seen]) -> Iterator[Sequence[Seen]]:
    return (seen[start : start + AT_ONCE] for start in range(0, len(seen), AT_ONCE))


def _seen(table: type[Server] | type[Volume], some: Sequence[Seen]) -> ColumnElement[bool]:
    ids = [cloud_id for cloud_id, _ in some]
    tags = [tag for _, tag in some if tag is not None]
    return or_(table.cloud_id.in_(ids), table.tag.in_(tags))
