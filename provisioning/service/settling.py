"""What the records make of a visit: the server's next state, its allocations, its lease, its request.

Locks in this order: request, server, quota account.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from approval.service import notify
from identity.actor import INSTALLATION
from infra import journal
from infra.jobs import enqueue
from provisioning.models import WORKING, Lease, Request, RequestLine, Server, Volume
from provisioning.pace import backoff, poll, takes_too_long
from provisioning.queries import (
    find_flavor,
    find_lease,
    get_request,
    get_server,
    list_lines,
    list_servers_of,
    list_volumes_of,
)
from provisioning.quota import Resources
from provisioning.service.claims import begin_release, release, revert, settle
from provisioning.service.fences import distrust_fence
from provisioning.service.visits import Found, Work

SETTLER = INSTALLATION.journal_id
TASK = "provisioning.provision_server"
SETTLED_STATES = ("active", "stopped", "given_up", "released")

AFTER_DONE = {
    "pending": "active",
    "creating": "active",
    "attaching": "active",
    "pruning": "active",
    "resizing": "active",
    "starting": "active",
    "stopping": "stopped",
    "expiring": "releasing",
    "releasing": "released",
    "cleaning": "failed",
}
AFTER_BROKEN = {"pending": "cleaning", "creating": "cleaning", "attaching": "pruning", "resizing": "active"}


def settle_visit(session: Session, work: Work, found: Found, *, at: datetime) -> bool:
    """Write down what a visit found, unless another visit began since; whether the next can follow now."""
    request = get_request(session, work.request_id, lock=True)
    server = get_server(session, work.server_id, lock=True)
    if server.visits != work.visit:
        return False
    server.cloud_id = found.cloud_id or server.cloud_id
    volumes = list_volumes_of(session, server.id)
    for volume in volumes:
        volume.cloud_id = found.volume_ids.get(volume.id, volume.cloud_id)
    if found.over_quota:
        distrust_fence(session, region=server.region, bureau_id=server.bureau_id)
    if found.what == "wait" and server.state == "creating" and takes_too_long(server.since_at, at):
        late = {"zh": "云平台未在时限内建成", "en": "the cloud did not build it in time"}
        found = Found("broken", found.cloud_id, found.volume_ids, fault=late)
    match found.what:
        case "wait":
            _wait(session, server, found, at=at)
        case "done":
            _finish(session, request, server, volumes, at=at)
        case "broken" if server.state in AFTER_BROKEN:
            _break(session, server, found, at=at)
        case _:
            server.attempts += 1
            _tell(server, found.fault)
            server.next_try_at = at + backoff(server.attempts, tag=server.tag)
    conclude_request(session, request, at=at)
    return server.state in WORKING and server.next_try_at == at


def move(
    session: Session, server: Server, state: str, *, at: datetime, actor: str = SETTLER, reason: str = ""
) -> None:
    """Put the server into `state`; into a working one, it is to be visited now. A `reason` is journalled."""
    before = server.state
    server.state, server.since_at, server.attempts, server.asked = state, at, 0, 0
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


def begin_dismantling(session: Session, server: Server, *, at: datetime, actor: str, state: str) -> None:
    """Mark what the server and its volumes hold as releasing, and have them taken down."""
    begin_release(session, key=server.allocation_key, at=at, actor=actor)
    for volume in list_volumes_of(session, server.id):
        if volume.state in ("pending", "active"):
            begin_release(session, key=volume.allocation_key, at=at, actor=actor)
    move(session, server, state, at=at, actor=actor)


def conclude_request(session: Session, request: Request, *, at: datetime) -> None:
    """Once nothing of a request is under way or undecided, ask the applicant to confirm, or close it."""
    if request.state != "provisioning":
        return
    lines = list_lines(session, request.id)
    if any(line.target_id is None for line in lines):
        states = [server.state for server in list_servers_of(session, request.id)]
        if any(state not in SETTLED_STATES for state in states):
            return
        hopeless = all(state == "given_up" for state in states)
    else:
        if any(line.state == "pending" for line in lines):
            return
        hopeless = bool(lines) and all(line.state == "failed" for line in lines)
    closes = request.kind in ("release", "extension", "quota_change")
    request.state = "failed" if hopeless else "closed" if closes else "confirming"
    request.ended_at = None if request.state == "confirming" else at
    record_request(session, request, act=request.state, at=at, actor=SETTLER)
    code = "request_to_confirm" if request.state == "confirming" else "request_done"
    if not hopeless:
        notify(
            session,
            key=f"{code}:{request.id}",
            code=code,
            facts={"request_id": request.id},
            subject_kind="request",
            subject_id=request.id,
            at=at,
            person_id=request.applicant_id,
        )


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


def _wait(session: Session, server: Server, found: Found, *, at: datetime) -> None:
    if server.state == "pending":
        server.state, server.since_at = "creating", at
    server.attempts, server.asked = 0, found.asked
    _tell(server, None)
    server.next_try_at = at + poll(server.since_at, at)


def _finish(
    session: Session, request: Request, server: Server, volumes: Sequence[Volume], *, at: datetime
) -> None:
    doing = server.state
    if doing in ("pending", "creating", "attaching", "resizing"):
        _hold(session, server, volumes, at=at)
        if doing in ("pending", "creating"):
            _open_lease(session, request, server)
        end_line(session, server, "done")
        server.fault = None
    elif doing in ("cleaning", "releasing"):
        server.cloud_id = None
        release(session, key=server.allocation_key, at=at, actor=SETTLER)
        _drop(session, volumes, ("pending", "active"), to=AFTER_DONE[doing], at=at)
        if doing == "releasing":
            end_line(session, server, "done")
            lease = find_lease(session, server.id)
            if lease is not None:
                lease.ended_at = at
    elif doing == "pruning":
        _drop(session, volumes, ("pending",), to="failed", at=at)
        end_line(session, server, "failed")
    if doing == "expiring":
        begin_dismantling(session, server, at=at, actor=SETTLER, state="releasing")
    else:
        move(session, server, AFTER_DONE[doing], at=at)
    if server.state == "failed":
        fault = server.fault or {"zh": "", "en": ""}
        notify(
            session,
            key=f"server_failed:{server.id}:{server.revision}",
            code="server_failed",
            facts={"server": server.name, "fault_zh": fault["zh"], "fault_en": fault["en"]},
            subject_kind="server",
            subject_id=server.id,
            at=at,
            person_id=request.applicant_id,
        )


def _break(session: Session, server: Server, found: Found, *, at: datetime) -> None:
    doing, server.fault = server.state, found.fault
    if doing == "resizing":
        revert(session, key=server.allocation_key, at=at, actor=SETTLER)
        server.wanted_flavor = None
        end_line(session, server, "failed")
    elif doing in ("pending", "creating"):
        begin_dismantling(session, server, at=at, actor=SETTLER, state="cleaning")
        return
    move(session, server, AFTER_BROKEN[doing], at=at)


def _tell(server: Server, fault: dict[str, str] | None) -> None:
    """Show the fault, except over the one for which the server is being taken down."""
    if server.state not in ("cleaning", "pruning"):
        server.fault = fault


def _hold(session: Session, server: Server, volumes: Sequence[Volume], *, at: datetime) -> None:
    """What runs now is settled."""
    if server.wanted_flavor is not None:
        flavor = find_flavor(session, region=server.region, name=server.wanted_flavor)
        if flavor is not None:
            server.amounts = Resources.of(
                servers=1, vcpus=flavor.vcpus, ram_mib=flavor.ram_mib, root_gib=flavor.root_gib
            )
        server.flavor, server.wanted_flavor = server.wanted_flavor, None
    settle(session, key=server.allocation_key, at=at, actor=SETTLER)
    for volume in volumes:
        if volume.state == "pending":
            settle(session, key=volume.allocation_key, at=at, actor=SETTLER)
            volume.state = "active"


def _drop(
    session: Session, volumes: Sequence[Volume], states: tuple[str, ...], *, to: str, at: datetime
) -> None:
    for volume in volumes:
        if volume.state in states:
            release(session, key=volume.allocation_key, at=at, actor=SETTLER)
            volume.state, volume.cloud_id = to, None


def _open_lease(session: Session, request: Request, server: Server) -> None:
    if request.end_on is not None and find_lease(session, server.id) is None:
        session.add(Lease(server_id=server.id, end_on=request.end_on, notices_sent=[]))


def end_line(session: Session, server: Server, state: str) -> None:
    """The line that the server worked for, if it names the server as its target, has its end."""
    line = session.get_one(RequestLine, server.work_line_id)
    if line.target_id == server.id and line.state == "pending":
        line.state = state


def request_of(session: Session, line_id: int) -> int:
    """The id of the request of a line."""
    return session.scalars(select(RequestLine.request_id).where(RequestLine.id == line_id)).one()
