"""Servers that a cloud has and no record: looking at them there, and taking them up into the records.

The cloud is asked before anybody decides, by a worker; what was seen then is what is decided on.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from provisioning.adoption import SeenVolume, Sighting
from provisioning.cloud.driver import Cloud, NotInCloud
from provisioning.cloud.observed import Server as Observed
from provisioning.errors import ServerRecorded
from provisioning.models import Request, RequestLine, Server, Volume
from provisioning.queries import find_recorded, get_request
from provisioning.service.adoption_standing import Standing, find_standing
from provisioning.service.removals import pass_alone, refuse_removing

NAME_LENGTH = 128


@dataclass(frozen=True)
class TakenUp:
    """The rows of servers that are taken up, with their volumes; nothing is claimed for them yet."""

    servers: list[Server]
    volumes: list[Volume]

    @property
    def held(self) -> list[Server | Volume]:
        """All that has to be claimed for."""
        return [*self.servers, *self.volumes]


def look(cloud: Cloud, cloud_ids: Collection[str]) -> dict[str, Sighting | None]:
    """The servers of these ids as they are now, None for one that is not there. Raises `CloudFailure`."""
    found: dict[str, Observed | None] = {}
    for one in cloud_ids:
        try:
            found[one] = cloud.get_server(one)
        except NotInCloud:
            found[one] = None
    there = [server for server in found.values() if server is not None]
    if not there:
        return dict.fromkeys(cloud_ids)
    codes = {one.id: one.bureau_code for one in cloud.list_projects()}
    images = {one.id: one.name for one in cloud.list_images()}
    volumes: dict[str, list[SeenVolume]] = {}
    crowd: Counter[str] = Counter()
    for project_id in sorted({server.project_id for server in there}):
        crowd[project_id] = len(cloud.list_servers(project_id=project_id))
        for volume in cloud.list_volumes(project_id=project_id):
            if volume.server_id is not None:
                seen = SeenVolume(id=volume.id, name=volume.name, size_gib=volume.size_gib)
                volumes.setdefault(volume.server_id, []).append(seen)

    def sight(server: Observed) -> Sighting:
        return see(
            server,
            volumes.get(server.id, []),
            bureau_code=codes.get(server.project_id, ""),
            crowd=crowd[server.project_id],
            images=images,
        )

    return {key: None if server is None else sight(server) for key, server in found.items()}


def see(
    server: Observed,
    volumes: Sequence[SeenVolume],
    *,
    bureau_code: str,
    crowd: int,
    images: Mapping[str, str],
) -> Sighting:
    """What matters of a server, its volumes, and its project in which `crowd` servers stand."""
    return Sighting(
        cloud_id=server.id,
        name=server.name,
        tag=server.tag,
        project_id=server.project_id,
        bureau_code=bureau_code,
        project_servers=crowd,
        status=server.status.value,
        flavor=server.flavor,
        vcpus=server.vcpus,
        ram_mib=server.ram_mib,
        root_gib=server.root_gib,
        image="" if server.image_id is None else images.get(server.image_id, server.image_id),
        zone=server.zone,
        volumes=tuple(sorted(volumes, key=lambda one: one.id)),
    )


def sighting_of(line: RequestLine) -> Sighting | None:
    """What was seen of the line's server; None if nobody has looked yet, or it was not there."""
    is_seen = line.finding_id is None and line.seen is not None and "name" in line.seen
    return Sighting.parse(line.seen or {}) if is_seen else None


def take_up(session: Session, request: Request, lines: Sequence[RequestLine], *, at: datetime) -> TakenUp:
    """Rows in the state `adopting` for what the lines saw. Raises ServerRecorded where another was first,
    BeingRemoved for what is.
    """
    _pass(session, request.region, [Sighting.parse(line.seen or {}) for line in lines])
    standings = _standings(session, request, lines, at=at)
    servers, volumes = [], []
    for line in lines:
        seen = Sighting.parse(line.seen or {})
        servers.append(_make_server(request, line, seen, standings[seen.project_id], at=at))
    _add(session, servers, region=request.region)
    for server, line in zip(servers, lines, strict=True):
        volumes += _make_volumes(server, line, Sighting.parse(line.seen or {}))
    _add(session, volumes, region=request.region)
    return TakenUp(servers, volumes)


