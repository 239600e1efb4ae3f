"""What a request names and the cloud alone knows: looked at by a worker, before anybody decides."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from identity.service.tree import keep_tree_still
from infra.database import reading, transaction
from infra.jobs import enqueue
from provisioning.adoption import Sighting
from provisioning.cloud.driver import Cloud
from provisioning.errors import RequestInvalid
from provisioning.models import Request, RequestLine
from provisioning.queries import find_recorded, get_request, list_lines, list_unseen
from provisioning.removal import THINGS, Sight, Thing, find_hold
from provisioning.service.adoption import look, sighting_of
from provisioning.service.removal_asking import find_thing
from provisioning.service.removal_visit import look as look_at_thing

LOOK = "provisioning.look_at_request"
LOOKED_AT = ("adoption", "removal")
UNDECIDED = ("draft", "submitted")
Pair = tuple[str, str]


def have_looked(session: Session, request: Request) -> None:
    """Have a worker look, so that whoever decides sees what it would take."""
    if request.kind in LOOKED_AT:
        enqueue(session, LOOK, request.id)


def look_at_request(engine: Engine, cloud: Cloud, *, request_id: int, at: datetime) -> None:
    """Ask the cloud about what an undecided request names there, and write down what was seen.

    No transaction is open meanwhile. Doing it again is harmless. Raises `CloudFailure`, NotFound.
    """
    with reading(engine) as session:
        request = get_request(session, request_id)
        lines = [line for line in list_lines(session, request_id) if line.cloud_id is not None]
        things: dict[str, Thing] = {line.cloud_id or "": find_thing(session, line) for line in lines}
    if request.state not in UNDECIDED or not things:
        return
    seen = _look(cloud, request.kind, things)
    with transaction(engine) as session:
        keep_tree_still(session)
        if get_request(session, request_id, lock=True).state not in UNDECIDED:
            return
        for line in list_lines(session, request_id):
            if line.cloud_id is not None and line.cloud_id in seen:
                sight = seen[line.cloud_id]
                line.seen = sight.document() if sight else _missing(things, line.cloud_id, cloud.region)


def nudge_lookers(session: Session) -> None:
    """Have workers look for every undecided request of which nobody has looked yet."""
    for request_id in list_unseen(session):
        enqueue(session, LOOK, request_id)


def sight_of(line: RequestLine) -> Sight | None:
    """What was seen of what the line would remove; None if nobody has looked yet, or it was not there."""
    is_seen = line.finding_id is not None and line.seen is not None and "name" in line.seen
    return Sight.parse(line.seen or {}) if is_seen else None


def check_seen(session: Session, request: Request, *, decides: bool) -> None:
    """Raises RequestInvalid for what was seen and cannot be adopted, or removed, so.

    `decides`: and for what nobody has looked at yet.
    """
    if request.kind not in LOOKED_AT:
        return
    lines = list_lines(session, request.id)
    for line in lines:
        why = (
            _why_unseen(session, line, decides=decides)
            or _why_not_adopted(session, request, line)
            or _why_not_removed(session, request, line, lines)
        )
        if why is not None:
            zh, en = why
            raise RequestInvalid(
                why_zh=f"第 {line.position} 行：{zh}",
                why_en=f"line {line.position}: {en}",
                field=None,
                line=line.position,
            )


def _look(
    cloud: Cloud, kind: str, things: Mapping[str, Thing]
) -> Mapping[str, Sighting | None] | Mapping[str, Sight | None]:
    if kind == "adoption":
        return look(cloud, list(things))
    return {cloud_id: look_at_thing(cloud, thing, cloud_id) for cloud_id, thing in things.items()}


def _why_unseen(session: Session, line: RequestLine, *, decides: bool) -> Pair | None:
    if line.seen is not None:
        return None if "name" in line.seen else (line.seen["zh"], line.seen["en"])
    if not decides:
        return None
    zh, en = THINGS[find_thing(session, line)]
    return (
        f"尚未在云平台上核对{zh} {line.cloud_id}，请稍后再试",
        f"the cloud has not been asked about {en} {line.cloud_id} yet; try again in a moment",
    )


def _why_not_adopted(session: Session, request: Request, line: RequestLine) -> Pair | None:
    seen = sighting_of(line)
    if seen is None:
        return None
    if seen.zone is not None and seen.zone != request.zone:
        return (
            f"云服务器 {seen.name} 在网络区 {seen.zone}，而信息系统登记的是 {request.zone}",
            f"server {seen.name} is in zone {seen.zone}, and the information system is registered in "
            f"{request.zone}",
        )
    if (holder := find_recorded(session, region=request.region, tag=seen.tag)) is not None:
        return (
            f"云服务器 {seen.name} 带有已登记的云服务器 {holder.name} 的标识",
            f"server {seen.name} bears the tag of {holder.name}, which is recorded",
        )
    return None


def _why_not_removed(
    session: Session, request: Request, line: RequestLine, lines: Collection[RequestLine]
) -> Pair | None:
    sight = sight_of(line)
    if sight is None:
        return None
    holder = find_recorded(session, region=request.region, cloud_ids=sight.ids, tag=sight.tag)
    if holder is not None:
        return (
            f"{sight.name} 属于已登记的云服务器 {holder.name}，或与其相连",
            f"{sight.name} is of server {holder.name}, which is recorded, or attached to it",
        )
    return find_hold(sight, leaving=[one.cloud_id or "" for one in lines])


def _missing(things: Mapping[str, Thing], cloud_id: str, region: str) -> dict[str, Any]:
    zh, en = THINGS[things[cloud_id]]
    return {
        "zh": f"区域 {region} 的云平台上没有{zh} {cloud_id}",
        "en": f"there is no {en} {cloud_id} in the cloud of region {region}",
    }
