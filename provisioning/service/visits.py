"""One visit of a server in its cloud: look what is there, do the next steps, say what was found.

No session and no transaction here. Every step can be repeated: the tag is looked up before anything is made,
unless nobody can have made it.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Literal

from provisioning.cloud.driver import Cloud, Conflict, NotInCloud
from provisioning.cloud.observed import ImageStatus, Server, ServerStatus, Volume, VolumeStatus
from provisioning.pace import is_lost
from provisioning.service.work import Fault, Found, VolumeWork, Work

DELETING = "deleting"
RESTING = (ServerStatus.active, ServerStatus.shutoff)
RESIZES_ASKED_AT_MOST = 3
REBUILDS_AT_MOST = 2
"""How often what ended in error is made anew by itself: a service that was away may be back by then."""


def build(cloud: Cloud, work: Work) -> Found:
    """A server that runs with its volumes attached; these are made while it is being built.

    What is asked for in one visit is looked at in the next.
    """
    if ids := _attached_by_now(cloud, work):
        return Found("done", work.cloud_id, ids, asked=work.asked)
    server = _the_server(cloud, work) if work.visit > 1 else None  # nobody can have made one before the first
    if server is None:
        return Found("gone", fault=_gone(work)) if work.state == "attaching" else _begin(cloud, work)
    if server.status == ServerStatus.error and server.task != DELETING:
        return _made_anew(work, lambda: cloud.delete_server(server.id), server.id, _told(server.fault))
    if _is_lost(cloud, server, work.at):
        fault = {"zh": "云平台迟迟未为其安排宿主机", "en": "the cloud has placed it on no host for minutes"}
        return _made_anew(work, lambda: cloud.delete_server(server.id), server.id, fault)
    if server.task is not None or server.status not in RESTING:
        return Found("wait", cloud_id=server.id, asked=work.asked)
    seen = {wanted.id: _attached(cloud, wanted, server) for wanted in _wanted(work)}
    volumes = {key: one for key, (one, _) in seen.items()}
    acted = [key for key, (_, acted) in seen.items() if acted]
    attaching = [key for key in acted if volumes[key].status == VolumeStatus.available]
    ids = {key: volume.id for key, volume in volumes.items()}
    for key, volume in volumes.items():
        if volume.status == VolumeStatus.error:
            fault = {"zh": "有云硬盘在云平台上出错", "en": "a volume ended in error"}
            found = _made_anew(work, partial(cloud.delete_volume, volume.id), server.id, fault)
            return replace(found, volume_ids={other: id for other, id in ids.items() if other != key})
    ready = all(volume.status == VolumeStatus.in_use for volume in volumes.values())
    what: Literal["done", "wait"] = "done" if ready else "wait"
    return Found(what, server.id, ids, asked=work.asked, acted=bool(acted), attaching=attaching)


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


def _begin(cloud: Cloud, work: Work) -> Found:
    """Ask for the server; in the first visit for its volumes too, which nobody can have made before."""
    project_id = work.project_id or ""
    server_id = cloud.create_server(
        tag=work.tag,
        project_id=project_id,
        name=work.name,
        flavor=work.flavor,
        image=work.image,
        zone=work.zone,
    )
    first = _wanted(work) if work.visit == 1 else ()
    ids = {wanted.id: _made(cloud, wanted, project_id).id for wanted in first}
    return Found("wait", server_id, ids, asked=work.asked, acted=True)


def _attached_by_now(cloud: Cloud, work: Work) -> dict[int, str]:
    """Ids of all of its volumes, if the visit before asked to attach each and they are in use on the server
    by now: then it runs, as that visit saw. None as soon as one is not.
    """
    ids: dict[int, str] = {}
    for wanted in _wanted(work):
        volume = _the_volume(cloud, wanted.tag) if wanted.attaching else None
        if volume is None or (volume.status, volume.server_id) != (VolumeStatus.in_use, work.cloud_id):
            return {}
        ids[wanted.id] = volume.id
    return ids


def _wanted(work: Work) -> list[VolumeWork]:
    return [one for one in work.volumes if one.state in ("pending", "active")]


def _is_lost(cloud: Cloud, server: Server, at: datetime) -> bool:
    waits = server.status == ServerStatus.build and server.task != DELETING and server.host is None
    return waits and is_lost(server.created_at, at) and not cloud.is_placed(server.id)


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


def _attached(cloud: Cloud, wanted: VolumeWork, server: Server) -> tuple[Volume, bool]:
    """The volume as it was seen, or as it was made; from now on it is being attached, where it can be. And
    whether something was asked for.
    """
    volume = _the_volume(cloud, wanted.tag)
    if volume is None:
        return _made(cloud, wanted, server.project_id), True
    if volume.status != VolumeStatus.available:
        return volume, False
    cloud.attach_volume(volume, server=server)
    return volume, True


def _made(cloud: Cloud, wanted: VolumeWork, project_id: str) -> Volume:
    return cloud.create_volume(
        tag=wanted.tag, project_id=project_id, name=wanted.name, size_gib=wanted.size_gib
    )


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
