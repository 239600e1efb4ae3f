"""Servers in OpenStack's Nova.

A server's tag is in its metadata, and is a tag of Nova's besides, as listings filter by that alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import openstack.exceptions as sdk

from provisioning.cloud.labels import find_fault
from provisioning.cloud.observed import Image, Server, ServerStatus
from provisioning.cloud.openstack import placing, security
from provisioning.cloud.openstack.catalogue import TAG, to_image, told_by
from provisioning.cloud.openstack.failures import Failures
from provisioning.cloud.openstack.quotas import over_quota_told
from provisioning.cloud.openstack.zones import Zones
from provisioning.cloud.options import NO_OPTIONS, Options, find_options_fault
from provisioning.quota import Resources

STATES = {status.value: status for status in ServerStatus}
STATES |= {"SHELVED": ServerStatus.shelved, "HARD_REBOOT": ServerStatus.reboot}
GROUP = "siji_group"
"""Names its group in a server's metadata: Nova's listings tell of no groups."""
SECRETS = ("adminPass", "user_data")
"""What Nova calls them when it quotes them."""
TELLS_IMAGE_ID = "2.45"
"""Since which version of its API Nova answers with the id of the image that it makes."""
FORBIDDEN = 403
"""Nova's status for a quota exceeded."""
GOING = ("deleting", "soft-deleting", "force-deleting")


class Servers(Zones):
    """The part of the driver that is about servers."""

    def find_server(self, tag: str) -> Server | None:
        """See Cloud."""
        with self._session.calling("find_server") as (cloud, failures):
            listed = cloud.compute.servers(all_projects=True, tags=tag)
            tagged = [one for one in listed if tag in (one.tags or ())]
            found = failures.only(tagged, tag=tag, things_zh="台云服务器", things="servers")
            return None if found is None else self._to_server(found)

    def create_server(
        self,
        *,
        tag: str,
        project_id: str,
        name: str,
        flavor: str,
        image: str,
        zone: str,
        options: Options = NO_OPTIONS,
    ) -> str:
        """See Cloud."""
        with self._session.calling("create_server") as (cloud, failures):
            failures.refuse_label(find_fault(tag=tag, name=name) or find_options_fault(options))
            size = self._flavor_for(project_id, flavor, failures)
            image_id = self._image_id(cloud, image, failures)
            theirs = self._session.scoped(project_id, failures)
            asked = Resources.of(servers=1, vcpus=size.vcpus, ram_mib=size.ram)
            with (
                over_quota_told(cloud, failures, project_id, asked, status=FORBIDDEN),
                _secrets_hidden(failures, options),
                self._ensured.trusted(*_relied_on(project_id, zone, options)),
            ):
                made = theirs.compute.create_server(
                    name=name,
                    flavor_id=size.id,
                    tags=[tag],
                    **self._on_network(cloud, project_id, zone, failures),
                    **self._at_first(image_id, options),
                    **self._placed(cloud, theirs, project_id, tag, options, failures),
                )
            return str(made.id)

    def _on_network(self, cloud: Any, project_id: str, zone: str, failures: Failures) -> dict[str, Any]:
        network_id, told = self._network_id(cloud, zone, failures), self._zone(zone, failures)
        if not told.rules:
            return {"networks": [{"uuid": network_id}]}
        group_id = self._ensured.get(
            ("rules", project_id, zone), lambda: security.ensure_group(cloud.network, project_id, told)
        )
        return {"networks": [{"uuid": network_id}], "security_groups": [{"name": group_id}]}

    def _at_first(self, image_id: str, options: Options) -> dict[str, Any]:
        """What it boots from, and what its first boot is told."""
        asked = {"admin_password": options.admin_password, "user_data": options.encoded_user_data}
        told: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
        if options.root_volume_gib is None:
            return told | {"image_id": image_id}
        kind = self._session.where.volume_type
        root = {
            "boot_index": 0,
            "source_type": "image",
            "uuid": image_id,
            "destination_type": "volume",
            "volume_size": options.root_volume_gib,
            "delete_on_termination": True,
        }
        return told | {"block_device_mapping": [root if kind is None else root | {"volume_type": kind}]}

    def _placed(
        self, cloud: Any, theirs: Any, project_id: str, tag: str, options: Options, failures: Failures
    ) -> dict[str, Any]:
        told: dict[str, Any] = {"metadata": {TAG: tag}}
        key_name, key, group = options.key_name, options.public_key, options.group
        if key is not None and key_name is not None:
            told["key_name"] = self._ensured.get(
                ("key", key_name), lambda: placing.ensure_key(cloud, theirs, project_id, key_name, key)
            )
        if group is not None:
            group_id = self._ensured.get(
                ("group", project_id, group),
                lambda: placing.ensure_group(cloud, theirs, project_id, group, failures),
            )
            told["metadata"][GROUP] = group.name
            told["scheduler_hints"] = {"group": group_id}
        return told

    def get_server(self, server_id: str) -> Server:
        """See Cloud."""
        with self._session.calling("get_server") as (cloud, failures):
            return self._to_server(get_server(cloud, server_id, failures))

    def is_placed(self, server_id: str) -> bool:
        """See Cloud."""
        with self._session.calling("is_placed") as (cloud, _):
            return bool(told_by(cloud.placement.get(f"/allocations/{server_id}"))["allocations"])

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
            server = get_built(cloud, server_id, failures)
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
            get_built(cloud, server_id, failures)
            with unless(cloud, server_id, lambda now: _rests(now, ServerStatus.shutoff)):
                cloud.compute.stop_server(server_id)

    def start_server(self, server_id: str) -> None:
        """See Cloud."""
        with self._session.calling("start_server") as (cloud, failures):
            get_built(cloud, server_id, failures)
            with unless(cloud, server_id, lambda now: _rests(now, ServerStatus.active)):
                cloud.compute.start_server(server_id)

    def resize_server(self, server_id: str, *, flavor: str) -> None:
        """See Cloud."""
        with self._session.calling("resize_server") as (cloud, failures):
            server = self._to_server(get_built(cloud, server_id, failures))
            size = self._flavor_for(server.project_id, flavor, failures)
            old = Resources.of(vcpus=server.vcpus, ram_mib=server.ram_mib)
            growth = old.growth_to(Resources.of(vcpus=size.vcpus, ram_mib=size.ram))
            with over_quota_told(cloud, failures, server.project_id, growth, status=FORBIDDEN):
                cloud.compute.resize_server(server_id, size.id)

    def confirm_resize(self, server_id: str) -> None:
        """See Cloud."""
        with self._session.calling("confirm_resize") as (cloud, failures):
            server = self._to_server(get_built(cloud, server_id, failures))
            try:
                cloud.compute.confirm_server_resize(server_id)
            except sdk.BadRequestException:  # what was confirmed waits for its end without a task
                if server.status != ServerStatus.verify_resize:
                    raise

    def revert_resize(self, server_id: str) -> None:
        """See Cloud."""
        with self._session.calling("revert_resize") as (cloud, failures):
            get_built(cloud, server_id, failures)
            cloud.compute.revert_server_resize(server_id)

    def snapshot_server(self, server_id: str, *, tag: str, name: str) -> Image:
        """See Cloud."""
        with self._session.calling("snapshot_server") as (cloud, failures):
            failures.refuse_label(find_fault(tag=tag, name=name))
            server = get_built(cloud, server_id, failures)
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
            host=found.compute_host or None,
            group=(found.metadata or {}).get(GROUP),
            key_name=found.key_name or None,
            addresses=tuple(sorted(fixed)),
            created_at=datetime.fromisoformat(found.created_at),
        )


