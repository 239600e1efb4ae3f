"""What befalls servers of Nova's between their making and their end: reboots, shelving, rebuilding."""

from typing import Any

import openstack.exceptions as sdk

from provisioning.cloud.openstack.servers import Servers, get_built, unless

SHELVING = ("shelving", "shelving_image_pending_upload", "shelving_image_uploading", "shelving_offloading")
UNSHELVING = ("unshelving", "spawning")
SHELVED, OFFLOADED = "SHELVED", "SHELVED_OFFLOADED"
NOT_IMPLEMENTED = 501


class Lifecycle(Servers):
    """The part of the driver that is about servers that are there."""

    def reboot_server(self, server_id: str, *, hard: bool) -> None:
        """See Cloud."""
        with self._session.calling("reboot_server") as (cloud, failures):
            if get_built(cloud, server_id, failures).compute_host is None:
                raise failures.conflict(
                    f"云服务器 {server_id} 不在任何主机上", f"the server {server_id} is on no host"
                )
            with unless(cloud, server_id, lambda now: _is_rebooting(now)):
                cloud.compute.reboot_server(server_id, "HARD" if hard else "SOFT")

    def count_reboots(self, server_id: str) -> int:
        """See Cloud. Nova's API notes an action before it passes it on, and forgets it with the server."""
        with self._session.calling("count_reboots") as (cloud, failures):
            get_built(cloud, server_id, failures)
            return sum(one.action == "reboot" for one in cloud.compute.server_actions(server_id))

    def shelve_server(self, server_id: str) -> None:
        """See Cloud."""
        with self._session.calling("shelve_server") as (cloud, failures):
            server = get_built(cloud, server_id, failures)
            theirs = self._session.scoped(server.project_id, failures)  # whose the image shall be
            with unless(cloud, server_id, _is_shelved):
                if server.status == SHELVED and server.task_state is None:
                    cloud.compute.shelve_offload_server(server_id)
                else:
                    theirs.compute.shelve_server(server_id)

    def unshelve_server(self, server_id: str) -> None:
        """See Cloud."""
        with self._session.calling("unshelve_server") as (cloud, failures):
            get_built(cloud, server_id, failures)
            with unless(cloud, server_id, _is_unshelved):
                cloud.compute.unshelve_server(server_id)

    def rebuild_server(self, server_id: str, *, image: str) -> None:
        """See Cloud."""
        with self._session.calling("rebuild_server") as (cloud, failures):
            get_built(cloud, server_id, failures)
            image_id = self._image_id(cloud, image, failures)
            with unless(cloud, server_id, lambda now: now.status == "REBUILD"):
                cloud.compute.rebuild_server(server_id, image_id)

    def console_url(self, server_id: str) -> str:
        """See Cloud."""
        with self._session.calling("console_url") as (cloud, failures):
            get_built(cloud, server_id, failures)
            try:
                made = cloud.compute.create_server_remote_console(server_id, protocol="vnc", type="novnc")
            except sdk.HttpException as error:
                if not isinstance(error, sdk.BadRequestException) and error.status_code != NOT_IMPLEMENTED:
                    raise
                raise failures.refused(
                    f"云平台未提供 noVNC 控制台（{error.details}）",
                    f"the cloud has no noVNC consoles ({error.details})",
                ) from error
            return str(made.url)


def _is_rebooting(found: Any) -> bool:
    """Nova's status of a stopped server does not tell."""
    return str(found.task_state).startswith("reboot")


def _is_shelved(found: Any) -> bool:
    return found.task_state in SHELVING or (found.status, found.task_state) == (OFFLOADED, None)


def _is_unshelved(found: Any) -> bool:
    return found.task_state in UNSHELVING or (found.status, found.task_state) == ("ACTIVE", None)
