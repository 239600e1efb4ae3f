"""The sample city's servers on the lab's OpenStack: built by Siji's workers, and by a plain SDK program.

Both begin with an empty cloud in the same state, have as many threads, and ask as often. Siji's time runs
from the last verification until every server runs with its volume, the start of its worker included; the
plain program's is its whole run. Calls are counted in the services' own access logs.
"""

import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import Popen, run

from sqlalchemy import select

from bench.bare import THREADS, Wanted, write_plan
from bench.databases import own_database
from bench.sweeps import measure_sweeps
from bench.tables import Goal, Measured
from identity.phase1 import Phase1Group, read_phase1
from infra.clock import Clock
from infra.database import reading
from infra.installation import Installation, open_installation
from infra.lab import rabbitmq
from infra.lab.openstack import engine
from infra.lab.openstack.place import Place
from infra.lab.openstack.services import PATHS
from infra.lab.openstack.sizes import CITY
from infra.lab.state import default_folder
from infra.settings import OpenStackRegion, Settings
from portal.cli.local import bring_up
from portal.cli.run_engines import ZONES, variables
from portal.sample.aside import Aside
from portal.sample.city import load_systems, load_tree
from portal.sample.cloud import IMAGE, grant_down_the_tree, open_sample_region, request_everything
from portal.sample.people import load_people
from provisioning.cloud.connect import connect
from provisioning.cloud.openstack import OpenStackCloud
from provisioning.models import Request

STATE = default_folder() / "bench"
"""A lab of the benchmark's own: what a developer has in theirs stays."""
SIZES = replace(CITY, host_ram_mib=2 * CITY.host_ram_mib, pool_gib=2 * CITY.pool_gib)
"""Four times the sample city with the quarters more that are granted."""
REGION = OpenStackRegion(name="baoding", cloud="lab", zones=ZONES)
CLIENT = "openstacksdk"
"""In the user agent of both contenders, and of no service of the lab."""
SIJI = str(Path(sys.executable).with_name("siji"))
POLL_S = 0.2


@dataclass(frozen=True)
class Ran:
    """What one contender took: seconds, and calls by service."""

    seconds: float
    calls: Counter[str]


def measure() -> list[Measured]:
    """The sample city as it is."""
    return compare(times=1)


def compare(*, times: int) -> list[Measured]:
    """Both contenders at so many times the sample city's servers."""
    groups = tuple(replace(one, count=times * one.count) for one in read_phase1())
    engine.up(STATE, sizes=SIZES)
    try:
        theirs = run_bare(groups)
        with built_by_siji(groups) as (here, ours):
            swept = measure_sweeps(here, clouds=str(engine.clouds(STATE)), name=REGION.cloud)
    finally:
        engine.down(STATE)
    shown = [(name, *_cells(ran, groups)) for name, ran in (("Siji", ours), ("bare SDK", theirs))]
    services = [name for name, _ in (ours.calls + theirs.calls).most_common()]
    by_service = [(name, ours.calls[name], theirs.calls[name]) for name in services]
    number = sum(group.count for group in groups)
    return [
        Measured(
            f"{number} servers with a volume each, in {_projects(groups)} projects on the lab's OpenStack",
            ("who", "seconds", "calls", "calls a server"),
            shown,
            [
                Goal("wall time, Siji / bare SDK", ours.seconds / theirs.seconds, 1.15, at_least=False),
                Goal(
                    "calls, Siji / bare SDK", ours.calls.total() / theirs.calls.total(), 1.3, at_least=False
                ),
            ],
        ),
        Measured("the same calls by service", ("service", "Siji", "bare SDK"), by_service, []),
        swept,
    ]


def _open_anew(groups: Sequence[Phase1Group]) -> None:
    """A new cloud, in which flavors and networks are there."""
    engine.reset(STATE)
    cloud = OpenStackCloud(REGION, clouds_file=str(engine.clouds(STATE)), now=Clock().now)
    for one in groups:
        cloud.ensure_flavor(name=one.flavor, vcpus=one.vcpus, ram_mib=one.ram_mib, root_gib=one.root_gib)
    cloud.ensure_networks()


def run_bare(groups: Sequence[Phase1Group]) -> Ran:
    """The plain program's run, in a new cloud in which flavors and networks are there."""
    _open_anew(groups)
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        write_plan(plan, _wanted(groups), image=IMAGE, network=ZONES[0].network)
        with _counting() as calls:
            began = time.perf_counter()
            run([sys.executable, "-m", "bench.bare", engine.clouds(STATE), REGION.cloud, plan], check=True)
            seconds = time.perf_counter() - began
    return Ran(seconds, calls)


