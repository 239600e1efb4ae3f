"""The visit that reboots: once, though a server that was rebooted looks like one that was not.

How many reboots the cloud had accepted is written down before it is asked for one (`asked`, one more than
that). Whatever became of that visit, the next one knows by the count whether to ask again. No session and no
transaction here, as in visits.
"""

from provisioning.cloud.driver import Cloud, NotInCloud
from provisioning.cloud.observed import Server, ServerStatus
from provisioning.service.work import Fault, Found, Work


def reboot(cloud: Cloud, work: Work, *, hard: bool) -> Found:
    """The server was rebooted and runs."""
    try:
        count = cloud.count_reboots(work.cloud_id or "")  # first, so that what is seen then is no older
        server = cloud.get_server(work.cloud_id or "")
    except NotInCloud as failure:
        return Found("gone", fault={"zh": failure.message("zh"), "en": failure.message("en")})
    if work.asked == 0:
        return Found("wait", cloud_id=server.id, asked=count + 1)
    is_rebooting = server.status == ServerStatus.reboot
    if count < work.asked and ((hard and is_rebooting) or server.task is None):
        if not hard and server.status != ServerStatus.active:
            return Found("broken", cloud_id=server.id, fault=_not_running(server))
        cloud.reboot_server(server.id, hard=hard)
        return Found("wait", cloud_id=server.id, asked=work.asked)
    if is_rebooting or server.task is not None:
        return Found("wait", cloud_id=server.id, asked=work.asked)
    if server.status != ServerStatus.active:
        return Found("broken", cloud_id=server.id, fault=_not_running(server))
    return Found("done", cloud_id=server.id)


def _not_running(server: Server) -> Fault:
    zh, en = (server.fault,) * 2 if server.fault else ("云平台未说明原因", "the cloud gave no reason")
    return {
        "zh": f"云服务器在云上为 {server.status}，并未运行：{zh}",
        "en": f"it is {server.status} in the cloud and does not run: {en}",
    }
