"""Network zones in OpenStack: each has a network, and each project a security group for it."""

import time
from collections.abc import Iterable
from typing import Any

import openstack.exceptions as sdk

from infra.settings import Zone
from provisioning.cloud.openstack.catalogue import Catalogue
from provisioning.cloud.openstack.failures import Failures
from provisioning.cloud.openstack.once import Once
from provisioning.cloud.openstack.session import Session

ROUTER_PORTS = (
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
)
MADE_BY_US = "siji-zone"
"""The description of a zone's network that Siji made, and so completes."""
NONE = "-"
NETWORK_ATTEMPTS, NETWORK_PAUSE_S = 3, 1.1


class Zones(Catalogue):
    """The part of the driver that knows where servers are on the network."""

    def __init__(self, session: Session, *, page_size: int) -> None:
        super().__init__(session, page_size=page_size)
        self._ensured: Once[str] = Once()

    def ensure_networks(self) -> None:
        """The networks of all zones, with what is missing of them."""
        with self._session.calling("ensure_networks") as (cloud, failures):
            for zone in self._session.where.zones:
                self._network_id(cloud, zone.name, failures)

    def _network_id(self, cloud: Any, zone: str, failures: Failures) -> str:
        """Of the zone's network; what is missing of it is made once a process."""
        told = self._zone(zone, failures)
        return self._ensured.get(
            ("network", zone), lambda: self._ensure_network(cloud.network, told.network, told.cidr)
        )

    def _zone(self, zone: str, failures: Failures) -> Zone:
        told = next((one for one in self._session.where.zones if one.name == zone), None)
        if told is None:
            known = "、".join(one.name for one in self._session.where.zones)
            raise failures.refused(
                f"没有名为 {zone} 的网络区域，已配置：{known}",
                f"there is no network zone {zone}; configured: {known}",
            )
        return told

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
        found = oldest(network.networks(name=name))
        if found is None:
            network.create_network(name=name, is_shared=True, description=MADE_BY_US)
            time.sleep(NETWORK_PAUSE_S)  # whoever makes one in the same second is seen then
            found = oldest(network.networks(name=name))
        if found.description == MADE_BY_US:
            subnet = oldest(network.subnets(network_id=found.id)) or network.create_subnet(
                network_id=found.id, name=name, ip_version=4, cidr=cidr
            )
            self._lead_out(network, found, subnet)
        return str(found.id)

    def _lead_out(self, network: Any, inside: Any, subnet: Any) -> None:
        """A router from the network to the public one, if there is that, and no router yet."""
        public = oldest(network.networks(name=self._session.where.public_network or NONE))
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


def oldest(found: Iterable[Any]) -> Any:
    """Of several that workers made at the same time, the one that all agree on; None if there is none."""
    return min(found, key=lambda one: (one.created_at, one.id), default=None)