def take_up_again(session: Session, server: Server, line: RequestLine, *, at: datetime) -> list[Volume]:
    """Have a server whose adoption failed be adopted once more, as it was seen; its volumes, made anew.

    Raises ServerRecorded where another was first, BeingRemoved.
    """
    seen = Sighting.parse(line.seen or {})
    request = get_request(session, line.request_id)
    _pass(session, request.region, [seen])
    standing = _standings(session, request, [line], at=at)[seen.project_id]
    session.execute(delete(Volume).where(Volume.server_id == server.id, Volume.state == "failed"))
    server.project_bureau_id, server.project = standing.bureau_id, standing.project
    server.cloud_id = line.cloud_id
    _add(session, [server], region=server.region)
    volumes = _make_volumes(server, line, seen)
    _add(session, volumes, region=server.region)
    return volumes


def _pass(session: Session, region: str, seen: Sequence[Sighting]) -> None:
    """Nobody begins to remove any of it meanwhile. Raises BeingRemoved."""
    pass_alone(session, region)
    ids = [key for one in seen for key in (one.cloud_id, *(volume.id for volume in one.volumes))]
    refuse_removing(session, region=region, cloud_ids=ids)


def _standings(
    session: Session, request: Request, lines: Sequence[RequestLine], *, at: datetime
) -> dict[str, Standing]:
    seen = [Sighting.parse(line.seen or {}) for line in lines]
    together = Counter(one.project_id for one in seen)

    any_of = {one.project_id: one for one in seen}
    return {
        project_id: find_standing(
            session,
            region=request.region,
            bureau_id=request.bureau_id,
            seen=any_of[project_id],
            together=together[project_id],
            at=at,
        )
        for project_id in sorted(together)
    }


def _make_server(
    request: Request, line: RequestLine, seen: Sighting, standing: Standing, *, at: datetime
) -> Server:
    tag = uuid4().hex
    return Server(
        tag=tag,
        name=seen.name[:NAME_LENGTH],
        line_id=line.id,
        work_line_id=line.id,
        system_id=request.system_id,
        bureau_id=request.bureau_id,
        project_bureau_id=standing.bureau_id,
        project=standing.project,
        region=request.region,
        zone=request.zone,
        image=seen.image,
        flavor=seen.flavor,
        amounts=seen.amounts,
        state="adopting",
        since_at=at,
        next_try_at=at,
        cloud_id=seen.cloud_id,
        allocation_key=f"server:{tag}",
    )


def _make_volumes(server: Server, line: RequestLine, seen: Sighting) -> list[Volume]:
    made = []
    for one in seen.volumes:
        tag = uuid4().hex
        made.append(
            Volume(
                tag=tag,
                name=one.name[:NAME_LENGTH],
                server_id=server.id,
                line_id=line.id,
                size_gib=one.size_gib,
                state="pending",
                cloud_id=one.id,
                allocation_key=f"volume:{tag}",
            )
        )
    return made


def _add(session: Session, rows: Sequence[Server | Volume], *, region: str) -> None:
    """Flushed at once: a unique index lets one of two who take up the same pass. Raises ServerRecorded."""
    ids = [one.cloud_id for one in rows if one.cloud_id is not None]
    try:
        with session.begin_nested():
            session.add_all(rows)
            session.flush()
    except IntegrityError as error:
        holder = find_recorded(session, region=region, cloud_ids=ids)
        if holder is None:
            raise
        raise ServerRecorded(cloud_id=holder.cloud_id, server=holder.name) from error
