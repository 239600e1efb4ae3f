"""Servers in OpenStack's Nova.

A server's tag is in its metadata, and is a tag of Nova's besides, as listings filter by that alone.
"""

from datetime import datetime
from typing import Any

import openstack.exceptions as sdk

from provisioning.cloud.labels import find_fault
from provisioning.cloud.observed import Image, Server, ServerStatus
from provisioning.cloud.openstack.catalogue import TAG, Catalogue, to_image, told_by
from provisioning.cloud.openstack.failures import Failures
from provisioning.cloud.openstack.quotas import over_quota_told
from provisioning.quota import Resources

STATES = {status.value: status for status in ServerStatus}
STATES |= {"SHELVED": ServerStatus.shelved, "MIGRATING": ServerStatus.resize}
TELLS_IMAGE_ID = "2.45"
"""Since which version of its API Nova answers with the id of the image that it makes."""
FORBIDDEN = 403
"""Nova's status for a quota exceeded."""
GOING = ("deleting", "soft-deleting", "force-deleting")


class Servers(Catalogue):
    """The part of the driver that is about servers."""

    def find_server(self, tag: str) -> Server | None:
        """See Cloud."""
        with self._session.calling("find_server") as (cloud, failures):
            listed = cloud.compute.servers(all_projects=True, tags=tag)
            tagged = [one for one in listed if tag in (one.tags or ())]
            found = failures.only(tagged, tag=tag, things_zh="台云服务器", things="servers")
            return None if found is None else self._to_server(found)

    def create_server(
        self, *, tag: str, project_id: str, name: str, flavor: str, image: str, zone: str
    ) -> Server:
        """See Cloud."""
        with self._session.calling("create_server") as (cloud, failures):
            failures.refuse_label(find_fault(tag=tag, name=name))
            size = self._flavor(flavor, failures)
            network_id = self._network_id(cloud, zone, failures)
            image_id = self._image_id(cloud, image, failures)
            theirs = self._session.scoped(project_id, failures)
            asked = Resources.of(servers=1, vcpus=size.vcpus, ram_mib=size.ram_mib)
            with (
                over_quota_told(cloud, failures, project_id, asked, status=FORBIDDEN),
                self._network_known(zone),
            ):
                made = theirs.compute.create_server(
                    name=name,
                    flavor_id=size.id,
                    image_id=image_id,
                    networks=[{"uuid": network_id}],
                    metadata={TAG: tag},
                    tags=[tag],
                )
            return self._to_server(cloud.compute.get_server(made.id))

    def get_server(self, server_id: str) -> Server:
        """See Cloud."""
        with self._session.calling("get_server") as (cloud, failures):
            return self._to_server(_get(cloud, server_id, failures))

    def list_servers(self, *, project_id: str | None = None) -> list[Server]:
        """See Cloud."""
        with self._session.calling("list_servers") as (cloud, _):
            query = {} if project_id is None else {"project_id": project_id}
            found = cloud.compute.servers(all_projects=True, limit=self._page_size, **query)
            return [self._to_server(one) for one in found]

    def label_server(self, server_id: str, *, tag: str) -> None:
        """See Cloud. The metadata comes last: until then a repetition finds which tag it bore."""
        with self._session.calling("label_server") as (cloud, failures):
            failures.refuse_label(find_fault(tag=tag))
            server = _get(cloud, server_id, failures)
            had = (server.metadata or {}).get(TAG)
            if tag not in (server.tags or ()):
                cloud.compute.add_tag_to_server(server_id, tag)
            if had != tag and had in (server.tags or ()):
                cloud.compute.remove_tag_from_server(server_id, had)
            if had != tag:
                cloud.compute.set_server_metadata(server_id, **{TAG: tag})

    def delete_server(self, server_id: str) -> None:
        """See Cloud."""
        with self._session.calling("delete_server") as (cloud, _):
            cloud.compute.delete_server(server_id, ignore_missing=True)

    def stop_server(self, server_id: str) -> None:
        """See Cloud."""
        with self._session.calling("stop_server") as (cloud, failures):
            _get(cloud, server_id, failures)
            _unless_there(cloud, server_id, ServerStatus.shutoff, cloud.compute.stop_server)

    def start_server(self, server_id: str) -> None:
        """See Cloud."""
        with self._session.calling("start_server") as (cloud, failures):
            _get(cloud, server_id, failures)
            _unless_there(cloud, server_id, ServerStatus.active, cloud.compute.start_server)

    def resize_server(self, server_id: str, *, flavor: str) -> None:
        """See Cloud."""
        with self._session.calling("resize_server") as (cloud, failures):
            server = self._to_server(_get(cloud, server_id, failures))
            size = self._flavor(flavor, failures)
            old = Resources.of(vcpus=server.vcpus, ram_mib=server.ram_mib)
            growth = old.growth_to(Resources.of(vcpus=size.vcpus, ram_mib=size.ram_mib))
            with over_quota_told(cloud, failures, server.project_id, growth, status=FORBIDDEN):
                cloud.compute.resize_server(server_id, size.id)

    def confirm_resize(self, server_id: str) -> None:
        """See Cloud."""
        with self._session.calling("confirm_resize") as (cloud, failures):
            server = self._to_server(_get(cloud, server_id, failures))
            try:
                cloud.compute.confirm_server_resize(server_id)
            except sdk.BadRequestException:  # what was confirmed waits for its end without a task
                if server.status != ServerStatus.verify_resize:
                    raise

    def revert_resize(self, server_id: str) -> None:
        """See Cloud."""
        with self._session.calling("revert_resize") as (cloud, failures):
            _get(cloud, server_id, failures)
            cloud.compute.revert_server_resize(server_id)

    def snapshot_server(self, server_id: str, *, tag: str, name: str) -> Image:
        """See Cloud."""
        with self._session.calling("snapshot_server") as (cloud, failures):
            failures.refuse_label(find_fault(tag=tag, name=name))
            server = _get(cloud, server_id, failures)
            theirs = self._session.scoped(server.project_id, failures)
            asked = {"createImage": {"name": name, "metadata": {TAG: tag}}}
            answer = theirs.compute.post(
                f"/servers/{server_id}/action", json=asked, microversion=TELLS_IMAGE_ID
            )
            return to_image(cloud.image.get_image(told_by(answer)["image_id"]))

    def _to_server(self, found: Any) -> Server:
        networks = found.addresses or {}
        fixed = [one["addr"] for many in networks.values() for one in many if _is_fixed(one)]
        status = STATES.get(found.status, ServerStatus.unknown)
        fault = found.fault.get("message") if found.fault and status is ServerStatus.error else None
        return Server(
            id=found.id,
            tag=(found.metadata or {}).get(TAG),
            name=found.name,
            project_id=found.project_id,
            status=status,
            task=_task(found),
            fault=fault,
            flavor=found.flavor.original_name,
            vcpus=found.flavor.vcpus,
            ram_mib=found.flavor.ram,
            root_gib=found.flavor.disk,
            image_id=found.image.id if found.image else None,
            zone=self._zone_of(networks),
            addresses=tuple(sorted(fixed)),
            created_at=datetime.fromisoformat(found.created_at),
        )


def _get(cloud: Any, server_id: str, failures: Failures) -> Any:
    try:
        return cloud.compute.get_server(server_id)
    except sdk.NotFoundException as error:
        raise failures.missing("云服务器", "server", server_id) from error


def _task(found: Any) -> str | None:
    """What is under way; a server that was just taken in has no task yet, and is to be scheduled."""
    if found.task_state in GOING:
        return "deleting"
    if found.task_state is None and found.status == ServerStatus.build.value:
        return "scheduling"
    return None if found.task_state is None else str(found.task_state)


def _unless_there(cloud: Any, server_id: str, wanted: ServerStatus, act: Any) -> None:
    """Nova refuses to stop what is stopped: then nothing has to be done."""
    try:
        act(server_id)
    except sdk.ConflictException:
        found = cloud.compute.get_server(server_id)
        if (found.status, found.task_state) != (wanted.value, None):
            raise


def _is_fixed(address: dict[str, str]) -> bool:
    return address.get("OS-EXT-IPS:type", "fixed") == "fixed"
