"""Servers: as they should be and as they were seen last; what may be done with one."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from identity.queries import find_bureaus, find_systems, get_bureau, get_system
from identity.roles import Permission
from infra.database import reading
from portal.access import At, Here, Reading, Writing
from portal.api.amounts import LimitsOut, limits_out
from portal.api.shapes import Cursor, In, Limit, Out, Page, api_router, id_of, page_of
from portal.clouds import cloud_of
from portal.needs import Asker, needs
from portal.numbers import RowId
from portal.once import Once
from provisioning.models import Server
from provisioning.queries import get_server, leases_of, list_servers, list_volumes_of
from provisioning.service import servers
from provisioning.service.consoles import open_console

router = api_router("servers")
Sees = Annotated[Asker, needs(Permission.servers_see)]
Operates = Annotated[Asker, needs(Permission.servers_operate)]
Submits = Annotated[Asker, needs(Permission.requests_submit)]


class ServerRow(Out):
    """A server in a list."""

    id: int
    name: str = Field(examples=["1306-mzj-s1-7-1"])
    state: str = Field(examples=["active"])
    bureau: str = Field(examples=["1306-mzj"])
    system: str = Field(examples=["1306-mzj-s1"])
    region: str = Field(examples=["baoding"])
    flavor: str = Field(examples=["c4-8"])
    end_on: date | None = Field(description="使用期限（含当日）· last day of its lease, inclusive")


class VolumeOut(Out):
    """A data volume of a server."""

    id: int
    name: str
    size_gib: int = Field(examples=[200])
    wanted_gib: int | None = Field(description="正在扩容至 · what it is being extended to")
    state: str = Field(examples=["active"])


class ServerOut(ServerRow):
    """A server whole."""

    image: str = Field(examples=["openEuler-24.03-LTS"])
    zone: str = Field(examples=["extranet"])
    amounts: LimitsOut
    wanted_flavor: str | None = Field(description="正在变更为 · what it is being resized to")
    cloud_id: str | None
    since_at: datetime = Field(
        description="进入当前状态（创建中为其最近一步）的时间"
        " · since when it is in this state; of one being created, its last step"
    )
    fault: dict[str, Any] | None = Field(description="最近一次失败的原因（zh/en）· why the last try failed")
    volumes: list[VolumeOut]


class ReclaimIn(In):
    """Why the office takes a server back; its applicant is told."""

    reason: str = Field(max_length=2000, examples=["连续三个月闲置"])


class RebootIn(In):
    """How to reboot."""

    hard: bool = Field(False, examples=[True], description="强制重启，如同断电 · as if the power were cut")


class ConsoleOut(Out):
    """Where the screen of a server is for some minutes."""

    url: str = Field(
        examples=["https://cloud.example/vnc_lite.html?path=%3Ftoken%3D…"],
        description="含数分钟内有效的密钥，不要保存或转发 · holds a secret of some minutes; keep it not",
    )


@router.get("/servers")
def list_(
    asker: Sees,
    session: Reading,
    bureau: Annotated[
        str | None, Query(max_length=64, description="该单位及下级 · with all below it")
    ] = None,
    system: Annotated[str | None, Query(max_length=64)] = None,
    state: Annotated[str | None, Query(max_length=16, examples=["active"])] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[ServerRow]:
    """Servers that the caller may see, by id."""
    within = get_bureau(session, code=bureau).id if bureau else None
    if within is not None:
        asker.at(session, within)
    rows = list_servers(
        session,
        within=within,
        bureau_ids=asker.scope(session),  # of a token, its own bureau without those below
        system_id=get_system(session, code=system).id if system else None,
        states=(state,) if state else None,
        after_id=id_of(cursor) or 0,
        limit=limit + 1,
    )
    facts = _facts_of(session, rows)
    return page_of(rows, limit, shown=lambda row: ServerRow(**facts[row.id]), place=lambda row: row.id)


@router.get("/servers/{server_id}")
def show(asker: Sees, session: Reading, server_id: RowId) -> ServerOut:
    """One server with its volumes, its lease, and why the last try failed."""
    return _shown(session, _found(asker, session, server_id))


@router.post("/servers/{server_id}/stop")
def stop(asker: Operates, session: Writing, at: At, once: Once, server_id: RowId) -> ServerOut:
    """Have a running server stopped; it keeps what it holds."""
    return _act(asker, session, at, once, server_id, servers.stop_server)


@router.post("/servers/{server_id}/start")
def start(asker: Operates, session: Writing, at: At, once: Once, server_id: RowId) -> ServerOut:
    """Have a stopped server run again, while its lease lasts."""
    return _act(asker, session, at, once, server_id, servers.start_server)


@router.post("/servers/{server_id}/reboot")
def reboot(
    asker: Operates, session: Writing, at: At, once: Once, server_id: RowId, body: RebootIn
) -> ServerOut:
    """Have a running server rebooted, once; hard also where a reboot hangs."""
    return _act(asker, session, at, once, server_id, partial(servers.reboot_server, hard=body.hard), body)


@router.post("/servers/{server_id}/console")
def console(asker: Operates, here: Here, at: At, server_id: RowId) -> ConsoleOut:
    """The address of a running server's screen. Who opened it is journalled; the address is kept nowhere."""
    with reading(here.engine) as session:
        region = _found(asker, session, server_id).region
    url = open_console(
        here.engine, cloud_of(here, region), server_id=server_id, at=at, actor=asker.actor.journal_id
    )
    return ConsoleOut(url=url)


