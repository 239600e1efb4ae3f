"""Volumes in OpenStack's Cinder. A volume's tag is in its metadata, which its listings filter by."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import openstack.exceptions as sdk
from openstack.block_storage.v3.volume import Volume as SdkVolume

from provisioning.cloud.driver import Conflict
from provisioning.cloud.labels import find_fault
from provisioning.cloud.observed import Server, ServerStatus, Volume, VolumeStatus
from provisioning.cloud.openstack.catalogue import TAG, Catalogue, told_by
from provisioning.cloud.openstack.failures import Failures
from provisioning.cloud.openstack.quotas import over_quota_told
from provisioning.cloud.openstack.servers import get_server
from provisioning.quota import Resources

STATES = {status.value: status for status in VolumeStatus}
STATES["reserved"] = VolumeStatus.attaching
BUSY = 409
TOO_LARGE = 413
"""Cinder's status for a quota exceeded."""
TAKES_VOLUMES = (ServerStatus.active, ServerStatus.shutoff)


class Volumes(Catalogue):
    """The part of the driver that is about volumes."""

    def find_volume(self, tag: str) -> Volume | None:
        """See Cloud."""
        with self._session.calling("find_volume") as (cloud, failures):
            tagged = _volumes_tagged(cloud, tag)
            found = failures.only(tagged, tag=tag, things_zh="个云硬盘", things="volumes")
            return None if found is None else _to_volume(found)

    def create_volume(self, *, tag: str, project_id: str, name: str, size_gib: int) -> Volume:
        """See Cloud."""
        with self._session.calling("create_volume") as (cloud, failures):
            failures.refuse_label(find_fault(tag=tag, name=name))
            theirs = self._session.scoped(project_id, failures)
            asked = Resources.of(volumes=1, volume_gib=size_gib)
            kind = self._session.where.volume_type
            with over_quota_told(cloud, failures, project_id, asked, status=TOO_LARGE):
                made = theirs.block_storage.create_volume(
                    name=name,
                    size=size_gib,
                    metadata={TAG: tag},
                    **({} if kind is None else {"volume_type": kind}),
                )
            return _to_volume(made, project_id=project_id)

    def get_volume(self, volume_id: str) -> Volume:
        """See Cloud."""
        with self._session.calling("get_volume") as (cloud, failures):
            return _get(cloud, volume_id, failures)

    def list_volumes(self, *, project_id: str | None = None) -> list[Volume]:
        """See Cloud."""
        with self._session.calling("list_volumes") as (cloud, _):
            query = {} if project_id is None else {"project_id": project_id}
            found = cloud.block_storage.volumes(all_projects=True, limit=self._page_size, **query)
            return [_to_volume(one) for one in found]

    def extend_volume(self, volume_id: str, *, size_gib: int) -> None:
        """See Cloud."""
        with self._session.calling("extend_volume") as (cloud, failures):
            volume = _get(cloud, volume_id, failures)
            if size_gib < volume.size_gib:
                raise failures.refused(
                    f"云硬盘为 {volume.size_gib} GiB，只能扩大",
                    f"the volume has {volume.size_gib} GiB and can only grow",
                )
            if volume.status not in (VolumeStatus.available, VolumeStatus.in_use):
                raise failures.conflict(
                    f"云硬盘为 {volume.status}，此时不能扩容",
                    f"the volume is {volume.status}: it cannot be extended",
                )
            if size_gib == volume.size_gib:
                return
            growth = Resources.of(volume_gib=size_gib - volume.size_gib)
            with (
                over_quota_told(cloud, failures, volume.project_id, growth, status=TOO_LARGE),
                _busy_is_conflict(failures),
            ):
                cloud.block_storage.extend_volume(volume_id, size_gib)

    def label_volume(self, volume_id: str, *, tag: str) -> None:
        """See Cloud."""
        with self._session.calling("label_volume") as (cloud, failures):
            failures.refuse_label(find_fault(tag=tag))
            _get(cloud, volume_id, failures)
            cloud.block_storage.set_volume_metadata(volume_id, **{TAG: tag})

    def attach_volume(self, volume: Volume, *, server: Server) -> None:
        """See Cloud."""
        with self._session.calling("attach_volume") as (cloud, failures):
            if server.project_id != volume.project_id:
                raise failures.refused(
                    f"云硬盘 {volume.id} 与云服务器 {server.id} 不属于同一项目",
                    f"the volume {volume.id} and the server {server.id} are of different projects",
                )
            if _is_on(volume, server.id):
                return
            if server.status not in TAKES_VOLUMES:
                raise _not_to_be_attached(failures, volume.status, server.status)
            try:
                cloud.compute.create_volume_attachment(server.id, volume_id=volume.id)
            except (sdk.BadRequestException, sdk.NotFoundException) as error:
                if not _is_attached_after_all(cloud, volume.id, server.id, failures):
                    raise failures.of_status(BUSY, str(error.details)) from error

    def detach_volume(self, volume_id: str) -> None:
        """See Cloud."""
        with self._session.calling("detach_volume") as (cloud, failures):
            volume = _get(cloud, volume_id, failures)
            if volume.status == VolumeStatus.available:
                return
            if volume.status != VolumeStatus.in_use or volume.server_id is None:
                raise failures.conflict(
                    f"云硬盘为 {volume.status}，此时不能卸载", f"the volume is {volume.status}, not in-use"
                )
            with _busy_is_conflict(failures):
                cloud.compute.delete_volume_attachment(volume.server_id, volume_id)

    def delete_volume(self, volume_id: str) -> None:
        """See Cloud."""
        with self._session.calling("delete_volume") as (cloud, failures):
            try:
                cloud.block_storage.delete_volume(volume_id, ignore_missing=True)
            except sdk.BadRequestException as error:
                volume = _find(cloud, volume_id)
                if volume is None or volume.status == VolumeStatus.deleting:
                    return
                raise failures.of_status(BUSY, str(error.details)) from error


