"""Servers of the sample city in the lab's OpenStack, asked for through requests and built by `siji worker`.

What is there is counted by asking the services as their administrator, not through Siji's driver.
"""

import json
import os
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from identity.phase1 import Phase1Group, read_phase1
from infra import jobs
from infra.clock import Clock
from infra.database import reading, transaction
from infra.installation import Installation
from infra.lab.openstack import engine
from infra.lab.openstack.place import Place
from infra.lab.openstack.sizes import CITY
from infra.settings import OpenStackRegion, Settings
from portal.cli.local import bring_up
from portal.cli.run_engines import variables
from portal.sample.aside import Aside
from portal.sample.city import load_systems, load_tree
from portal.sample.cloud import grant_down_the_tree, open_sample_region, request_everything
from portal.sample.people import load_people
from provisioning.cloud.connect import connect
from provisioning.cloud.openstack.projects import PREFIX
from provisioning.models import Allocation, PushedQuota, Request, Server, Volume
from provisioning.pace import VISIT_LASTS
from provisioning.queries import list_findings
from provisioning.quota import Resources, total_used
from provisioning.service.recount import recount
from provisioning.service.sweep import sweep
from tests.contract import openstack_lab
from tests.contract.openstack_lab import Tested
from tests.waiting import wait_until

WHOLE = read_phase1()
FEW = tuple(one for one in WHOLE if one.bureau_code in ("130624100", "130637", "130630", "130631"))
"""Nine servers of four bureaus in three counties."""
AHEAD_S = int(VISIT_LASTS.total_seconds()) + 5
"""How much a clock is put forward so that what killed workers had taken is due again."""
IDLE_S = 60
"""Nothing has changed for so long: then nobody works."""


LIMITS = {
    "servers": "total_instances_used",
    "vcpus": "total_cores_used",
    "ram_mib": "total_ram_used",
    "volumes": "total_volumes_used",
    "volume_gib": "total_gigabytes_used",
}
Count = dict[str, int]


