"""Tells Keystone whom the services are and where they answer, and waits for those behind the APIs.

Runs as a process of its own (`python -m`), as the SDK takes a second to import:
    catalogue CLOUDS services PLAN     once Keystone answers; PLAN is a file of JSON: users, passwords, urls
    catalogue CLOUDS limits            Nova's limits in Keystone, for its user to read
    catalogue CLOUDS ready COMPUTES SINCE  until all services have reported after SINCE, seconds of the epoch
    catalogue CLOUDS guests KERNEL DISK    an image to boot on the host with real guests, and on no other
    catalogue CLOUDS lasting ADDRESSES  a volume type, a network of so many public addresses, images to boot
"""

import json
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openstack import exceptions as sdk
from openstack.config import OpenStackConfig
from openstack.connection import Connection

from infra.lab.openstack.place import GUESTS, REGION
from infra.lab.openstack.sizes import PUBLIC_CIDR, PUBLIC_FIRST

SERVICES = {
    "keystone": "identity",
    "placement": "placement",
    "glance": "image",
    "nova": "compute",
    "cinder": "block-storage",
    "neutron": "network",
}
BEHIND = {"nova-conductor", "nova-scheduler", "cinder-scheduler", "cinder-volume"}
READY_WITHIN_S = 300
IMAGES = {"Debian-12": 10, "openEuler-24.03-LTS": 20, "Kylin-Server-V10-SP3": 40}
"""And how many GiB of root disk each wants at least."""
GUEST_IMAGE = "siji-lab-guest"
TRAIT = "CUSTOM_SIJI_LAB_GUESTS"
LIMITS = {"servers": 10, "class:VCPU": 20, "class:MEMORY_MB": 51_200}
"""As many as Nova's own quota is, where none is set."""


def tell_services(cloud: Connection, plan: dict[str, Any]) -> None:
    """Users of the services with their roles, and the endpoints, brought to `plan`."""
    identity: Any = cloud.identity  # the SDK's type is also of Keystone's old version
    roles = {role.name: role for role in identity.roles()}
    if "service" not in roles:
        roles["service"] = identity.create_role(name="service")
    project = identity.find_project("service") or identity.create_project(name="service", domain_id="default")
    for name, password in plan["users"].items():
        user = identity.find_user(name) or identity.create_user(
            name=name, password=password, domain_id="default", default_project_id=project.id
        )
        for role in ("admin", "service"):
            identity.assign_project_role_to_user(project, user, roles[role])
    found = {service.type: service for service in identity.services()}
    endpoints = {(one.service_id, one.interface): one for one in identity.endpoints()}
    for name, url in plan["urls"].items():
        kind = SERVICES[name]
        service = found.get(kind) or identity.create_service(name=name, type=kind)
        for interface in ("public", "internal", "admin"):
            known = endpoints.get((service.id, interface))
            if known is None:
                identity.create_endpoint(
                    service_id=service.id, interface=interface, url=url, region_id=REGION
                )
            elif known.url.rstrip("/") != url.rstrip("/"):
                identity.update_endpoint(known, url=url)


