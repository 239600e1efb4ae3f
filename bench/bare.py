"""The baseline of bench/openstack.py: a plain program of openstacksdk that builds servers, no more.

`python -m bench.bare CLOUDS CLOUD PLAN`, where PLAN is what `write_plan` wrote. It makes projects, quotas,
servers, volumes and attachments with as many threads as a worker of Siji has, and asks as often: when
`pace.poll` says.
"""

import heapq
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from provisioning.pace import poll

THREADS = 4
NO_RETRIES: dict[str, Any] = {"connect_retries": 0, "status_code_retries": 0, "image_status_code_retries": 0}


@dataclass(frozen=True)
class Wanted:
    """Servers of one size in one project, each with a volume; the quota is the project's."""

    project: str
    flavor: str
    count: int
    volume_gib: int
    quota: dict[str, int]


class Machine:
    """A server on its way; `step` is what is to be done next, and returns whether that is the end."""

    def __init__(self, theirs: Any, wanted: Wanted, name: str, common: dict[str, str]) -> None:
        self._cloud, self._wanted, self._name, self._common = theirs, wanted, name, common
        self._server = self._volume = ""
        self._attached = False
        self.since = datetime.now(UTC)

    def step(self) -> bool:
        """Whether the server runs with its volume attached."""
        if not self._server:
            self._create()
            return False
        volume = self._cloud.block_storage.get_volume(self._volume)
        if self._attached:
            return bool(volume.status == "in-use")
        server = self._cloud.compute.get_server(self._server)
        if "error" in (server.status.lower(), volume.status):
            raise RuntimeError(f"{self._name}: server {server.status}, volume {volume.status}")
        if (server.status, volume.status) == ("ACTIVE", "available"):
            self._cloud.compute.create_volume_attachment(self._server, volume_id=self._volume)
            self._attached = True
        return False

    def _create(self) -> None:
        self._server = self._cloud.compute.create_server(
            name=self._name,
            flavor_id=self._common[self._wanted.flavor],
            image_id=self._common["image"],
            networks=[{"uuid": self._common["network"]}],
        ).id
        self._volume = self._cloud.block_storage.create_volume(
            name=self._name, size=self._wanted.volume_gib
        ).id
        self.since = datetime.now(UTC)


def build(clouds: str, cloud: str, fleet: list[Wanted], *, image: str, network: str) -> None:
    """Everything, until the last volume is in use."""
    config = OpenStackConfig(config_files=[clouds], load_envvars=False).get_one(cloud, **NO_RETRIES)
    admin = Connection(config=config)
    common = {one.name: one.id for one in admin.compute.flavors()}
    common["image"] = admin.image.find_image(image, ignore_missing=False).id
    common["network"] = admin.network.find_network(network, ignore_missing=False).id
    with ThreadPoolExecutor(THREADS) as pool:
        quotas = {one.project: one.quota for one in fleet}
        made = dict(zip(quotas, pool.map(_projects_of(admin), quotas.items()), strict=True))
        machines = [
            Machine(made[one.project], one, f"{one.project}-{number}-{each}", common)
            for number, one in enumerate(fleet)
            for each in range(one.count)
        ]
        _run(pool, machines)


def _projects_of(admin: Any) -> Callable[[tuple[str, dict[str, int]]], Any]:
    domain = admin.identity.find_domain("Default").id
    role = admin.identity.find_role("member", ignore_missing=False).id

    def make(wanted: tuple[str, dict[str, int]]) -> Any:
        name, quota = wanted
        project = admin.identity.create_project(name=name, domain_id=domain)
        admin.identity.assign_project_role_to_user(project.id, admin.current_user_id, role)
        admin.compute.update_quota_set(
            project.id, instances=quota["servers"], cores=quota["vcpus"], ram=quota["ram_mib"]
        )
        admin.block_storage.update_quota_set(
            project.id, volumes=quota["volumes"], gigabytes=quota["volume_gib"]
        )
        admin.network.update_quota(project.id, floating_ips=0, ports=-1)
        return admin.connect_as_project(project)

    return make


def _run(pool: ThreadPoolExecutor, machines: list[Machine]) -> None:
    """Steps that are due, the longest waiting first, never more at a time than there are threads."""
    numbers = count()
    waiting = [(0.0, next(numbers), machine) for machine in machines]
    under_way: dict[Future[bool], Machine] = {}
    while waiting or under_way:
        for machine in _due(waiting, THREADS - len(under_way)):
            under_way[pool.submit(machine.step)] = machine
        pause_s = max(0.01, waiting[0][0] - time.monotonic()) if waiting else None
        if under_way:
            done, _ = wait(under_way, timeout=pause_s, return_when=FIRST_COMPLETED)
        else:
            time.sleep(pause_s or 0)
            continue
        for one in done:
            machine = under_way.pop(one)
            if not one.result():
                pause = poll(machine.since, datetime.now(UTC)).total_seconds()
                heapq.heappush(waiting, (time.monotonic() + pause, next(numbers), machine))


def _due(waiting: list[tuple[float, int, Machine]], free: int) -> Iterator[Machine]:
    while free > 0 and waiting and waiting[0][0] <= time.monotonic():
        yield heapq.heappop(waiting)[2]
        free -= 1


def write_plan(file: Path, fleet: list[Wanted], **common: str) -> None:
    """What the program reads."""
    file.write_text(json.dumps({"fleet": [asdict(one) for one in fleet], **common}))


if __name__ == "__main__":
    plan = json.loads(Path(sys.argv[3]).read_text())
    wanted = [Wanted(**one) for one in plan["fleet"]]
    build(sys.argv[1], sys.argv[2], wanted, image=plan["image"], network=plan["network"])