@dataclass(frozen=True)
class Fleet:
    """Verified requests for `groups` in the records of `here`; `tested` is the cloud where they are built."""

    here: Installation
    tested: Tested
    groups: Sequence[Phase1Group]
    password: str

    @property
    def count(self) -> int:
        """How many servers were asked for, each with a volume."""
        return sum(group.count for group in self.groups)

    def asked(self) -> Resources:
        """What all of them need."""
        return sum((_amounts(group) for group in self.groups), Resources())

    def built(self) -> int:
        """How many servers and volumes the cloud has by now."""
        return len(self._servers(details=False)) + len(self._volumes())

    def wait_for(self, least: int) -> None:
        """Return when the cloud has so many servers and volumes, or everything is done."""
        wait_until(lambda: self.built() >= least or self.is_done())

    def is_done(self) -> bool:
        """Whether every request waits for its applicant's confirmation alone."""
        with reading(self.here.engine) as session:
            return set(session.scalars(select(Request.state))) == {"confirming"}

    def sweep(self, *, ahead_s: float = 0) -> None:
        """What the beat has done every half minute, as a clock has it that is so much ahead."""
        jobs.join(self.here)
        with transaction(self.here.engine) as session:
            sweep(session, at=self.here.clock.now() + timedelta(seconds=ahead_s))
        jobs.leave()

    def rest(self, *, within_s: float = 3600) -> None:
        """Return when everything is done, or when nobody has visited a server for IDLE_S."""
        deadline, since, seen = time.monotonic() + within_s, time.monotonic(), -1
        while not self.is_done() and time.monotonic() < min(deadline, since + IDLE_S):
            visits = self._visits()
            if visits != seen:
                seen, since = visits, time.monotonic()
            time.sleep(0.2)

    def check(self) -> None:
        """The cloud has exactly what was asked for, and the records say so."""
        with reading(self.here.engine) as session:
            rows = {one.tag: one for one in session.scalars(select(Server))}
            volumes = {one.tag: one for one in session.scalars(select(Volume))}
            assert recount(session) == []
            held = total_used(
                session.scalars(select(Allocation.amounts).where(Allocation.valid_to.is_(None)))
            )
            states = Counter(session.scalars(select(Allocation.state).where(Allocation.valid_to.is_(None))))
        assert Counter(one.state for one in rows.values()) == {"active": self.count}
        assert states == {"settled": self.count + len(volumes)}
        there = self._servers()
        assert Counter(one.metadata.get("siji_id") for one in there) == dict.fromkeys(rows, 1)
        assert {one.id: one.status for one in there} == {row.cloud_id: "ACTIVE" for row in rows.values()}
        disks = self._volumes()
        assert Counter(one.metadata.get("siji_id") for one in disks) == dict.fromkeys(volumes, 1)
        assert {one.status for one in disks} == {"in-use"}
        on = {one.id: [each["server_id"] for each in one.attachments] for one in disks}
        owners = {row.id: row.cloud_id for row in rows.values()}
        assert on == {one.cloud_id: [owners[one.server_id]] for one in volumes.values()}
        self._check_ports(set(owners.values()))
        assert list(self.tested.admin.network.ips()) == []
        asked = self.asked()
        assert held == asked
        assert self._in_placement() == {"VCPU": asked["vcpus"], "MEMORY_MB": asked["ram_mib"]}

    def waiting(self) -> list[tuple[str, str, object]]:
        """Servers that are not built yet: name, state, why."""
        with reading(self.here.engine) as session:
            rows = session.scalars(select(Server).where(Server.state != "active"))
            return [(row.name, row.state, row.fault) for row in rows]

    def held(self) -> Resources:
        """The sum of open allocations."""
        with reading(self.here.engine) as session:
            query = select(Allocation.amounts).where(Allocation.valid_to.is_(None))
            return total_used(session.scalars(query))

    def findings(self) -> set[tuple[str, str | None]]:
        """What audits have found and is still there: kinds, and ids in the cloud."""
        with reading(self.here.engine) as session:
            return {(one.kind, one.cloud_id) for one in list_findings(session, limit=None)}

    def recorded(self) -> dict[str, Count]:
        """What the records have of each project in the cloud."""
        with reading(self.here.engine) as session:
            query = select(PushedQuota.project, Allocation.amounts)
            query = query.join(PushedQuota, PushedQuota.bureau_id == Allocation.bureau_id)
            found: dict[str, Resources] = defaultdict(Resources)
            for project, amounts in session.execute(query.where(Allocation.valid_to.is_(None))):
                found[str(project)] += amounts
            return {project: _counted(amounts) for project, amounts in found.items()}

    def count_in(self, project: str) -> Count:
        """What `openstack` says that Nova and Cinder have there."""
        told = self.ask("limits", "show", "--absolute", "--project", project)
        said = {one["Name"]: one["Value"] for one in told}
        return {key: said[name] for key, name in LIMITS.items()}

    def count_in_all(self) -> Count:
        """What `openstack` lists over all projects; root disks besides, as flavors have them."""
        sizes = {one["Name"]: one for one in self.ask("flavor", "list", "--all")}
        servers = self.ask("server", "list", "--all-projects", "--status", "ACTIVE")
        volumes = self.ask("volume", "list", "--all-projects", "--status", "in-use")
        flavors = [sizes[one["Flavor"]] for one in servers]
        return {
            "servers": len(servers),
            "vcpus": sum(one["VCPUs"] for one in flavors),
            "ram_mib": sum(one["RAM"] for one in flavors),
            "root_gib": sum(one["Disk"] for one in flavors),
            "volumes": len(volumes),
            "volume_gib": sum(one["Size"] for one in volumes),
        }

    def ask(self, *words: str) -> Any:
        """What `openstack`, a client that is none of Siji's, answers."""
        place = Place.of(self.tested.state)
        done = subprocess.run(
            [place.venv / "bin" / "openstack", "--os-cloud", "lab", *words, "-f", "json"],
            env={"OS_CLIENT_CONFIG_FILE": str(place.clouds), "PATH": os.defpath, "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def without(self, service: str) -> Iterator[None]:
        """That service is killed, and started again after the block."""
        engine.kill(service, self.tested.state)
        try:
            yield
        finally:
            engine.up(self.tested.state, sizes=CITY)

    def _check_ports(self, server_ids: set[str | None]) -> None:
        """One for each server; besides them only the routers' own."""
        ports = [one for one in self.tested.admin.network.ports() if one.project_id in self.recorded()]
        assert Counter(one.device_id for one in ports) == dict.fromkeys(server_ids, 1)
        assert all(one.device_owner.startswith("compute:") for one in ports)

    def _in_placement(self) -> dict[str, int]:
        used: Counter[str] = Counter()
        for provider in self.tested.admin.placement.resource_providers():
            told = self.tested.admin.placement.get(f"/resource_providers/{provider.id}/usages").json()
            used.update(told["usages"])
        return {name: used[name] for name in ("VCPU", "MEMORY_MB")}

    def _visits(self) -> int:
        with reading(self.here.engine) as session:
            return session.scalar(select(func.sum(Server.visits))) or 0

    def _servers(self, *, details: bool = True) -> list[Any]:
        return list(self.tested.admin.compute.servers(all_projects=True, details=details))

    def _volumes(self) -> list[Any]:
        return list(self.tested.admin.block_storage.volumes(all_projects=True))


def prepare(environment: dict[str, str], tested: Tested) -> None:
    """Let the processes of `environment` work in the cloud, through its proxies; no bureau has a project."""
    for project in tested.admin.identity.projects():
        if any(tag.startswith(PREFIX) for tag in project.tags or ()):
            tested.admin.identity.delete_project(project)
    region = OpenStackRegion(name="baoding", cloud="tested", zones=(openstack_lab.ZONE,))
    settings = Settings(cloud="openstack", clouds_file=tested.clouds_file, openstack=(region,))
    environment.update(variables(settings))


def begin_city(here: Installation, groups: Sequence[Phase1Group], *, aside: Aside) -> str:
    """The sample city's tree, systems and people, and its region; the people's password."""
    at = here.clock.now()
    bring_up(here)
    load_tree(here.engine, at=at)
    load_systems(here.engine, at=at, aside=aside, groups=groups)
    password = load_people(here.engine, data_dir=here.settings.data_dir, at=at, aside=aside)
    open_sample_region(here, connect(here.settings, here.settings.region, Clock()), groups=groups)
    return password


def ask_for(here: Installation, tested: Tested, groups: Sequence[Phase1Group]) -> Fleet:
    """The sample city with verified requests for `groups`; nobody works yet."""
    aside = Aside()
    password = begin_city(here, groups, aside=aside)
    region = here.settings.region
    grant_down_the_tree(here, region=region, aside=aside, groups=groups)
    request_everything(here, region=region, aside=aside, done=lambda: None, groups=groups)
    assert not aside
    return Fleet(here, tested, groups, password)


def _counted(amounts: Resources) -> Count:
    return {key: amounts[key] for key in LIMITS}


def _amounts(group: Phase1Group) -> Resources:
    number = group.count
    return Resources.of(
        servers=number,
        vcpus=number * group.vcpus,
        ram_mib=number * group.ram_mib,
        root_gib=number * group.root_gib,
        volumes=number,
        volume_gib=number * group.volume_gib,
    )
