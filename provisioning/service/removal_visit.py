"""Visits that remove a thing which is in no record: look at it again, keep a snapshot, then delete it.

No session and no transaction here, as in visits of servers; every step can be repeated.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from provisioning.cloud.driver import Cloud, NotInCloud
from provisioning.cloud.observed import ImageStatus, ServerStatus, VolumeStatus
from provisioning.finding_wording import ram_words
from provisioning.removal import LASTING, Beside, Pair, Sight, Thing, find_change, find_hold, find_newcomer
from provisioning.service.visits import DELETING
from provisioning.service.work import Fault

SNAPSHOTS_AT_MOST = 3


@dataclass(frozen=True)
class RemovalWork:
    """A removal as its row had it when the visit began, which is number `visit`.

    `decided` is what was seen when it was last found to be nobody's; `leaving` are the servers that are being
    removed, by their ids in the cloud.
    """

    removal_id: int
    request_id: int
    visit: int
    state: str
    region: str
    tag: str
    decided: Sight
    leaving: frozenset[str]
    refusals: int
    asked: int


@dataclass(frozen=True)
class Outcome:
    """What came of a visit: done, wait for what is under way, broken for good, gone, or try again later.

    `now` is the thing as it was found to be in order.
    """

    what: Literal["done", "wait", "broken", "gone", "retry"]
    fault: Fault | None = None
    asked: int = 0
    now: Sight | None = None
    refused: bool = False


def look(cloud: Cloud, thing: Thing, cloud_id: str) -> Sight | None:
    """The thing as it is now; None where there is none, or it is about to be gone. Raises `CloudFailure`."""
    match thing:
        case "server":
            return _see_server(cloud, cloud_id)
        case "volume":
            return _see_volume(cloud, cloud_id)
        case "address":
            return _see_address(cloud, cloud_id)


def check(cloud: Cloud, work: RemovalWork) -> Outcome:
    """It is what was decided on, and can be deleted; of a server a snapshot is kept. Nothing is deleted."""
    now = look(cloud, work.decided.thing, work.decided.cloud_id)
    if now is None:
        return Outcome("gone", asked=work.asked)
    why = find_change(work.decided, now) or find_hold(now, leaving=work.leaving)
    if why is not None:
        return Outcome("broken", fault=_fault(why), asked=work.asked)
    if now.thing == "volume" and now.attached:
        return Outcome("wait", asked=work.asked)
    return _keep(cloud, work, now) if now.thing == "server" else Outcome("done", now=now)


def delete(cloud: Cloud, work: RemovalWork) -> Outcome:
    """It is not there any more. What was attached to it since is told of, and it waits; a new name or size
    changes nothing any more, as no way leads back.
    """
    thing, cloud_id = work.decided.thing, work.decided.cloud_id
    now = look(cloud, thing, cloud_id)
    if now is None:
        return Outcome("done" if _is_gone(cloud, thing, cloud_id) else "wait")
    why = find_change(work.decided, now, fields=LASTING) or find_newcomer(work.decided, now)
    if why is not None:
        return Outcome("retry", fault=_fault(why), refused=True)
    {"server": cloud.delete_server, "volume": cloud.delete_volume, "address": cloud.delete_address}[thing](
        cloud_id
    )
    return Outcome("done" if _is_gone(cloud, thing, cloud_id) else "wait")


def _keep(cloud: Cloud, work: RemovalWork, now: Sight) -> Outcome:
    """An image of the server's root disk is kept; one in ERROR has none that could be."""
    if now.status == ServerStatus.error:
        return Outcome("done", now=now, asked=work.asked)
    tag = f"{work.tag}-last"
    image, asked = cloud.find_image(tag), work.asked
    if image is not None and image.status == ImageStatus.error:
        cloud.delete_image(image.id)
        fault = {"zh": "快照在云平台上出错", "en": "the snapshot ended in error"}
        return Outcome("broken" if asked >= SNAPSHOTS_AT_MOST else "retry", fault=fault, asked=asked)
    if image is None:
        with suppress(NotInCloud):  # a project that is gone: the snapshot will say so
            cloud.adopt_project(now.project_id, bureau_code=None)
        cloud.snapshot_server(now.cloud_id, tag=tag, name=f"{now.name[:240]}-last")
        image, asked = cloud.find_image(tag), asked + 1
    if image is None or image.status != ImageStatus.active:
        return Outcome("wait", asked=asked)
    return Outcome("done", now=now, asked=asked)


def _see_server(cloud: Cloud, cloud_id: str) -> Sight | None:
    try:
        found = cloud.get_server(cloud_id)
    except NotInCloud:
        return None
    if found.task == DELETING:
        return None
    volumes = cloud.list_volumes()  # an administrator attaches those of other projects too
    return Sight(
        thing="server",
        cloud_id=found.id,
        name=found.name,
        tag=found.tag,
        project_id=found.project_id,
        made_at=found.created_at.isoformat(),
        size=f"{found.flavor} · {found.vcpus} vCPU · {ram_words(found.ram_mib)} · {found.root_gib} GiB",
        status=found.status.value,
        attached=tuple(_beside(one.id, one.name) for one in volumes if one.server_id == found.id),
    )


def _see_volume(cloud: Cloud, cloud_id: str) -> Sight | None:
    try:
        found = cloud.get_volume(cloud_id)
    except NotInCloud:
        return None
    if found.status == VolumeStatus.deleting:
        return None
    return Sight(
        thing="volume",
        cloud_id=found.id,
        name=found.name or found.id,
        tag=found.tag,
        project_id=found.project_id,
        made_at=found.created_at.isoformat(),
        size=f"{found.size_gib} GiB",
        status=found.status.value,
        attached=_server_of(cloud, found.server_id),
    )


def _see_address(cloud: Cloud, cloud_id: str) -> Sight | None:
    found = next((one for one in cloud.list_addresses() if one.id == cloud_id), None)
    if found is None:
        return None
    return Sight(
        thing="address",
        cloud_id=found.id,
        name=found.address,
        tag=found.tag,
        project_id=found.project_id,
        made_at=None,
        size="",
        status="",
        attached=_server_of(cloud, found.server_id),
    )


def _server_of(cloud: Cloud, server_id: str | None) -> tuple[Beside, ...]:
    if server_id is None:
        return ()
    try:
        return (_beside(server_id, cloud.get_server(server_id).name),)
    except NotInCloud:
        return (_beside(server_id, ""),)


def _beside(cloud_id: str, name: str) -> Beside:
    return Beside(id=cloud_id, name=name or cloud_id)


def _is_gone(cloud: Cloud, thing: Thing, cloud_id: str) -> bool:
    """Whether the cloud knows it no more: one that is about to go may yet fail to."""
    ask = {"server": cloud.get_server, "volume": cloud.get_volume}
    if thing == "address":
        return all(one.id != cloud_id for one in cloud.list_addresses())
    try:
        ask[thing](cloud_id)
    except NotInCloud:
        return True
    return False


def _fault(why: Pair) -> Fault:
    return {"zh": why[0], "en": why[1]}
