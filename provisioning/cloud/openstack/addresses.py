"""Public addresses: Neutron's floating IPs. An address's tag is in its description.

That is there from the start and listings filter by it; resource tags Neutron takes only afterwards.
"""

from typing import Any

import openstack.exceptions as sdk

from provisioning.cloud.labels import find_fault
from provisioning.cloud.observed import Address
from provisioning.cloud.openstack.catalogue import TAG, Catalogue

PREFIX = f"{TAG}="


class Addresses(Catalogue):
    """The part of the driver that is about public addresses."""

    def find_address(self, tag: str) -> Address | None:
        """See Cloud."""
        with self._session.calling("find_address") as (cloud, failures):
            tagged = list(cloud.network.ips(description=PREFIX + tag))
            found = failures.only(tagged, tag=tag, things_zh="个公网地址", things="addresses")
            return None if found is None else _to_address(found)

    def create_address(self, *, tag: str, project_id: str) -> Address:
        """See Cloud."""
        with self._session.calling("create_address") as (cloud, failures):
            failures.refuse_label(find_fault(tag=tag))
            public = self._public_id(failures)
            try:
                made = cloud.network.create_ip(
                    floating_network_id=public, project_id=project_id, description=PREFIX + tag
                )
            except sdk.ConflictException as error:
                said = str(error.details or error.message)
                if "uota" in said:
                    quota = cloud.network.get_quota(project_id, details=True).floating_ips
                    short = {"dimension": "addresses", "limit": quota["limit"], "asked": 1}
                    shortfalls = [{**short, "used": quota["used"]}]
                    raise failures.over_quota(project_id, shortfalls, said) from error
                raise failures.refused(
                    f"公网地址已用尽：{said}", f"no public address is left: {said}"
                ) from error
            return _to_address(made)

    def list_addresses(self, *, project_id: str | None = None) -> list[Address]:
        """See Cloud."""
        with self._session.calling("list_addresses") as (cloud, _):
            query = {} if project_id is None else {"project_id": project_id}
            return [_to_address(one) for one in cloud.network.ips(limit=self._page_size, **query)]

    def associate_address(self, address_id: str, *, server_id: str | None) -> None:
        """See Cloud."""
        with self._session.calling("associate_address") as (cloud, failures):
            try:
                found = _to_address(cloud.network.get_ip(address_id))
            except sdk.NotFoundException as error:
                raise failures.missing("公网地址", "address", address_id) from error
            if found.server_id == server_id:
                return
            if server_id is None:
                cloud.network.update_ip(address_id, port_id=None)
                return
            if found.server_id is not None:
                raise failures.conflict(
                    f"公网地址 {found.address} 已绑定到云服务器 {found.server_id}",
                    f"the address {found.address} leads to the server {found.server_id}",
                )
            port = next(iter(cloud.network.ports(device_id=server_id)), None)
            if port is None:
                raise failures.missing("云服务器", "server", server_id)
            cloud.network.update_ip(address_id, port_id=port.id)

    def delete_address(self, address_id: str) -> None:
        """See Cloud."""
        with self._session.calling("delete_address") as (cloud, _):
            cloud.network.delete_ip(address_id, ignore_missing=True)


def _to_address(found: Any) -> Address:
    described = found.description or ""
    port = found.port_details or {}
    return Address(
        id=found.id,
        tag=described.removeprefix(PREFIX) if described.startswith(PREFIX) else None,
        project_id=found.project_id,
        address=found.floating_ip_address,
        server_id=port.get("device_id") or None,
    )
