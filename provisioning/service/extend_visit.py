"""Visits for a larger volume: it is extended, or, where that broke, looked at until its size is certain.

No session and no transaction here, as in visits. What the size is in the end decides what is held.
"""

from contextlib import suppress

from provisioning.cloud.driver import Cloud, NotInCloud
from provisioning.cloud.observed import Server, Volume, VolumeStatus
from provisioning.service.visits import RESTING
from provisioning.service.work import Fault, Found, VolumeWork, Work

EXTENSIONS_ASKED_AT_MOST = 3
AT_REST = (VolumeStatus.available, VolumeStatus.in_use)


def extend(cloud: Cloud, work: Work) -> Found:
    """The volume has the wanted size. One that keeps its size each time is broken."""
    wanted, volume, server = _see(cloud, work)
    if volume is None or volume.status == VolumeStatus.error:
        return Found("broken", fault=_lost(wanted), asked=work.asked)
    if volume.status not in AT_REST:
        return Found("wait", asked=work.asked)
    if server is None:
        return Found("gone", fault=_gone(work), sizes={wanted.id: volume.size_gib})
    if volume.size_gib == wanted.wanted_gib:
        return _done(server, wanted, volume, asked=work.asked)
    if work.asked >= EXTENSIONS_ASKED_AT_MOST:
        fault = {"zh": "云硬盘每次扩容后容量都未变", "en": "the volume kept its size each time"}
        return Found("broken", fault=fault, asked=work.asked)
    cloud.extend_volume(volume.id, size_gib=wanted.wanted_gib or 0)
    return Found("wait", asked=work.asked + 1)


def measure(cloud: Cloud, work: Work) -> Found:
    """Nothing is under way with the volume any more; `sizes` tells with which size it ended."""
    wanted, volume, server = _see(cloud, work)
    if volume is not None and volume.status not in (*AT_REST, VolumeStatus.error):
        return Found("wait")
    size = wanted.size_gib if volume is None else volume.size_gib
    if server is None:
        return Found("gone", fault=_gone(work), sizes={wanted.id: size})
    if server.task is not None or server.status not in RESTING:
        return Found("done", sizes={wanted.id: size})
    return Found("done", seen=server, sizes={wanted.id: size})


def _see(cloud: Cloud, work: Work) -> tuple[VolumeWork, Volume | None, Server | None]:
    """The volume of which more is wanted, as its row has it and as it is; and its server."""
    [wanted] = [one for one in work.volumes if one.wanted_gib is not None]
    volume = server = None
    with suppress(NotInCloud):
        volume = cloud.get_volume(wanted.cloud_id or "")
    with suppress(NotInCloud):
        server = cloud.get_server(work.cloud_id or "")
    return wanted, volume, server


def _done(server: Server, wanted: VolumeWork, volume: Volume, *, asked: int) -> Found:
    """What the server is then, in error or paused, is not the volume's matter."""
    if server.task is not None:
        return Found("wait", asked=asked)
    seen = server if server.status in RESTING else None
    return Found("done", seen=seen, sizes={wanted.id: volume.size_gib}, asked=asked)


def _lost(wanted: VolumeWork) -> Fault:
    return {
        "zh": f"云硬盘 {wanted.name} 已不在云上，或在云平台上出错",
        "en": f"volume {wanted.name} is not in the cloud any more, or is in error there",
    }


def _gone(work: Work) -> Fault:
    return {
        "zh": f"云上已没有云服务器 {work.name}",
        "en": f"server {work.name} is not in the cloud any more",
    }