@router.post("/servers/{server_id}/retry")
def retry(asker: Submits, session: Writing, at: At, once: Once, server_id: RowId) -> ServerOut:
    """Build a failed server anew; its quota is claimed again."""
    return _act(asker, session, at, once, server_id, servers.retry_server)


@router.post("/servers/{server_id}/give-up")
def give_up(asker: Submits, session: Writing, at: At, once: Once, server_id: RowId) -> ServerOut:
    """Do without a failed server, so that the rest of its request can be confirmed."""
    return _act(asker, session, at, once, server_id, servers.give_up_server)


@router.post("/servers/{server_id}/reclaim")
def reclaim(
    asker: Annotated[Asker, needs(Permission.servers_reclaim)],
    session: Writing,
    at: At,
    once: Once,
    server_id: RowId,
    body: ReclaimIn,
) -> ServerOut:
    """The office takes a server back: a snapshot is kept, then it and its volumes are deleted."""
    reclaimed = partial(servers.reclaim_server, reason=body.reason)
    return _act(asker, session, at, once, server_id, reclaimed, body)


def _act(
    asker: Asker,
    session: Session,
    at: datetime,
    once: Once,
    server_id: int,
    act: Callable[..., Server],
    body: BaseModel | None = None,
) -> ServerOut:
    found = _found(asker, session, server_id)

    def done() -> ServerOut:
        changed = act(session, server_id=found.id, at=at, actor=asker.actor.journal_id)
        return _shown(session, changed)

    return once(body, done)


def _found(asker: Asker, session: Session, server_id: int) -> Server:
    found = get_server(session, server_id)
    asker.at(session, found.bureau_id)
    return found


def _shown(session: Session, server: Server) -> ServerOut:
    return ServerOut(
        **_facts_of(session, [server])[server.id],
        image=server.image,
        zone=server.zone,
        amounts=limits_out(server.amounts),
        wanted_flavor=server.wanted_flavor,
        cloud_id=server.cloud_id,
        since_at=server.since_at,
        fault=server.fault,
        volumes=[VolumeOut.model_validate(one) for one in list_volumes_of(session, server.id)],
    )


def _facts_of(session: Session, found: Sequence[Server]) -> dict[int, dict[str, Any]]:
    """By the servers' ids, what a list shows of them; as many SELECTs for many as for one."""
    bureaus = find_bureaus(session, {server.bureau_id for server in found})
    systems = find_systems(session, {server.system_id for server in found})
    leases = leases_of(session, [server.id for server in found])
    return {
        server.id: {
            "id": server.id,
            "name": server.name,
            "state": server.state,
            "bureau": bureaus[server.bureau_id].code,
            "system": systems[server.system_id].code,
            "region": server.region,
            "flavor": server.flavor,
            "end_on": leases[server.id].end_on if server.id in leases else None,
        }
        for server in found
    }
