"""What servers are made of, as the cloud has it: flavors, images, the public network. Kept for a minute."""

from collections.abc import Collection
from contextlib import suppress
from typing import Any

import openstack.exceptions as sdk
from openstack.image.v2.image import Image as SdkImage

from provisioning.cloud.observed import Flavor, Image, ImageStatus
from provisioning.cloud.openstack.failures import Failures
from provisioning.cloud.openstack.session import Kept, Session

IMAGE_STATES = {
    "queued": ImageStatus.queued,
    "saving": ImageStatus.queued,
    "importing": ImageStatus.queued,
    "uploading": ImageStatus.queued,
    "active": ImageStatus.active,
}
TAG = "siji_id"


class Catalogue:
    """The part of the driver that the others look names up in."""

    def __init__(self, session: Session, *, page_size: int) -> None:
        self._session = session
        self._page_size = page_size
        self._flavors: Kept[dict[str, Any]] = Kept(self._ask_flavors)
        self._images: Kept[list[Any]] = Kept(self._ask_images)
        self._networks: Kept[dict[str, str]] = Kept(self._ask_networks)

    def list_flavors(self) -> list[Flavor]:
        """See Cloud."""
        with self._session.calling("list_flavors") as (cloud, _):
            found = sorted(self._flavors.get(fresh=True).values(), key=lambda one: str(one.name))
            return [_to_flavor(one, _project_ids(cloud, one)) for one in found]

    def ensure_flavor(
        self,
        *,
        name: str,
        vcpus: int,
        ram_mib: int,
        root_gib: int,
        project_ids: Collection[str] | None = None,
    ) -> Flavor:
        """See Cloud."""
        with self._session.calling("ensure_flavor") as (cloud, failures):
            found = self._flavors.get(fresh=True).get(name)
            if found is None:
                is_public = project_ids is None
                try:
                    found = cloud.compute.create_flavor(
                        name=name, vcpus=vcpus, ram=ram_mib, disk=root_gib, is_public=is_public
                    )
                except sdk.ConflictException:  # another worker was first
                    found = self._flavors.get(fresh=True)[name]
                self._flavors.forget()
            _refuse_other(found, vcpus, ram_mib, root_gib, project_ids, failures)
            if project_ids is not None:
                _give(cloud, found, frozenset(project_ids), failures)
            return _to_flavor(found, _project_ids(cloud, found))

    def list_images(self) -> list[Image]:
        """See Cloud."""
        with self._session.calling("list_images"):
            return [to_image(one) for one in self._images.get(fresh=True)]

    def find_image(self, tag: str) -> Image | None:
        """See Cloud."""
        with self._session.calling("find_image") as (cloud, failures):
            found = failures.only(_images_tagged(cloud, tag), tag=tag, things_zh="个镜像", things="images")
            return None if found is None else to_image(found)

    def delete_image(self, image_id: str) -> None:
        """See Cloud."""
        with self._session.calling("delete_image") as (cloud, _):
            cloud.image.delete_image(image_id, ignore_missing=True)
            self._images.forget()

    def _flavor_for(self, project_id: str, name: str, failures: Failures) -> Any:
        """The SDK's flavor of that name; `Permanent` where it is other projects'."""
        found = self._flavors.get().get(name) or self._flavors.get(fresh=True).get(name)
        if found is None:
            raise failures.missing("规格", "flavor", name)
        theirs = _project_ids(self._session.admin(), found)
        if theirs is not None and project_id not in theirs:
            raise failures.refused(
                f"规格 {name} 专供其他项目，项目 {project_id} 不能使用",
                f"the flavor {name} is other projects', not for {project_id}",
            )
        return found

    def _image_id(self, cloud: Any, name: str, failures: Failures) -> str:
        """Of the newest active image of that name that is everybody's or the administrator's; no snapshot."""
        for fresh in (False, True):
            usable = [
                one
                for one in self._images.get(fresh=fresh)
                if (one.name, one.status) == (name, "active")
                and (one.visibility == "public" or one.owner_id == cloud.current_project_id)
                and to_image(one).tag is None
            ]
            if usable:
                return str(max(usable, key=lambda one: str(one.created_at)).id)
        raise failures.missing("镜像", "image", name)

    def _public_id(self, failures: Failures) -> str:
        """Of the network of public addresses."""
        name = self._session.where.public_network
        if name is None:
            raise failures.refused("该区域没有公网地址", "the region has no public addresses")
        found = self._networks.get().get(name) or self._networks.get(fresh=True).get(name)
        if found is None:
            raise failures.missing("公网网络", "public network", name)
        return found

    def _ask_flavors(self) -> dict[str, Any]:
        return {one.name: one for one in self._session.admin().compute.flavors(is_public=None)}

    def _ask_images(self) -> list[Any]:
        return list(self._session.admin().image.images(visibility="all", limit=self._page_size))

    def _ask_networks(self) -> dict[str, str]:
        return {one.name: str(one.id) for one in self._session.admin().network.networks()}