def _volumes_tagged(cloud: Any, tag: str) -> list[Any]:
    """Asked without the SDK's listing, which filters again by itself and knows no filter by metadata."""
    query = {"all_tenants": "1", "metadata": json.dumps({TAG: tag})}
    told = told_by(cloud.block_storage.get("/volumes/detail", params=query))["volumes"]
    return [SdkVolume.existing(**one) for one in told if one["metadata"].get(TAG) == tag]


@contextmanager
def _busy_is_conflict(failures: Failures) -> Iterator[None]:
    """Nova answers 400 for a volume that somebody else took meanwhile, 404 for one that is detached."""
    try:
        yield
    except (sdk.BadRequestException, sdk.NotFoundException) as error:
        raise failures.of_status(BUSY, str(error.details)) from error


def _is_on(volume: Volume, server_id: str) -> bool:
    return volume.server_id == server_id and volume.status != VolumeStatus.detaching


def _is_attached_after_all(cloud: Any, volume_id: str, server_id: str, failures: Failures) -> bool:
    """Whether Nova refused as it is attached there, or is being attached.

    Cinder tells of an attachment when it is made; Nova from the start.
    """
    volume, server = _get(cloud, volume_id, failures), get_server(cloud, server_id, failures)
    if _is_on(volume, server_id):
        return True
    if volume.status == VolumeStatus.attaching:
        told = cloud.compute.volume_attachments(server_id)
        return any(one.volume_id == volume_id for one in told)
    if volume.status != VolumeStatus.available:
        raise _not_to_be_attached(failures, volume.status, server.status)
    return False


def _not_to_be_attached(failures: Failures, volume: str, server: str) -> Conflict:
    return failures.conflict(
        f"云硬盘为 {volume}，云服务器为 {server}，此时不能挂载",
        f"the volume is {volume} and the server {server}: it cannot be attached",
    )


def _get(cloud: Any, volume_id: str, failures: Failures) -> Volume:
    found = _find(cloud, volume_id)
    if found is None:
        raise failures.missing("云硬盘", "volume", volume_id)
    return found


def _find(cloud: Any, volume_id: str) -> Volume | None:
    try:
        return _to_volume(cloud.block_storage.get_volume(volume_id))
    except sdk.NotFoundException:
        return None


def _status(told: str, *, is_attached: bool) -> VolumeStatus:
    """A volume that something else is done with (backing-up, retyping) keeps its place and is not lost."""
    if told.startswith("error"):
        return VolumeStatus.error
    return STATES.get(told, VolumeStatus.in_use if is_attached else VolumeStatus.creating)


def _to_volume(found: Any, *, project_id: str = "") -> Volume:
    attached = [one["server_id"] for one in found.attachments or () if one.get("server_id")]
    return Volume(
        id=found.id,
        tag=(found.metadata or {}).get(TAG),
        name=found.name or "",
        project_id=found.project_id or project_id,
        status=_status(found.status, is_attached=bool(attached)),
        size_gib=found.size,
        server_id=attached[0] if attached else None,
        created_at=datetime.fromisoformat(found.created_at).replace(tzinfo=UTC),
    )
