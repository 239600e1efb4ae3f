"""What servers are made of, as the cloud has it: flavors, images, networks of zones. Kept for a minute."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
ROUTER_PORTS = (
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
)
MADE_BY_US = "siji-zone"
"""The description of a zone's network that Siji made, and so completes."""
NONE = "-"
NETWORK_ATTEMPTS, NETWORK_PAUSE_S = 3, 1.1


class Catalogue:
    """The part of the driver that the others look names up in."""

    def __init__(self, session: Session, *, page_size: int) -> None:
        self._session = session
        self._page_size = page_size
        self._flavors: Kept[dict[str, Flavor]] = Kept(self._ask_flavors)
        self._images: Kept[list[Any]] = Kept(self._ask_images)
        self._networks: Kept[dict[str, str]] = Kept(self._ask_networks)
        self._ensured: dict[str, str] = {}

    def list_flavors(self) -> list[Flavor]:
        """See Cloud."""
        with self._session.calling("list_flavors"):
            return sorted(self._flavors.get(fresh=True).values(), key=lambda one: one.name)

    def ensure_flavor(self, *, name: str, vcpus: int, ram_mib: int, root_gib: int) -> Flavor:
        """See Cloud."""
        with self._session.calling("ensure_flavor") as (cloud, failures):
            found = self._flavors.get(fresh=True).get(name)
            if found is None:
                try:
                    made = cloud.compute.create_flavor(name=name, vcpus=vcpus, ram=ram_mib, disk=root_gib)
                    found = _to_flavor(made)
                except sdk.ConflictException:  # another worker was first
                    found = self._flavors.get(fresh=True)[name]
                self._flavors.forget()
            if (found.vcpus, found.ram_mib, found.root_gib) != (vcpus, ram_mib, root_gib):
                sizes = f"{found.vcpus} vCPU, {found.ram_mib} MiB, {found.root_gib} GiB"
                raise failures.conflict(
                    f"规格 {name} 已存在，为 {sizes}", f"the flavor {name} is there with {sizes}"
                )
            return found

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

    def _flavor(self, name: str, failures: Failures) -> Flavor:
        found = self._flavors.get().get(name) or self._flavors.get(fresh=True).get(name)
        if found is None:
            raise failures.missing("规格", "flavor", name)
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

    def ensure_networks(self) -> None:
        """The networks of all zones, with what is missing of them."""
        with self._session.calling("ensure_networks") as (cloud, failures):
            for zone in self._session.where.zones:
                self._network_id(cloud, zone.name, failures)

    def _network_id(self, cloud: Any, zone: str, failures: Failures) -> str:
        """Of the zone's network; what is missing of it is made once a process."""
        told = next((one for one in self._session.where.zones if one.name == zone), None)
        if told is None:
            known = "、".join(one.name for one in self._session.where.zones)
            raise failures.refused(
                f"没有名为 {zone} 的网络区域，已配置：{known}",
                f"there is no network zone {zone}; configured: {known}",
            )
        if zone not in self._ensured:
            self._ensured[zone] = self._ensure_network(cloud.network, told.network, told.cidr)
        return self._ensured[zone]

    @contextmanager
    def _network_known(self, zone: str) -> Iterator[None]:
        """A refusal within may be for a network that is gone: it is looked up again at the next time."""
        try:
            yield
        except (sdk.BadRequestException, sdk.NotFoundException):
            self._ensured.pop(zone, None)
            raise

    def _ensure_network(self, network: Any, name: str, cidr: str) -> str:
        """A network that all projects may use, its subnet, and its way to the public network if there is one.

        One that Siji did not make is used as it is. Where two workers make the same at a time, Neutron
        refuses one of them, who then looks again.
        """
        for _ in range(NETWORK_ATTEMPTS - 1):
            try:
                return self._complete_network(network, name, cidr)
            except (sdk.BadRequestException, sdk.ConflictException):
                time.sleep(NETWORK_PAUSE_S)
        return self._complete_network(network, name, cidr)

    def _complete_network(self, network: Any, name: str, cidr: str) -> str:
        found = _oldest(network.networks(name=name))
        if found is None:
            network.create_network(name=name, is_shared=True, description=MADE_BY_US)
            time.sleep(NETWORK_PAUSE_S)  # whoever makes one in the same second is seen then
            found = _oldest(network.networks(name=name))
        if found.description == MADE_BY_US:
            subnet = _oldest(network.subnets(network_id=found.id)) or network.create_subnet(
                network_id=found.id, name=name, ip_version=4, cidr=cidr
            )
            self._lead_out(network, found, subnet)
        return str(found.id)

    def _lead_out(self, network: Any, inside: Any, subnet: Any) -> None:
        """A router from the network to the public one, if there is that, and no router yet."""
        public = _oldest(network.networks(name=self._session.where.public_network or NONE))
        routed = any(one.device_owner in ROUTER_PORTS for one in network.ports(network_id=inside.id))
        if public is None or routed:
            return
        router = network.create_router(name=inside.name, external_gateway_info={"network_id": public.id})
        try:
            network.add_interface_to_router(router, subnet=subnet)
        except sdk.HttpException:
            network.delete_router(router)
            raise

    def _zone_of(self, networks: Any) -> str | None:
        named = {zone.network: zone.name for zone in self._session.where.zones}
        return next((named[name] for name in networks if name in named), None)

    def _ask_flavors(self) -> dict[str, Flavor]:
        found = self._session.admin().compute.flavors(is_public=None)
        return {one.name: _to_flavor(one) for one in found}

    def _ask_images(self) -> list[Any]:
        return list(self._session.admin().image.images(visibility="all", limit=self._page_size))

    def _ask_networks(self) -> dict[str, str]:
        return {one.name: str(one.id) for one in self._session.admin().network.networks()}


def _oldest(found: Iterable[Any]) -> Any:
    """Of several that workers made at the same time, the one that all agree on; None if there is none."""
    return min(found, key=lambda one: (one.created_at, one.id), default=None)


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


def _to_flavor(found: Any) -> Flavor:
    return Flavor(id=found.id, name=found.name, vcpus=found.vcpus, ram_mib=found.ram, root_gib=found.disk)
