"""What the records make of a visit: the server's next state, its allocations, its lease, its request.

Locks in this order: tree, requests by their ids, server, quota account.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from identity.service.tree import keep_tree_still
from infra import journal
from infra.clock import city_date
from infra.jobs import enqueue
from infra.workdays import load_calendar
from provisioning.cloud.observed import ServerStatus
from provisioning.lease import may_go_without_snapshot
from provisioning.models import WORKING, Request, RequestLine, Server, Volume
from provisioning.pace import backoff, is_stuck, poll, rebuild_after, takes_too_long
from provisioning.queries import find_lease, get_request, get_server, list_volumes_of
from provisioning.service.asking import RECORDS_SERVERS
from provisioning.service.claims import begin_release_all
from provisioning.service.endings import SETTLER, Ending
from provisioning.service.fences import distrust_fence
from provisioning.service.states import RULES
from provisioning.service.telling import tell_applicant, tell_bureau, tell_office
from provisioning.service.work import Found, Work

TASK = "provisioning.provision_server"
SETTLED_STATES = ("active", "stopped", "given_up", "released")
DISMANTLING = ("cleaning", "releasing")
KEEPS_FAULT = ("cleaning", "pruning", "reverting", "measuring")
"""States that undo something: the fault for which they do stays shown, whatever happens on the way."""
LATE = {"zh": "云平台未在时限内完成", "en": "the cloud did not get it done in time"}
UNKNOWN = {"zh": "原因不明", "en": "for an unknown reason"}


def settle_visit(session: Session, work: Work, found: Found, *, at: datetime) -> bool:
    """Write down what a visit found, unless another visit began or somebody changed the state since.

    Returns whether the next visit can follow now.
    """
    keep_tree_still(session)
    requests = lock_requests(session, work.server_id)
    server = get_server(session, work.server_id, lock=True)
    if (server.visits, server.state) != (work.visit, work.state):
        return False
    request = requests[work.request_id]
    server.cloud_id = found.cloud_id or server.cloud_id
    volumes = list_volumes_of(session, server.id)
    for volume in volumes:
        volume.cloud_id = found.volume_ids.get(volume.id, volume.cloud_id)
        volume.attaching = volume.id in found.attaching
    if found.over_quota:
        distrust_fence(session, region=server.region, bureau_id=server.fenced_by)
    found, ending = (
        _judge(session, server, found, at=at),
        Ending(request, server, volumes, found.seen, at, found.sizes),
    )
    match found.what:
        case "done":
            _finish(session, ending, found)
        case "broken":
            _break(session, ending, found)
        case "gone":
            _lose(session, ending, found)
        case _:
            _go_on(session, server, found, at=at)
    if server.state != work.state:
        for touched in requests.values():
            conclude_request(session, touched, at=at)
    return server.state in WORKING and server.next_try_at == at


def lock_requests(session: Session, server_id: int) -> dict[int, Request]:
    """The requests that the server was built for and works for, by id, and locked in that order.

    A visit for the one can be what the other waits for: a server that is resized holds up the request that
    built it. To be called before the server is locked.
    """
    query = (
        select(RequestLine.request_id)
        .join(Server, RequestLine.id.in_((Server.line_id, Server.work_line_id)))
        .where(Server.id == server_id)
    )
    ids = session.scalars(query.distinct().order_by(RequestLine.request_id)).all()
    return {request_id: get_request(session, request_id, lock=True) for request_id in ids}


def move(
    session: Session, server: Server, state: str, *, at: datetime, actor: str = SETTLER, reason: str = ""
) -> None:
    """Put the server into `state`; into a working one, it is to be visited now. A `reason` is journalled."""
    before = server.state
    server.state, server.since_at = state, at
    server.attempts, server.refusals, server.repushes, server.asked = 0, 0, 0, 0
    server.next_try_at = at if state in WORKING else None
    server.revision += 1
    told: dict[str, Any] = {"state": state, "cloud_id": server.cloud_id, "fault": server.fault}
    if reason:
        told["reason"] = reason
    journal.append(
        session,
        actor=actor,
        act=f"server.{state}",
        subject=f"server:{server.id}",
        bureau_id=server.bureau_id,
        at=at,
        before={"state": before},
        after=told,
    )
    if state in WORKING:
        enqueue(session, TASK, server.id)


def begin_dismantling(
    session: Session, servers: Collection[Server], *, at: datetime, actor: str, state: str
) -> None:
    """Mark what the servers and their volumes hold as releasing, and have them taken down."""
    volumes = select(Volume.allocation_key).where(
        Volume.server_id.in_([server.id for server in servers]), Volume.state.in_(("pending", "active"))
    )
    keys = [*(server.allocation_key for server in servers), *session.scalars(volumes)]
    begin_release_all(session, keys=keys, at=at, actor=actor)
    for server in servers:
        move(session, server, state, at=at, actor=actor)


def conclude_request(session: Session, request: Request, *, at: datetime) -> None:
    """Once nothing of a request is under way or undecided, ask the applicant to confirm, or close it.

    Nobody confirms what an operator imported. Reads no rows as long as something is: every visit asks, and
    requests have up to thousands of servers.
    """
    if request.state != "provisioning":
        return
    under_way: ColumnElement[bool]
    if request.kind in RECORDS_SERVERS:
        states = select(Server.state).join(RequestLine, RequestLine.id == Server.line_id)
        under_way, lost = Server.state.not_in(SETTLED_STATES), "given_up"
    else:
        states = select(RequestLine.state)
        under_way, lost = RequestLine.state == "pending", "failed"
    states = states.where(RequestLine.request_id == request.id)
    if session.scalar(select(states.where(under_way).exists())):
        return
    hopeless = session.scalars(states.distinct()).all() == [lost]
    closes = request.kind in ("release", "removal", "extension", "quota_change")
    settled = "active" if request.case_id is None else "confirming"
    request.state = "failed" if hopeless else "closed" if closes else settled
    request.ended_at = None if request.state == "confirming" else at
    record_request(session, request, act=request.state, at=at, actor=SETTLER)
    if not hopeless:
        code = "request_to_confirm" if request.state == "confirming" else "request_done"
        tell_applicant(session, request, code=code, at=at)


def record_request(
    session: Session,
    request: Request,
    *,
    act: str,
    at: datetime,
    actor: str,
    after: dict[str, Any] | None = None,
) -> None:
    """Journal an act on the request."""
    journal.append(
        session,
        actor=actor,
        act=f"request.{act}",
        subject=f"request:{request.id}",
        bureau_id=request.bureau_id,
        at=at,
        after={"state": request.state, **(after or {})},
    )


def request_of(session: Session, line_id: int) -> int:
    """The id of the request of a line."""
    return session.scalars(select(RequestLine.request_id).where(RequestLine.id == line_id)).one()


def _judge(session: Session, server: Server, found: Found, *, at: datetime) -> Found:
    """What the finding means where time or the table of states has a say in it."""
    waits, broken = found.what == "wait", found.what == "broken"
    if server.state == "creating" and waits and not found.acted and takes_too_long(server.since_at, at):
        return replace(found, what="broken", fault=LATE)
    if server.state == "expiring" and (waits or broken):
        since_on, on = city_date(server.since_at), city_date(at)
        if may_go_without_snapshot(since_on, on=on, calendar=load_calendar(session)):
            return replace(found, what="broken", fault=found.fault or LATE)
        return replace(found, what="retry", refused=True) if broken else found
    if broken and RULES[server.state].broken is None:
        return replace(found, what="retry", refused=True)
    return found


def _finish(session: Session, ending: Ending, found: Found) -> None:
    server, rule = ending.server, RULES[ending.server.state]
    if server.state not in KEEPS_FAULT:
        server.fault = found.fault
    rule.end(session, ending)
    is_off = found.seen is not None and found.seen.status == ServerStatus.shutoff
    _enter(session, server, "stopped" if rule.done == "active" and is_off else rule.done, at=ending.at)
    if server.state == "failed":
        tell_applicant(
            session, ending.request, code="server_failed", at=ending.at, server=server, **_why(server.fault)
        )


def _break(session: Session, ending: Ending, found: Found) -> None:
    server, rule = ending.server, RULES[ending.server.state]
    if rule.broken is None:
        raise RuntimeError(f"a server that is {server.state} was judged broken, and nothing follows that")
    server.fault = found.fault
    if rule.alarm is not None:
        _raise_alarm(session, ending, code=rule.alarm)
    rule.undo(session, ending)
    _enter(session, server, rule.broken, at=ending.at)
    if server.state == "failed":
        code, why = "server_not_adopted", _why(server.fault)
        tell_applicant(session, ending.request, code=code, at=ending.at, server=server, **why)


def _lose(session: Session, ending: Ending, found: Found) -> None:
    """Free what a server held that is gone; but volumes that outlived it are data which nobody gave up.

    With such volumes it counts as stopped, and keeps what it holds until it is released or reclaimed.
    """
    server, doing = ending.server, ending.server.state
    rule = RULES[doing]
    if rule.gone is None:
        raise RuntimeError(f"a server that is {doing} was found gone, and nothing follows that")
    rule.lose(session, ending)
    server.fault, follows = found.fault, rule.gone
    if follows == "releasing" and doing != "expiring":
        keeps = any(volume.state == "active" for volume in ending.volumes)
        _raise_alarm(session, ending, code="server_gone_but_volumes" if keeps else "server_gone")
        follows = "stopped" if keeps else follows
    _enter(session, server, follows, at=ending.at)


def _go_on(session: Session, server: Server, found: Found, *, at: datetime) -> None:
    """Have it visited again: soon while the cloud works on it, ever later while it fails.

    A snapshot that is asked for again has failed after the cloud had taken it in: that the cloud does so once
    more proves nothing, and the failures go on counting.
    """
    server.asked = found.asked
    if found.what == "wait":
        if server.state == "pending":
            server.state, server.since_at = "creating", at
        elif found.acted and server.state == "creating":
            server.since_at = at
        if server.state != "expiring" or found.asked <= 1:
            server.attempts, server.refusals, server.repushes = 0, 0, 0
        server.next_try_at = at + poll(server.since_at, at)
    elif found.what == "again":
        server.next_try_at = at + rebuild_after(found.asked, tag=server.tag)
    else:
        server.attempts += 1
        server.refusals += found.refused
        server.repushes += found.over_quota
        server.next_try_at = at + backoff(server.attempts, tag=server.tag)
    enqueue(session, TASK, server.id, after_s=(server.next_try_at - at).total_seconds())
    if server.state not in KEEPS_FAULT:
        server.fault = found.fault
    if is_stuck(server.since_at, at, refusals=server.refusals):
        tell_office(session, server, code="server_stuck", at=at, **_why(found.fault or LATE))


def _enter(session: Session, server: Server, state: str, *, at: datetime) -> None:
    if state in DISMANTLING:
        begin_dismantling(session, [server], at=at, actor=SETTLER, state=state)
    else:
        move(session, server, state, at=at)


def _raise_alarm(session: Session, ending: Ending, *, code: str) -> None:
    """Once a day for each end of the lease: a stop that is refused is tried again every day."""
    server, at, why = ending.server, ending.at, _why(ending.server.fault)
    lease = find_lease(session, server.id)
    key = f"{code}:{server.id}:{lease and lease.end_on}:{city_date(at)}"
    tell_office(session, server, code=code, at=at, key=f"{key}:office", **why)
    tell_bureau(session, server, ending.request, key=key, code=code, at=at, **why)


def _why(fault: dict[str, Any] | None) -> dict[str, str]:
    told = fault or UNKNOWN
    return {"fault_zh": told["zh"], "fault_en": told["en"]}
