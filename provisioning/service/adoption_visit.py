"""The visit that adopts: what was there before bears its tags, and nothing else is ever done to it.

No session and no transaction here, as in visits.
"""

from collections.abc import Mapping
from contextlib import suppress

from provisioning.cloud.driver import Cloud, NotInCloud
from provisioning.cloud.observed import Server, ServerStatus
from provisioning.quota import Resources
from provisioning.service.visits import RESTING
from provisioning.service.work import Fault, Found, Work

PASSING = (
    ServerStatus.build,
    ServerStatus.resize,
    ServerStatus.verify_resize,
    ServerStatus.revert_resize,
)
"""States that a server leaves, by itself or by its makers' hands."""


def adopt(cloud: Cloud, work: Work) -> Found:
    """The server and its volumes bear their tags, in a project where Siji may work.

    Nothing is written to them before they are seen to be what was claimed.
    """
    if work.adopting is None:
        raise RuntimeError(f"nobody said what to adopt as server {work.server_id}")
    home = work.adopting.home
    if home is not None:
        with suppress(NotInCloud):  # what is to be adopted is gone too then, which is told below
            cloud.adopt_project(home, bureau_code=work.adopting.bureau_code)
    try:
        server = cloud.get_server(work.cloud_id or "")
    except NotInCloud as failure:
        return Found("broken", fault={"zh": failure.message("zh"), "en": failure.message("en")})
    if server.task is not None or server.status in PASSING:
        return Found("wait", cloud_id=server.id)
    attached = {
        volume.id: volume.size_gib
        for volume in cloud.list_volumes(project_id=server.project_id)
        if volume.server_id == server.id
    }
    if (fault := _changed(work, work.adopting.amounts, server, attached)) is not None:
        return Found("broken", fault=fault)
    if server.project_id != home:
        cloud.adopt_project(server.project_id, bureau_code=None)
    cloud.label_server(server.id, tag=work.tag)  # first: it is what a cloud may refuse
    for volume in work.volumes:
        if volume.cloud_id in attached:
            cloud.label_volume(volume.cloud_id, tag=volume.tag)
    return Found("done", cloud_id=server.id, seen=server)


def _changed(work: Work, claimed: Resources, server: Server, attached: Mapping[str, int]) -> Fault | None:
    """How what is there differs from what was decided on."""
    if server.status not in RESTING:
        zh, en = (server.fault,) * 2 if server.fault else ("原因不明", "the cloud gave no reason")
        return {
            "zh": f"云服务器 {work.name} 为 {server.status}，须为 ACTIVE 或 SHUTOFF：{zh}",
            "en": f"server {work.name} is {server.status}, neither ACTIVE nor SHUTOFF: {en}",
        }
    size = Resources.of(servers=1, vcpus=server.vcpus, ram_mib=server.ram_mib, root_gib=server.root_gib)
    if size != claimed:
        now, then = _sizes(size), _sizes(claimed)
        return {
            "zh": f"云服务器 {work.name} 的规格已变：现为 {now}，审批时为 {then}",
            "en": f"server {work.name} has changed: it has {now}, and {then} was decided on",
        }
    wanted = {volume.cloud_id: volume.size_gib for volume in work.volumes if volume.state == "pending"}
    if attached != wanted:
        now, then = (f"{len(one)} × {sum(one.values())} GiB" for one in (attached, wanted))
        return {
            "zh": f"云服务器 {work.name} 挂载的云硬盘已变：现为 {now}，审批时为 {then}",
            "en": f"the volumes of server {work.name} have changed: {now} are there, {then} were decided on",
        }
    return None


def _sizes(amounts: Resources) -> str:
    return f"{amounts['vcpus']} vCPU, {amounts['ram_mib']} MiB, {amounts['root_gib']} GiB"