def wait_ready(cloud: Connection, *, computes: int, since: float) -> None:
    """Until every service behind the APIs has reported after `since` (one that is dead reads 'up' a minute
    long), and Placement knows the hosts.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            up = [
                *_reported(cloud.compute.services(), since),
                *_reported(cloud.block_storage.services(), since),
            ]
            hosts = len(list(cloud.placement.resource_providers()))
        except sdk.SDKException as error:
            up, hosts = [str(error)], 0
        if min(hosts, up.count("nova-compute")) >= computes and set(up) >= BEHIND:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"not all services reported within {READY_WITHIN_S} s, only: {sorted(up)}")
        time.sleep(0.2)


def register_limits(cloud: Connection) -> None:
    """Of Nova, as unified limits want it."""
    identity: Any = cloud.identity
    reader = identity.find_role("reader", ignore_missing=False)
    identity.assign_system_role_to_user(identity.find_user("nova", ignore_missing=False), reader, "all")
    [nova] = identity.services(type=SERVICES["nova"])
    there = {one.resource_name for one in identity.registered_limits(service_id=nova.id, region_id=REGION)}
    for name, bound in LIMITS.items():
        if name not in there:
            identity.create_registered_limit(
                service_id=nova.id, region_id=REGION, resource_name=name, default_limit=bound
            )


def make_lasting(cloud: Connection, *, addresses: int) -> None:
    """What an operator makes once in a new cloud."""
    if not any(kind.name == "lab" for kind in cloud.block_storage.types()):
        cloud.block_storage.create_type(name="lab", extra_specs={"volume_backend_name": "lab"})
    if cloud.network.find_network("public") is None:
        public = cloud.network.create_network(name="public", is_router_external=True)
        cloud.network.create_subnet(
            network_id=public.id,
            ip_version=4,
            cidr=PUBLIC_CIDR,
            is_dhcp_enabled=False,
            allocation_pools=[{"start": str(PUBLIC_FIRST), "end": str(PUBLIC_FIRST + addresses - 1)}],
        )
    for name, root_gib in IMAGES.items():
        if cloud.image.find_image(name) is None:
            cloud.image.create_image(
                name,
                data=b"lab",
                container_format="bare",
                disk_format="raw",
                visibility="public",
                min_disk=root_gib,
                wait=True,
            )


def make_guests(cloud: Connection, *, kernel: str, disk: str) -> None:
    """Let the host with real guests take servers of one image, and no others; that image no other host."""
    compute, placement = cloud.compute, cloud.placement
    [host] = placement.resource_providers(name=GUESTS)
    placement.create_trait(TRAIT)
    while TRAIT not in (held := placement.get_resource_provider_trait(host)).traits:
        with suppress(sdk.ConflictException):  # Nova's service wrote meanwhile
            placement.set_resource_provider_trait(held, traits=[*held.traits, TRAIT])
    group = next((one for one in compute.aggregates() if one.name == GUESTS), None)
    group = group or compute.create_aggregate(name=GUESTS)
    if GUESTS not in (group.hosts or ()):
        compute.add_host_to_aggregate(group, GUESTS)
    compute.set_aggregate_metadata(group, {f"trait:{TRAIT}": "required"})
    if cloud.image.find_image(GUEST_IMAGE) is None:
        parts = {
            name: _upload(cloud, f"{GUEST_IMAGE} {name}", kind, "community", data=Path(file).read_bytes())
            for name, kind, file in (("kernel", "aki", kernel), ("ramdisk", "ari", disk))
        }
        _upload(
            cloud,
            GUEST_IMAGE,
            "ami",
            "public",
            data=bytes(2**20),
            kernel_id=parts["kernel"],
            ramdisk_id=parts["ramdisk"],
            os_command_line="console=tty0 console=ttyS0 quiet",
            os_shutdown_timeout="1",  # its one program hears no power button
            **{f"trait:{TRAIT}": "required"},
        )


def _upload(cloud: Connection, name: str, kind: str, visibility: str, **more: Any) -> str:
    made = cloud.image.create_image(
        name, container_format=kind, disk_format=kind, visibility=visibility, wait=True, **more
    )
    return str(made.id)


def _reported(services: Any, since: float) -> list[str]:
    return [
        one.binary
        for one in services
        if one.state == "up" and one.updated_at and _epoch(one.updated_at) > since
    ]


def _epoch(written: str) -> float:
    return datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()


def main(clouds: str, verb: str, *words: str) -> None:
    """See the top of the file."""
    configured = OpenStackConfig(config_files=[clouds], load_envvars=False)
    cloud = Connection(config=configured.get_one("lab"))
    if verb == "services":
        tell_services(cloud, json.loads(Path(words[0]).read_text()))
    elif verb == "limits":
        register_limits(cloud)
    elif verb == "guests":
        make_guests(cloud, kernel=words[0], disk=words[1])
    elif verb == "ready":
        wait_ready(cloud, computes=int(words[0]), since=float(words[1]))
    else:
        make_lasting(cloud, addresses=int(words[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