def _task(found: Any) -> str | None:
    """What is under way; a server that was just taken in has no task yet, and is to be scheduled."""
    if found.task_state in GOING:
        return "deleting"
    if found.task_state is None and found.status == ServerStatus.build.value:
        return "scheduling"
    return None if found.task_state is None else str(found.task_state)


def get_server(cloud: Any, server_id: str, failures: Failures) -> Any:
    try:
        return cloud.compute.get_server(server_id)
    except sdk.NotFoundException as error:
        raise failures.missing("云服务器", "server", server_id) from error


def get_built(cloud: Any, server_id: str, failures: Failures) -> Any:
    """One that something can be done with. Nova refuses what is being built, and while it goes from the API's
    database to its cell's, as if it were not there.
    """
    server = get_server(cloud, server_id, failures)
    if server.status == ServerStatus.build:
        raise failures.conflict(
            f"云服务器 {server_id} 正在创建", f"the server {server_id} is still being built"
        )
    return server


@contextmanager
def unless(cloud: Any, server_id: str, is_there: Callable[[Any], bool]) -> Iterator[None]:
    """Nova refuses to stop what is stopped: then nothing has to be done."""
    try:
        yield
    except sdk.ConflictException:
        if not is_there(cloud.compute.get_server(server_id)):
            raise


def _relied_on(project_id: str, zone: str, options: Options) -> list[tuple[Any, ...]]:
    """Keys of what was ensured earlier and the server is made with."""
    own = [("key", options.key_name), ("group", project_id, options.group)]
    return [("network", zone), ("rules", project_id, zone), *own]


@contextmanager
def _secrets_hidden(failures: Failures, options: Options) -> Iterator[None]:
    """A refusal may quote what it refuses; a password or user data must not be told on."""
    try:
        yield
    except sdk.BadRequestException as error:
        said = str(error.details or error.message)
        if any(one in said for one in SECRETS):
            raise failures.refused(
                "云平台不接受该初始密码或用户数据",
                "the cloud does not take the first-boot password or user data",
            ) from None
        if options.admin_password is None or options.admin_password not in said:
            raise
        raise failures.of_status(error.status_code, said.replace(options.admin_password, "…")) from None


def _rests(found: Any, wanted: ServerStatus) -> bool:
    return (found.status, found.task_state) == (wanted.value, None)


def _is_fixed(address: dict[str, str]) -> bool:
    return address.get("OS-EXT-IPS:type", "fixed") == "fixed"