@contextmanager
def built_by_siji(groups: Sequence[Phase1Group]) -> Iterator[tuple[Installation, Ran]]:
    """One `siji worker`, on PostgreSQL and RabbitMQ, in a new cloud with the same flavors and networks; its
    installation as long as it is there.
    """
    _open_anew(groups)
    with tempfile.TemporaryDirectory() as folder, own_database() as url, _own_broker() as broker:
        settings = _settings(Path(folder)).model_copy(
            update={"database_url": url, "job_broker_url": broker, "sample": True}
        )
        here = open_installation(settings)
        _ask_for(here, groups)
        told = {**variables(settings), "SIJI_DATABASE_URL": url, "SIJI_JOB_BROKER_URL": broker}
        told["SIJI_DATA_DIR"] = folder
        with _counting() as calls:
            began = time.perf_counter()
            with _worker(told):
                while not _is_done(here):
                    time.sleep(POLL_S)
                seconds = time.perf_counter() - began
        yield here, Ran(seconds, calls)
        here.engine.dispose()


def _ask_for(here: Installation, groups: Sequence[Phase1Group]) -> None:
    """Everything verified, and nobody at work; the region is known, and its networks are there."""
    at, aside, region = here.clock.now(), Aside(), here.settings.region
    bring_up(here)
    load_tree(here.engine, at=at)
    load_systems(here.engine, at=at, aside=aside, groups=groups)
    load_people(here.engine, data_dir=here.settings.data_dir, at=at, aside=aside)
    cloud = connect(here.settings, region, here.clock)
    open_sample_region(here, cloud, groups=groups)
    grant_down_the_tree(here, region=region, aside=aside, groups=groups)
    request_everything(here, region=region, aside=aside, done=lambda: None, groups=groups)
    if aside:
        raise RuntimeError(f"the sample city is not whole: {dict(aside)}")


def _is_done(here: Installation) -> bool:
    with reading(here.engine) as session:
        states = set(session.scalars(select(Request.state)))
    if states - {"provisioning", "confirming"}:
        raise RuntimeError(f"requests ended as {states}")
    return states == {"confirming"}


@contextmanager
def _worker(told: Mapping[str, str]) -> Iterator[None]:
    settings = [f"{name}={value}" for name, value in told.items()]
    process = Popen(["/usr/bin/env", *settings, SIJI, "worker", f"--threads={THREADS}"])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _own_broker() -> Iterator[str]:
    """Address of a virtual host of the lab's RabbitMQ, gone afterwards."""
    rabbitmq.up()
    host = f"bench-{uuid.uuid4().hex[:12]}"
    rabbitmq.control("add_vhost", host)
    rabbitmq.control("set_permissions", "-p", host, "siji", ".*", ".*", ".*")
    try:
        yield rabbitmq.address().removesuffix("/") + host
    finally:
        rabbitmq.control("delete_vhost", host)


@contextmanager
def _counting() -> Iterator[Counter[str]]:
    """At the end: how many calls of clients each service has answered meanwhile."""
    logs = Place.of(STATE).logs
    before = {name: (logs / f"{name}.log").stat().st_size for name in PATHS}
    calls: Counter[str] = Counter()
    yield calls
    for name, size in before.items():
        with (logs / f"{name}.log").open("rb") as log:
            log.seek(size)
            calls[name] = sum(CLIENT.encode() in line for line in log)


def _settings(folder: Path) -> Settings:
    region = OpenStackRegion(name="baoding", cloud="lab", zones=ZONES)
    return Settings(data_dir=folder, cloud="openstack", clouds_file=engine.clouds(STATE), openstack=(region,))


def _wanted(groups: Sequence[Phase1Group]) -> list[Wanted]:
    quotas: dict[str, Counter[str]] = {}
    for one in groups:
        quotas.setdefault(one.bureau_code, Counter()).update(
            servers=one.count,
            vcpus=one.count * one.vcpus,
            ram_mib=one.count * one.ram_mib,
            volumes=one.count,
            volume_gib=one.count * one.volume_gib,
        )
    return [
        Wanted(one.bureau_code, one.flavor, one.count, one.volume_gib, dict(quotas[one.bureau_code]))
        for one in groups
    ]


def _projects(groups: Sequence[Phase1Group]) -> int:
    return len({one.bureau_code for one in groups})


def _cells(ran: Ran, groups: Sequence[Phase1Group]) -> tuple[str, ...]:
    calls = ran.calls.total()
    return f"{ran.seconds:.0f}", str(calls), f"{calls / sum(one.count for one in groups):.1f}"
