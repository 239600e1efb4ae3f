"""One visit of a server in its cloud: look what is there, do the next steps, say what was found.

No session and no transaction here. Every step can be repeated: the tag is looked up before anything is made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from provisioning.cloud.driver import Cloud, Conflict, NotInCloud
from provisioning.cloud.observed import ImageStatus, Server, ServerStatus, Volume, VolumeStatus
from provisioning.quota import Resources

DELETING = "deleting"
RESTING = (ServerStatus.active, ServerStatus.shutoff)
RESIZES_ASKED_AT_MOST = 3
REBUILDS_AT_MOST = 2
"""How often what ended in error is made anew by itself: a service that was away may be back by then."""
Fault = dict[str, str]


@dataclass(frozen=True)
class VolumeWork:
    """A data volume as its row has it."""

    id: int
    tag: str
    name: str
    size_gib: int
    state: str
    cloud_id: str | None
    wanted_gib: int | None = None


@dataclass(frozen=True)
class Adopting:
    """What an adoption needs to know besides: what was claimed for the server without its volumes, and which
    project it makes its bureau's, which has `bureau_code` (None: it leaves the server's project as it is).
    """

    amounts: Resources
    bureau_code: str
    home: str | None


@dataclass(frozen=True)
class Work:
    """A server as its row had it when the visit began, which is number `visit`.

    `bureau_id` is whose project it is built in; `project_id` is None where that fence has to be pushed first.
    `grows` is false of a resize that needs no more of the quota than it held.
    """

    server_id: int
    request_id: int
    visit: int
    state: str
    tag: str
    name: str
    region: str
    bureau_id: int
    project_id: str | None
    cloud_id: str | None
    flavor: str
    wanted_flavor: str | None
    image: str
    zone: str
    refusals: int
    repushes: int
    asked: int
    volumes: tuple[VolumeWork, ...]
    grows: bool = True
    adopting: Adopting | None = None


@dataclass(frozen=True)
class Found:
    """What came of a visit: done, wait for what is under way, broken for good, gone, try again later, or make
    anew, after a longer pause, what ended in error and was taken away (`again`).

    `gone`: the server is not in the cloud any more. `seen` is the server as it was left, where its flavor
    and whether it runs decide what the records hold; so do `sizes`, GiB of volumes by their rows.
    `refused` and `over_quota` say why to try again. `asked`: how often the cloud took in what this state
    asks for; more than once, it did not keep to it.
    """

    what: Literal["done", "wait", "broken", "gone", "retry", "again"]
    cloud_id: str | None = None
    volume_ids: Mapping[int, str] = field(default_factory=dict)
    fault: Fault | None = None
    asked: int = 0
    seen: Server | None = None
    refused: bool = False
    over_quota: bool = False
    sizes: Mapping[int, int] = field(default_factory=dict)


def build(cloud: Cloud, work: Work) -> Found:
    """A server that runs with its volumes attached."""
    server = _the_server(cloud, work)
    if server is None:
        if work.state == "attaching":
            return Found("gone", fault=_gone(work))
        cloud.create_server(
            tag=work.tag,
            project_id=work.project_id or "",
            name=work.name,
            flavor=work.flavor,
            image=work.image,
            zone=work.zone,
        )
        server = _the_server(cloud, work)
    if server is None:
        return Found("wait", asked=work.asked)
    if server.status == ServerStatus.error and server.task != DELETING:
        return _made_anew(work, lambda: cloud.delete_server(server.id), server.id, _told(server.fault))
    if server.task is not None or server.status not in RESTING:
        return Found("wait", cloud_id=server.id, asked=work.asked)
    volumes = {
        wanted.id: _attached(cloud, work, wanted, server)
        for wanted in work.volumes
        if wanted.state in ("pending", "active")
    }
    ids = {key: volume.id for key, volume in volumes.items()}
    for key, volume in volumes.items():
        if volume.status == VolumeStatus.error:
            fault = {"zh": "有云硬盘在云平台上出错", "en": "a volume ended in error"}
            found = _made_anew(work, partial(cloud.delete_volume, volume.id), server.id, fault)
            return replace(found, volume_ids={other: id for other, id in ids.items() if other != key})
    ready = all(volume.status == VolumeStatus.in_use for volume in volumes.values())
    return Found("done" if ready else "wait", server.id, ids, asked=work.asked)


def dismantle(cloud: Cloud, work: Work) -> Found:
    """Neither the server nor any of its volumes is left."""
    server = _the_server(cloud, work)
    if server is not None:
        cloud.delete_server(server.id)
        server = _the_server(cloud, work)
    if server is not None:
        return Found("wait", cloud_id=server.id)
    return _without(cloud, work, [volume for volume in work.volumes if volume.state != "released"])


def prune(cloud: Cloud, work: Work) -> Found:
    """The server stays; of its volumes those that never became active are not left."""
    found = _without(cloud, work, [volume for volume in work.volumes if volume.state == "pending"])
    if found.what == "done" and _the_server(cloud, work) is None:
        return Found("gone", fault=_gone(work))
    return found


def resize(cloud: Cloud, work: Work) -> Found:
    """The server runs with the wanted flavor. One that returns to its old flavor each time is broken."""
    server = _the_server(cloud, work)
    if server is None:
        return Found("gone", fault=_gone(work))
    if server.status == ServerStatus.verify_resize and server.task is None:
        cloud.confirm_resize(server.id)
        server = cloud.get_server(server.id)
    if server.status == ServerStatus.error:
        return Found("broken", cloud_id=server.id, fault=_told(server.fault))
    if server.task is not None or server.status not in RESTING:
        return Found("wait", cloud_id=server.id, asked=work.asked)
    if server.flavor == work.wanted_flavor:
        return Found("done", cloud_id=server.id, seen=server)
    if work.asked >= RESIZES_ASKED_AT_MOST:
        fault = {"zh": "云服务器每次变更后都恢复为原规格", "en": "it returned to its old flavor each time"}
        return Found("broken", cloud_id=server.id, fault=fault)
    cloud.resize_server(server.id, flavor=work.wanted_flavor or "")
    return Found("wait", cloud_id=server.id, asked=work.asked + 1)


def revert(cloud: Cloud, work: Work) -> Found:
    """Nothing of a resize is under way or unconfirmed any more; `seen` tells with which flavor it ended."""
    server = _the_server(cloud, work)
    if server is None:
        return Found("gone", fault=_gone(work))
    if server.status == ServerStatus.verify_resize and server.task is None:
        cloud.revert_resize(server.id)
        server = cloud.get_server(server.id)
    if server.task is not None or server.status not in (*RESTING, ServerStatus.error):
        return Found("wait", cloud_id=server.id)
    if server.flavor not in (work.flavor, work.wanted_flavor):
        fault = {
            "zh": f"云服务器现为规格 {server.flavor}，并非变更前后的规格",
            "en": f"it has the flavor {server.flavor} now, neither the old nor the wanted one",
        }
        return Found("broken", cloud_id=server.id, fault=fault)
    return Found("done", cloud_id=server.id, seen=server)


def stop(cloud: Cloud, work: Work) -> Found:
    """The server is stopped. One in ERROR does not run either; its fault stays shown."""
    found = _switched(cloud, work, cloud.stop_server, ServerStatus.shutoff)
    return replace(found, what="done") if found.what == "broken" else found


def start(cloud: Cloud, work: Work) -> Found:
    """The server runs."""
    return _switched(cloud, work, cloud.start_server, ServerStatus.active)


def keep_snapshot(cloud: Cloud, work: Work) -> Found:
    """An image of the server's root disk is kept under the server's tag and '-last'.

    A server in ERROR has none made. An image that ended in error is deleted, and the next visit asks again.
    """
    server = _the_server(cloud, work)
    if server is None:
        return Found("gone", fault=_gone(work))
    tag, asked = f"{work.tag}-last", work.asked
    image = cloud.find_image(tag)
    if image is not None and image.status == ImageStatus.error:
        cloud.delete_image(image.id)
        fault = {"zh": "快照在云平台上出错", "en": "the snapshot ended in error"}
        return Found("broken", cloud_id=server.id, fault=fault, asked=asked)
    if image is None:
        if server.status == ServerStatus.error:
            return Found("broken", cloud_id=server.id, fault=_told(server.fault), asked=asked)
        cloud.snapshot_server(server.id, tag=tag, name=f"{work.name}-last")
        image, asked = cloud.find_image(tag), asked + 1
    done = image is not None and image.status == ImageStatus.active
    return Found("done" if done else "wait", cloud_id=server.id, asked=asked)


def _made_anew(work: Work, take_away: Callable[[], None], server_id: str, fault: Fault) -> Found:
    """What ended in error is taken away, to be made anew; or that is it, if it was so too often."""
    if work.state == "attaching" or work.asked >= REBUILDS_AT_MOST:
        return Found("broken", server_id, fault=fault, asked=work.asked)
    take_away()
    return Found("again", server_id, fault=fault, asked=work.asked + 1)


def _the_server(cloud: Cloud, work: Work) -> Server | None:
    """The one server of the tag; of two, made by visits that overlapped, the later one is deleted.

    One that lost its tag in the cloud is still there under its id, and is not taken for gone.
    """
    try:
        return cloud.find_server(work.tag) or _by_id(cloud, work)
    except Conflict:
        same = [server for server in cloud.list_servers() if server.tag == work.tag]
        same.sort(key=lambda one: (one.id != work.cloud_id, one.task == "deleting", one.created_at, one.id))
        for extra in same[1:]:
            cloud.delete_server(extra.id)
        return same[0] if same else None


def _by_id(cloud: Cloud, work: Work) -> Server | None:
    try:
        return cloud.get_server(work.cloud_id) if work.cloud_id else None
    except NotInCloud:
        return None


def _the_volume(cloud: Cloud, tag: str) -> Volume | None:
    """The one volume of the tag; of two, the one that is not attached is deleted."""
    try:
        return cloud.find_volume(tag)
    except Conflict:
        same = [volume for volume in cloud.list_volumes() if volume.tag == tag]
        same.sort(key=lambda one: (one.server_id is None, one.created_at, one.id))
        for extra in same[1:]:
            cloud.delete_volume(extra.id)
        return same[0] if same else None


def _attached(cloud: Cloud, work: Work, wanted: VolumeWork, server: Server) -> Volume:
    volume = _the_volume(cloud, wanted.tag)
    if volume is None:
        made = cloud.create_volume(
            tag=wanted.tag, project_id=server.project_id, name=wanted.name, size_gib=wanted.size_gib
        )
        volume = cloud.get_volume(made.id)
    if volume.status == VolumeStatus.available:
        cloud.attach_volume(volume.id, server_id=server.id)
        volume = cloud.get_volume(volume.id)
    return volume


def _without(cloud: Cloud, work: Work, volumes: list[VolumeWork]) -> Found:
    left = 0
    for wanted in volumes:
        volume = _the_volume(cloud, wanted.tag)
        if volume is not None and volume.status == VolumeStatus.in_use:
            cloud.detach_volume(volume.id)
            volume = _the_volume(cloud, wanted.tag)
        if volume is not None and volume.status in (VolumeStatus.available, VolumeStatus.error):
            cloud.delete_volume(volume.id)
            volume = _the_volume(cloud, wanted.tag)
        left += volume is not None
    return Found("wait" if left else "done", cloud_id=work.cloud_id)


def _switched(cloud: Cloud, work: Work, switch: Callable[[str], None], to: ServerStatus) -> Found:
    server = _the_server(cloud, work)
    if server is None:
        return Found("gone", fault=_gone(work))
    if server.status == ServerStatus.error:
        return Found("broken", cloud_id=server.id, fault=_told(server.fault))
    switch(server.id)
    now = cloud.get_server(server.id)
    return Found("done" if now.status == to and now.task is None else "wait", cloud_id=server.id)


def _gone(work: Work) -> Fault:
    return {
        "zh": f"云上已没有云服务器 {work.name}",
        "en": f"server {work.name} is not in the cloud any more",
    }


def _told(fault: str | None) -> Fault:
    if not fault:
        return {"zh": "云平台未说明原因", "en": "the cloud gave no reason"}
    return {"zh": f"云平台报告：{fault}", "en": f"the cloud reports: {fault}"}
