"""The lab's OpenStack for the contract suite: two clouds of the tests' own, each behind proxies that fail.

They are started once and kept; what a test made in them is taken away after it. Tests of several processes
take turns. `python -m tests.contract.openstack_lab` ends them.
"""

import atexit
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from infra.clock import Clock
from infra.lab.openstack import engine
from infra.lab.openstack.sizes import CITY
from infra.lab.state import default_folder, locked
from infra.settings import OpenStackRegion, Zone
from provisioning.cloud.openstack import OpenStackCloud
from tests.contract.proxy import Proxy
from tests.waiting import wait_until

SMALL = replace(
    CITY,
    computes=4,
    host_vcpus=16,
    host_ratio=1.0,
    host_ram_mib=262_144,
    host_disk_gib=4_096,
    pool_gib=2_000,
    public_addresses=4,
)
"""64 vCPU; of the four public addresses, the router of the zone has one."""
ZONE = Zone(name="extranet", network="siji-extranet", cidr="10.8.0.0/16")
PROXIED = {
    "compute": "compute",
    "block-storage": "block_storage",
    "network": "network",
    "image": "image",
    "placement": "placement",
}
CLOUDS = {"city": CITY, "small": SMALL}
PAGE_SIZE = 20
POLL_S = 0.2
RESTING = ("available", "error")
FOREIGN = "old-"
"""What names of projects that tests make as other makers begin with."""


@dataclass(frozen=True)
class Tested:
    """A cloud behind proxies, by service, with the driver that goes through them; `admin` goes past them.

    `clouds_file` names the same way as `tested`, for processes of a test's own; the lab's folder is `state`.
    """

    cloud: OpenStackCloud
    admin: Any
    proxies: dict[str, Proxy]
    clouds_file: Path
    state: Path

    def another(self, zone: Zone) -> OpenStackCloud:
        """The driver of another process, whose settings have `zone`."""
        region = OpenStackRegion(name=self.cloud.region, cloud="tested", zones=(zone,))
        return OpenStackCloud(region, clouds_file=str(self.clouds_file), page_size=PAGE_SIZE, now=Clock().now)

    def make_project(self, name: str) -> str:
        """A project of another maker, in the domain of that maker; its id."""
        return str(self.admin.identity.create_project(name=name, domain_id="default").id)

    def clear(self) -> None:
        """Take away all servers, groups, volumes, addresses, snapshots, and projects of other makers; let all
        hosts take servers.
        """
        compute, storage = self.admin.compute, self.admin.block_storage
        for one in compute.services(binary="nova-compute"):
            if one.status != "enabled":
                compute.enable_service(one)
        for one in self.admin.network.ips():
            self.admin.network.delete_ip(one)
        for one in compute.servers(all_projects=True):
            compute.delete_server(one, ignore_missing=True)
        wait_until(lambda: not list(compute.servers(all_projects=True, details=False)))
        for one in compute.server_groups(all_projects=True):
            compute.delete_server_group(one, ignore_missing=True)
        for one in self.admin.image.images(visibility="all"):
            if "siji_id" in (one.properties or {}):
                self.admin.image.delete_image(one)
        wait_until(lambda: all(one.status in RESTING for one in storage.volumes(all_projects=True)))
        for one in storage.volumes(all_projects=True):
            storage.delete_volume(one, ignore_missing=True)
        wait_until(lambda: not list(storage.volumes(all_projects=True)))
        for one in self.admin.identity.projects():
            if one.name.startswith(FOREIGN):
                self.admin.identity.delete_project(one)


@contextmanager
def turn(name: str) -> Iterator[Tested]:
    """The cloud of that name, for nobody else meanwhile; empty at the end."""
    _state(name).parent.mkdir(parents=True, exist_ok=True)
    with locked(_state(f"{name}.turn")):
        tested = _tested(name)
        yield tested
        for proxy in tested.proxies.values():
            proxy.reset()
        tested.clear()


@contextmanager
def unified_turn(name: str) -> Iterator[Tested]:
    """The same, with a Nova that takes its limits from Keystone meanwhile."""
    with turn(name) as tested:
        try:
            engine.up(tested.state, sizes=CLOUDS[name], unified=True)
            yield tested
            tested.clear()
        finally:
            engine.up(tested.state, sizes=CLOUDS[name])


@cache
def _tested(name: str) -> Tested:
    """Started, connected and emptied once in a process."""
    state = _state(name)
    engine.up(state, sizes=CLOUDS[name])
    clouds = engine.clouds(state)
    admin = Connection(config=OpenStackConfig(config_files=[str(clouds)], load_envvars=False).get_one("lab"))
    told = json.loads(clouds.read_text())["clouds"]["lab"]
    proxies = {}
    for kind, key in PROXIED.items():
        proxies[kind] = PROXIES.enter_context(Proxy(str(admin.endpoint_for(kind))).serving())
        told[f"{key}_endpoint_override"] = proxies[kind].url
    file = state / f"tested-{os.getpid()}.yaml"
    PROXIES.callback(file.unlink)
    file.touch(mode=0o600)
    file.write_text(json.dumps({"clouds": {"tested": told}}))
    cloud = OpenStackCloud(
        OpenStackRegion(name=name, cloud="tested", zones=(ZONE,)),
        now=Clock().now,
        clouds_file=str(file),
        page_size=PAGE_SIZE,
    )
    tested = Tested(cloud, admin, proxies, file, state)
    tested.clear()
    cloud.ensure_networks()
    return tested


def _state(name: str) -> Path:
    return default_folder() / "contract" / name


PROXIES = ExitStack()
"""They answer until the process ends."""
atexit.register(PROXIES.close)

if __name__ == "__main__":
    for cloud in CLOUDS:
        engine.down(_state(cloud))
