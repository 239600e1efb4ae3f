"""What the verifying transaction does for each kind of request: all claims together, then the work begins."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.orm import Session

from identity.queries import get_bureau_by_id, get_system_by_id
from infra.jobs import enqueue
from provisioning.errors import QuotaExceeded, RequestInvalid, ServerState, describe
from provisioning.models import Lease, Request, RequestLine, Server, Volume
from provisioning.queries import find_flavor, find_lease, get_server, get_volume, list_lines
from provisioning.quota import Limits, Resources, total_used
from provisioning.service.accounts import lock_account, lock_pooled_above
from provisioning.service.adoption import sighting_of, take_up
from provisioning.service.claims import claim_all, find_shortfalls, resize
from provisioning.service.grants import grant_quota, set_root_grant
from provisioning.service.removals import begin_removals
from provisioning.service.rooms import find_grant_shortfalls
from provisioning.service.settling import TASK, begin_dismantling, move
from provisioning.service.states import RELEASABLE
from provisioning.wording import SERVER_STATES, state_facts

TARGET_STATES: Mapping[str, Sequence[str]] = {
    "volumes": ("active",),
    "enlargement": ("active", "stopped"),
    "resize": ("active", "stopped"),
    "extension": ("active", "stopped"),
    "release": RELEASABLE,
}
"""In which states a server can be what a request of that kind names."""


def amounts_asked(session: Session, request: Request) -> Resources:
    """How much more quota the request would hold; nothing for kinds that need none."""
    return total_used(_line_amounts(session, request, line) for line in list_lines(session, request.id))


def find_request_shortfalls(session: Session, request: Request) -> list[dict[str, Any]]:
    """What the request would be refused for if it were verified now: a warning, read without a lock.

    Raises RequestInvalid for a flavor that is gone.
    """
    place: dict[str, Any] = {"region": request.region, "bureau_id": request.bureau_id}
    if request.kind == "quota_change":
        return find_grant_shortfalls(session, **place, limit=request.limit or Limits())
    return find_shortfalls(session, **place, asked=amounts_asked(session, request))


def fulfil(session: Session, request: Request, *, at: datetime, actor: str) -> None:
    """Claim everything that the request needs, or raise `QuotaExceeded` with every shortfall; then begin.

    Raises ServerState for a server that is busy, RequestInvalid for a flavor that is gone, ServerRecorded,
    StillRecorded, BeingRemoved.
    """
    lines = list_lines(session, request.id)
    targets = _lock_targets(session, request, lines)
    match request.kind:
        case "quota_change":
            _change_quota(session, request, at=at, actor=actor)
        case "new_system" | "servers":
            _build(session, request, lines, at=at, actor=actor)
        case "adoption":
            _adopt(session, request, lines, at=at, actor=actor)
        case "removal":
            begin_removals(session, request, lines, at=at, actor=actor)
        case "volumes":
            _add_volumes(session, request, targets, lines, at=at, actor=actor)
        case "enlargement":
            _enlarge(session, request, targets, lines, at=at, actor=actor)
        case "resize":
            _resize(session, request, targets, lines, at=at, actor=actor)
        case "extension":
            _extend(session, request, targets, lines, at=at, actor=actor)
        case "release":
            _release(session, targets, lines, at=at, actor=actor)
        case kind:
            raise RuntimeError(f"nothing is known to be done for a request of the kind {kind}")


def claim_for(
    session: Session, whose: Request | Server, held: Sequence[Server | Volume], *, at: datetime, actor: str
) -> None:
    """Claim at once what `held` needs, for the bureau and the system of `whose`. Raises as `claim_all`."""
    claim_all(
        session,
        region=whose.region,
        bureau_id=whose.bureau_id,
        system_id=whose.system_id or 0,
        amounts={one.allocation_key: one.amounts for one in held},
        at=at,
        actor=actor,
    )


def _line_amounts(session: Session, request: Request, line: RequestLine) -> Resources:
    if request.kind == "volumes":
        return Resources.of(volumes=1, volume_gib=line.volume_gib)
    if request.kind == "enlargement":
        return get_volume(session, line.volume_id or 0).amounts.growth_to(_larger(line))
    if request.kind == "resize":
        held = get_server(session, line.target_id or 0).amounts
        return held.growth_to(_size(session, request.region, line.flavor))
    if request.kind == "adoption":
        seen = sighting_of(line)
        return Resources() if seen is None else seen.total
    if request.kind not in ("new_system", "servers"):
        return Resources()
    size = _size(session, request.region, line.flavor)
    one = size + Resources.of(volumes=1, volume_gib=line.volume_gib) if line.volume_gib else size
    return Resources.parse({key: amount * line.count for key, amount in one})


def _size(session: Session, region: str, name: str | None) -> Resources:
    flavor = find_flavor(session, region=region, name=name or "")
    if flavor is None:
        raise RequestInvalid(
            why_zh=f"区域 {region} 不再提供规格 {name}",
            why_en=f"region {region} has no flavor {name} any more",
        )
    return Resources.of(servers=1, vcpus=flavor.vcpus, ram_mib=flavor.ram_mib, root_gib=flavor.root_gib)


def _refuse_shortfalls(session: Session, request: Request, asked: Resources) -> None:
    """Decide on the sum, under the locks that the resizes will take, so that every shortfall is named."""
    lock_account(session, region=request.region, bureau_id=request.bureau_id)
    lock_pooled_above(session, region=request.region, bureau_id=request.bureau_id)
    named = find_shortfalls(session, region=request.region, bureau_id=request.bureau_id, asked=asked)
    if named:
        raise QuotaExceeded(region=request.region, shortfalls=named, **describe(named))


def _lock_targets(session: Session, request: Request, lines: Sequence[RequestLine]) -> dict[int, Server]:
    """The servers that lines name, locked in the order of their ids, before any account is."""
    found = {}
    for line in sorted(lines, key=lambda one: one.target_id or 0):
        if line.target_id is not None:
            server = get_server(session, line.target_id, lock=True)
            if server.state not in TARGET_STATES[request.kind]:
                raise ServerState(
                    server=server.name,
                    act_zh="变更",
                    act_en="change it",
                    **state_facts(SERVER_STATES, server.state),
                )
            found[line.id] = server
    return found


def _build(
    session: Session, request: Request, lines: Sequence[RequestLine], *, at: datetime, actor: str
) -> None:
    """All servers of all lines with their volumes, in as few statements as one of them needs.

    The rows come before the claim, so that the account is locked for no longer than the claim takes.
    """
    system = get_system_by_id(session, system_id=request.system_id or 0)
    built: list[tuple[Server, RequestLine]] = []
    for line in lines:
        size = _size(session, request.region, line.flavor)
        for number in range(1, line.count + 1):
            tag = uuid4().hex
            server = Server(
                tag=tag,
                name=f"{system.code}-{request.id}-{line.position}-{number}",
                line_id=line.id,
                work_line_id=line.id,
                system_id=system.id,
                bureau_id=request.bureau_id,
                region=request.region,
                zone=request.zone,
                image=line.image,
                flavor=line.flavor,
                amounts=size,
                state="pending",
                since_at=at,
                next_try_at=at,
                allocation_key=f"server:{tag}",
            )
            built.append((server, line))
    session.add_all(server for server, _ in built)
    session.flush()
    volumes = [_make_volume(server, line) for server, line in built if line.volume_gib]
    session.add_all(volumes)
    held: list[Server | Volume] = [*(server for server, _ in built), *volumes]
    claim_for(session, request, held, at=at, actor=actor)
    for server, _ in built:
        enqueue(session, TASK, server.id)


def _adopt(
    session: Session, request: Request, lines: Sequence[RequestLine], *, at: datetime, actor: str
) -> None:
    """What the cloud has already, as it was seen; nobody builds it, but it counts from now on."""
    taken = take_up(session, request, lines, at=at)
    claim_for(session, request, taken.held, at=at, actor=actor)
    for server in taken.servers:
        enqueue(session, TASK, server.id)


def _add_volumes(
    session: Session,
    request: Request,
    targets: Mapping[int, Server],
    lines: Sequence[RequestLine],
    *,
    at: datetime,
    actor: str,
) -> None:
    volumes = [_make_volume(targets[line.id], line) for line in lines]
    session.add_all(volumes)
    claim_for(session, request, volumes, at=at, actor=actor)
    for line in lines:
        targets[line.id].work_line_id = line.id
        move(session, targets[line.id], "attaching", at=at, actor=actor)


def _enlarge(
    session: Session,
    request: Request,
    targets: Mapping[int, Server],
    lines: Sequence[RequestLine],
    *,
    at: datetime,
    actor: str,
) -> None:
    _refuse_shortfalls(session, request, amounts_asked(session, request))
    for line in lines:
        server, volume = targets[line.id], get_volume(session, line.volume_id or 0)
        resize(session, key=volume.allocation_key, amounts=_larger(line), at=at, actor=actor)
        server.work_line_id, volume.wanted_gib = line.id, line.volume_gib
        move(session, server, "extending", at=at, actor=actor)


def _larger(line: RequestLine) -> Resources:
    return Resources.of(volumes=1, volume_gib=line.volume_gib)


def _resize(
    session: Session,
    request: Request,
    targets: Mapping[int, Server],
    lines: Sequence[RequestLine],
    *,
    at: datetime,
    actor: str,
) -> None:
    _refuse_shortfalls(session, request, amounts_asked(session, request))
    for line in lines:
        server = targets[line.id]
        size = _size(session, server.region, line.flavor)
        resize(session, key=server.allocation_key, amounts=size, at=at, actor=actor)
        server.work_line_id, server.wanted_flavor = line.id, line.flavor
        move(session, server, "resizing", at=at, actor=actor)


def _extend(
    session: Session,
    request: Request,
    targets: Mapping[int, Server],
    lines: Sequence[RequestLine],
    *,
    at: datetime,
    actor: str,
) -> None:
    for line in lines:
        server = targets[line.id]
        lease = find_lease(session, server.id)
        if lease is None:
            session.add(Lease(server_id=server.id, end_on=request.end_on, notices_sent=[]))
        elif request.end_on is not None:
            lease.end_on, lease.notices_sent = max(lease.end_on, request.end_on), []
        line.state = "done"
        if server.state == "stopped":
            move(session, server, "starting", at=at, actor=actor)


def _release(
    session: Session,
    targets: Mapping[int, Server],
    lines: Sequence[RequestLine],
    *,
    at: datetime,
    actor: str,
) -> None:
    for line in lines:
        targets[line.id].work_line_id = line.id
    begin_dismantling(session, targets.values(), at=at, actor=actor, state="releasing")


def _change_quota(session: Session, request: Request, *, at: datetime, actor: str) -> None:
    """The office's yes is the grant; the fence in the cloud follows."""
    bureau = get_bureau_by_id(session, bureau_id=request.bureau_id)
    grant = set_root_grant if bureau.parent_id is None else grant_quota
    grant(
        session,
        region=request.region,
        bureau_id=bureau.id,
        limit=request.limit or Limits(),
        at=at,
        actor=actor,
        reason=request.purpose,
        case_id=request.case_id,
    )
    enqueue(session, "provisioning.push_quotas")


def _make_volume(server: Server, line: RequestLine) -> Volume:
    tag = uuid4().hex
    return Volume(
        tag=tag,
        name=f"{server.name}-data-{line.id}",
        server_id=server.id,
        line_id=line.id,
        size_gib=line.volume_gib,
        state="pending",
        allocation_key=f"volume:{tag}",
    )
