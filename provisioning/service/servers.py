"""A server from its claim to its release: visits in its cloud between transactions, people's acts on it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from identity.queries import get_bureau_by_id
from identity.service.tree import keep_tree_still
from infra.clock import city_date
from infra.database import reading, transaction
from infra.errors import SijiError
from infra.turns import Turns
from provisioning.cloud.driver import Cloud, CloudFailure, Conflict, OverQuota, Permanent
from provisioning.errors import LeaseOver, QuotaInconsistent, ReasonMissing, ServerState
from provisioning.lease import is_over
from provisioning.models import WORKING, RequestLine, Server
from provisioning.pace import PUSHED_AGAIN_AFTER, REFUSALS_BORNE, REPUSHES, VISIT_LASTS
from provisioning.queries import find_lease, get_request, get_server, list_volumes_of
from provisioning.service.adoption import take_up_again
from provisioning.service.adoption_standing import find_project
from provisioning.service.claims import find_allocation
from provisioning.service.fences import find_fenced_project, push_quota
from provisioning.service.fulfil import claim_for
from provisioning.service.settling import (
    begin_dismantling,
    conclude_request,
    lock_requests,
    move,
    request_of,
    settle_visit,
)
from provisioning.service.states import RECLAIMABLE, RELEASABLE, RULES
from provisioning.service.telling import tell_bureau
from provisioning.service.work import Adopting, Found, VolumeWork, Work
from provisioning.wording import SERVER_STATES, state_facts

VISITS_AT_ONCE = 6
PUSHING = Turns()
SLOW = {"zh": "云平台设置配额过慢，稍后继续", "en": "the cloud took long to take the quota; it goes on later"}


def provision_server(engine: Engine, cloud: Cloud, *, server_id: int, now: Callable[[], datetime]) -> None:
    """Visit the server if it is due, and again as long as there is something to do at once.

    No transaction is open while the cloud is called. Calling it at any time, from anywhere, is harmless.
    """
    for _ in range(VISITS_AT_ONCE):
        with transaction(engine) as session:
            work = take_server(session, server_id=server_id, at=now())
        if work is None:
            return
        found = _call(engine, cloud, work, now=now)
        with transaction(engine) as session:
            if not settle_visit(session, work, found, at=now()):
                return


def take_server(session: Session, *, server_id: int, at: datetime) -> Work | None:
    """Have the server for one visit; None if it has nothing to do, is not due, or is being visited."""
    server = get_server(session, server_id, lock=True)
    if server.state not in WORKING or (server.next_try_at is not None and server.next_try_at > at):
        return None
    server.next_try_at = at + VISIT_LASTS
    server.visits += 1
    return Work(
        server_id=server.id,
        request_id=request_of(session, server.work_line_id),
        visit=server.visits,
        at=at,
        state=server.state,
        tag=server.tag,
        name=server.name,
        region=server.region,
        bureau_id=server.fenced_by,
        project_id=server.project
        or find_fenced_project(session, region=server.region, bureau_id=server.fenced_by),
        cloud_id=server.cloud_id,
        flavor=server.flavor,
        wanted_flavor=server.wanted_flavor,
        image=server.image,
        zone=server.zone,
        refusals=server.refusals,
        repushes=server.repushes,
        asked=server.asked,
        volumes=tuple(
            VolumeWork(
                *(one.id, one.tag, one.name, one.size_gib, one.state, one.cloud_id, one.wanted_gib),
                attaching=one.attaching,
            )
            for one in list_volumes_of(session, server.id)
        ),
        grows=_grows(session, server),
        adopting=_adopting(session, server) if server.state == "adopting" else None,
    )


def retry_server(session: Session, *, server_id: int, at: datetime, actor: str) -> Server:
    """Build a failed server anew, or adopt it: claim again what it and its volumes need.

    Raises NotFound, ServerState, QuotaExceeded with every shortfall, ServerRecorded.
    """
    server = _lock(session, server_id, ("failed",), zh="重试", en="retry it")
    line = session.get_one(RequestLine, server.line_id)
    if line.cloud_id is not None:
        adopted = take_up_again(session, server, line, at=at)
        claim_for(session, server, [server, *adopted], at=at, actor=actor)
        server.fault = None
        move(session, server, "adopting", at=at, actor=actor)
        return server
    volumes = [volume for volume in list_volumes_of(session, server.id) if volume.state == "failed"]
    claim_for(session, server, [server, *volumes], at=at, actor=actor)
    for volume in volumes:
        volume.state = "pending"
    server.fault, server.cloud_id, server.project_bureau_id = None, None, None
    move(session, server, "pending", at=at, actor=actor)
    return server


def give_up_server(session: Session, *, server_id: int, at: datetime, actor: str) -> Server:
    """Do without a failed server; the rest of its request can be confirmed. Raises NotFound, ServerState."""
    server = _lock(session, server_id, ("failed",), zh="放弃", en="give it up")
    move(session, server, "given_up", at=at, actor=actor)
    session.flush()
    request = get_request(session, request_of(session, server.line_id))
    conclude_request(session, request, at=at)
    return server


def release_server(session: Session, *, server_id: int, at: datetime, actor: str) -> Server:
    """Have a server and its volumes deleted; the quota is free once the cloud has let go.

    Raises NotFound, ServerState.
    """
    server = _lock(session, server_id, RELEASABLE, zh="释放", en="release it")
    begin_dismantling(session, [server], at=at, actor=actor, state="releasing")
    return server


def reclaim_server(session: Session, *, server_id: int, at: datetime, actor: str, reason: str) -> Server:
    """The office takes a server back: a snapshot is kept, then it and its volumes are deleted.

    Its bureau and its applicant are told why. Raises NotFound, ServerState, ReasonMissing.
    """
    if not reason.strip():
        raise ReasonMissing(what_zh="回收云服务器", what_en="Reclaiming a server")
    server = _lock(session, server_id, RECLAIMABLE, zh="回收", en="reclaim it")
    move(session, server, "expiring", at=at, actor=actor, reason=reason)
    tell_bureau(
        session,
        server,
        get_request(session, request_of(session, server.line_id)),
        key=f"server_reclaimed:{server.id}:{server.revision}",
        code="server_reclaimed",
        at=at,
        reason=reason,
    )
    return server


def stop_server(session: Session, *, server_id: int, at: datetime, actor: str) -> Server:
    """Have a running server stopped; it keeps what it holds. Raises NotFound, ServerState."""
    server = _lock(session, server_id, ("active",), zh="停止", en="stop it")
    move(session, server, "stopping", at=at, actor=actor)
    return server


def start_server(session: Session, *, server_id: int, at: datetime, actor: str) -> Server:
    """Have a stopped server run again. Raises NotFound, ServerState, LeaseOver."""
    server = _lock(session, server_id, ("stopped",), zh="启动", en="start it")
    lease = find_lease(session, server.id)
    if lease is not None and is_over(lease.end_on, on=city_date(at)):
        raise LeaseOver(server=server.name, end_on=lease.end_on.isoformat())
    move(session, server, "starting", at=at, actor=actor)
    return server


def reboot_server(
    session: Session, *, server_id: int, at: datetime, actor: str, hard: bool = False
) -> Server:
    """Have a running server rebooted; `hard`: as if its power were cut, also where a reboot hangs.

    Raises NotFound, ServerState.
    """
    states = ("active", "rebooting") if hard else ("active",)
    act = ("强制重启", "cut its power") if hard else ("重启", "reboot it")
    server = _lock(session, server_id, states, zh=act[0], en=act[1])
    move(session, server, "resetting" if hard else "rebooting", at=at, actor=actor)
    return server


def _lock(session: Session, server_id: int, states: tuple[str, ...], *, zh: str, en: str) -> Server:
    """The server, locked after the tree and its requests, in one of `states`."""
    keep_tree_still(session)
    lock_requests(session, server_id)
    server = get_server(session, server_id, lock=True)
    if server.state not in states:
        raise ServerState(
            server=server.name, act_zh=zh, act_en=en, **state_facts(SERVER_STATES, server.state)
        )
    return server


def _adopting(session: Session, server: Server) -> Adopting:
    bureau = get_bureau_by_id(session, bureau_id=server.fenced_by)
    home = find_project(session, region=server.region, bureau_id=bureau.id)
    return Adopting(server.amounts, bureau.code, None if server.project else home)


def _call(engine: Engine, cloud: Cloud, work: Work, *, now: Callable[[], datetime]) -> Found:
    """Visit the cloud and sort its failures: what is worth another try, and what is not.

    Each sort is counted apart: an outage, however long, uses up no patience with what follows it.
    """
    rule = RULES[work.state]
    try:
        if rule.fenced and work.project_id is None:
            work = replace(work, project_id=_push(engine, cloud, work, at=now()))
            if now() >= work.at + VISIT_LASTS:  # another visit may have begun
                return Found("retry", fault=SLOW, asked=work.asked)
        return rule.visit(cloud, work)
    except QuotaInconsistent as failure:
        return Found("retry", fault=_told(failure), asked=work.asked)
    except OverQuota as failure:
        fenced = work.repushes >= REPUSHES
        return Found("broken" if fenced else "retry", fault=_told(failure), asked=work.asked, over_quota=True)
    except Permanent as failure:
        return Found("broken", fault=_told(failure), asked=work.asked)
    except Conflict as failure:
        borne = work.refusals < REFUSALS_BORNE
        return Found("retry" if borne else "broken", fault=_told(failure), asked=work.asked, refused=True)
    except CloudFailure as failure:
        return Found("retry", fault=_told(failure), asked=work.asked)


def _push(engine: Engine, cloud: Cloud, work: Work, *, at: datetime) -> str | None:
    """The project, its quota pushed; shrinking needs none. Raises as `push_quota`.

    Servers of one bureau begin together: the first one pushes for all that this process has begun.
    """
    with PUSHING.taken(work.region, work.bureau_id):
        with reading(engine) as session:
            fenced = find_fenced_project(session, region=work.region, bureau_id=work.bureau_id)
        return fenced or _push_now(engine, cloud, work, at=at)


def _push_now(engine: Engine, cloud: Cloud, work: Work, *, at: datetime) -> str | None:
    try:
        return push_quota(engine, cloud, bureau_id=work.bureau_id, at=at, again_after=PUSHED_AGAIN_AFTER)
    except QuotaInconsistent:
        if work.grows:
            raise
        return None


def _grows(session: Session, server: Server) -> bool:
    """Whether what it works at needs more of the quota in the cloud than it held before."""
    held = find_allocation(session, key=server.allocation_key) if server.state == "resizing" else None
    if held is None or held.reverts_to is None or held.settles_to is None:
        return True
    return bool(held.reverts_to.growth_to(held.settles_to))


def _told(failure: SijiError) -> dict[str, str]:
    return {"zh": failure.message("zh"), "en": failure.message("en")}