def _images_tagged(cloud: Any, tag: str) -> list[Any]:
    """Asked without the SDK's listing, which passes on no filter by a property of one's own."""
    told = told_by(cloud.image.get("/images", params={"visibility": "all", TAG: tag}))["images"]
    found = [{key: value for key, value in one.items() if key != "self"} for one in told]
    return [SdkImage.existing(**one) for one in found if one.get(TAG) == tag]


def told_by(answer: Any) -> Any:
    """The body of an answer to a plain request, which the SDK does not check by itself."""
    sdk.raise_from_response(answer)
    return answer.json()


def to_image(found: Any) -> Image:
    """As Siji sees an image of the SDK."""
    return Image(
        id=found.id,
        name=found.name or "",
        status=IMAGE_STATES.get(found.status, ImageStatus.error),
        min_root_gib=found.min_disk or 0,
        min_ram_mib=found.min_ram or 0,
        tag=(found.properties or {}).get(TAG),
    )


def _to_flavor(found: Any, project_ids: frozenset[str] | None) -> Flavor:
    return Flavor(
        id=found.id,
        name=found.name,
        vcpus=found.vcpus,
        ram_mib=found.ram,
        root_gib=found.disk,
        project_ids=project_ids,
    )


def _project_ids(cloud: Any, flavor: Any) -> frozenset[str] | None:
    """Whose it is, None where it is everybody's."""
    if flavor.is_public:
        return None
    return frozenset(one["tenant_id"] for one in cloud.compute.get_flavor_access(flavor.id))


def _refuse_other(
    found: Any,
    vcpus: int,
    ram_mib: int,
    root_gib: int,
    project_ids: Collection[str] | None,
    failures: Failures,
) -> None:
    if (found.vcpus, found.ram, found.disk) != (vcpus, ram_mib, root_gib):
        sizes = f"{found.vcpus} vCPU, {found.ram} MiB, {found.disk} GiB"
        raise failures.conflict(
            f"规格 {found.name} 已存在，为 {sizes}", f"the flavor {found.name} is there with {sizes}"
        )
    if found.is_public != (project_ids is None):
        zh, en = ("公共", "everybody's") if found.is_public else ("专用", "some projects' own")
        raise failures.conflict(
            f"规格 {found.name} 已存在，为{zh}规格，云平台不能更改",
            f"the flavor {found.name} is there and {en}, which the cloud cannot change",
        )


def _give(cloud: Any, flavor: Any, wanted: frozenset[str], failures: Failures) -> None:
    """Let exactly the `wanted` projects use it."""
    there = _project_ids(cloud, flavor) or frozenset()
    for project_id in sorted(wanted - there):
        try:
            cloud.compute.flavor_add_tenant_access(flavor.id, project_id)
        except sdk.BadRequestException as error:
            raise failures.missing("项目", "project", project_id) from error
        except sdk.ConflictException:  # another worker was first
            continue
    for project_id in sorted(there - wanted):
        with suppress(sdk.NotFoundException):  # another worker was first
            cloud.compute.flavor_remove_tenant_access(flavor.id, project_id)
