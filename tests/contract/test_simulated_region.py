"""What only the simulated region promises: its size, its store, failures on demand, many processes."""

import csv
import sqlite3
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import run

import pytest

from infra.clock import Clock
from infra.settings import Settings
from provisioning.cloud.connect import connect
from provisioning.cloud.driver import Cloud, OverQuota, Permanent, Retryable
from provisioning.cloud.observed import ServerStatus
from provisioning.cloud.simulated import Fault, SimulatedCloud, SimulatedRegion
from provisioning.cloud.simulated.store import ADDED
from provisioning.quota import Limits, capacity
from tests.contract.clouds import SteppedClock

SAMPLE = {"vcpus": 1_332, "ram_mib": 2_727_936, "root_gib": 21_600, "volume_gib": 257_952}
CREATE_SOME = """
import sys
from pathlib import Path
from infra.clock import Clock
from infra.settings import Settings
from provisioning.cloud.connect import connect
cloud = connect(Settings(data_dir=Path(sys.argv[1])), "baoding", Clock())
project = cloud.ensure_project(bureau_code="1306", name="siji-1306", description="保定市")
cloud.ensure_flavor(name="g2", vcpus=2, ram_mib=4096, root_gib=40)
for number in range(int(sys.argv[3])):
    tag = f"{sys.argv[2]}-{number}"
    try:
        cloud.create_server(
            tag=tag, project_id=project, name=tag, flavor="g2", image="Debian-12", zone="internet")
    except Exception as failure:
        print(type(failure).__name__)
    else:
        print("accepted")
"""


@pytest.fixture
def cloud(settings: Settings) -> Cloud:
    """The sample city's region as a worker opens it, with a project without limits."""
    opened = connect(settings, "baoding", Clock())
    opened.ensure_flavor(name="g2", vcpus=2, ram_mib=4096, root_gib=40)
    opened.set_quota(project_of(opened), Limits.unlimited())
    return opened


@pytest.fixture
def region(settings: Settings) -> SimulatedRegion:
    """The control of that region, opened apart as another process would."""
    return SimulatedRegion(settings.data_dir / "region-baoding.sqlite")


def test_a_new_region_offers_flavors_and_images_that_fit_them(settings: Settings) -> None:
    fresh = connect(settings, "new", Clock())
    sizes = {one.name: (one.vcpus, one.ram_mib, one.root_gib) for one in fresh.list_flavors()}
    assert sizes["g4"] == (4, 8_192, 80)
    for image in fresh.list_images():
        assert all(ram >= image.min_ram_mib and root >= image.min_root_gib for _, ram, root in sizes.values())


def project_of(cloud: Cloud) -> str:
    return cloud.ensure_project(bureau_code="1306", name="siji-1306", description="保定市")


def create(cloud: Cloud, tag: str) -> str:
    return cloud.create_server(
        tag=tag, project_id=project_of(cloud), name=tag, flavor="g2", image="Debian-12", zone="internet"
    )


def test_carries_four_sample_cities_with_a_host_lost(cloud: Cloud) -> None:
    inventories = [each for provider in cloud.inventory() for each in provider.inventories]
    held = capacity(inventories, reserve_largest_host=True)
    assert {key: (held[key] or 0) >= 4 * amount for key, amount in SAMPLE.items()} == dict.fromkeys(
        SAMPLE, True
    )
    assert (held["addresses"] or 0) >= 4 * 262


def test_makes_the_sample_citys_servers_and_volumes(cloud: Cloud, settings: Settings) -> None:
    project = project_of(cloud)
    with (Path(__file__).parents[2] / "identity" / "data" / "baoding-phase1.csv").open(
        encoding="utf-8"
    ) as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        vcpus, ram_mib, root_gib = (int(row[key]) for key in ("vcpus", "ram_mib", "root_gib"))
        cloud.ensure_flavor(name=row["flavor"], vcpus=vcpus, ram_mib=ram_mib, root_gib=root_gib)
        for number in range(int(row["count"])):
            tag = f"{row['bureau_code']}-{rows.index(row)}-{number}"
            server_id = cloud.create_server(
                tag=tag,
                project_id=project,
                name=tag,
                flavor=row["flavor"],
                image="Debian-12",
                zone="extranet",
            )
            volume = cloud.create_volume(
                tag=f"{tag}-v", project_id=project, name=tag, size_gib=int(row["volume_gib"])
            )
            cloud.attach_volume(volume, server=cloud.get_server(server_id))
    servers, volumes = cloud.list_servers(), cloud.list_volumes()
    assert {server.status for server in servers} == {ServerStatus.active}
    assert (len(servers), sum(server.vcpus for server in servers)) == (262, SAMPLE["vcpus"])
    assert sum(server.ram_mib for server in servers) == SAMPLE["ram_mib"]
    assert (
        sum(server.root_gib for server in servers) + sum(volume.size_gib for volume in volumes) == 273 * 1024
    )
    apart = sqlite3.connect(f"file:{settings.data_dir / 'region-baoding.sqlite'}?mode=ro", uri=True)
    counted = apart.execute(
        "SELECT count(*), sum(vcpus), sum(ram_mib), sum(root_gib) FROM allocations"
    ).fetchone()
    apart.close()
    assert counted == (262, SAMPLE["vcpus"], SAMPLE["ram_mib"], SAMPLE["root_gib"])


def test_reopened_it_is_as_it_was(cloud: Cloud, settings: Settings) -> None:
    server_id = create(cloud, "kept")
    assert connect(settings, "baoding", Clock()).get_server(server_id).tag == "kept"


def test_one_of_an_earlier_version_is_brought_up_to_date(cloud: Cloud, settings: Settings) -> None:
    server_id = create(cloud, "kept")
    with sqlite3.connect(settings.data_dir / "region-baoding.sqlite") as earlier:
        for table, column in ADDED:
            earlier.execute(f"ALTER TABLE {table} DROP COLUMN {column.split()[0]}")
    earlier.close()
    found = connect(settings, "baoding", Clock()).get_server(server_id)
    assert (found.tag, found.group, found.host is None) == ("kept", None, False)


def test_regions_are_apart(cloud: Cloud, settings: Settings) -> None:
    create(cloud, "here")
    assert connect(settings, "xiongan", Clock()).list_servers() == []


@pytest.mark.parametrize("name", ["", "../etc", "a/b", "保定"])
def test_a_regions_name_is_no_path(settings: Settings, name: str) -> None:
    with pytest.raises(ValueError, match="region"):
        connect(settings, name, Clock())


def test_processes_that_open_it_together_share_one_quota(settings: Settings) -> None:
    arguments = [[sys.executable, "-c", CREATE_SOME, str(settings.data_dir), str(n), "8"] for n in range(4)]
    with ThreadPoolExecutor() as pool:
        ran = list(pool.map(lambda each: run(each, capture_output=True, text=True, check=True), arguments))
    answers = Counter(line for each in ran for line in each.stdout.split())
    assert answers == {"accepted": 10, OverQuota.__name__: 22}
    servers = connect(settings, "baoding", Clock()).list_servers()
    assert len({server.tag for server in servers}) == len(servers) == 10


def test_threads_share_one_driver(cloud: Cloud) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: create(cloud, f"t-{number}"), range(80)))
    assert {server.id for server in cloud.list_servers()} == set(made)
    assert len(set(made)) == 80


class TestInjection:
    def test_refuses_as_often_as_told_and_writes_only(self, cloud: Cloud, region: SimulatedRegion) -> None:
        region.inject(Fault.refused, operation="create_server", count=2)
        assert cloud.find_server("one") is None
        for _ in range(2):
            with pytest.raises(Permanent):
                create(cloud, "one")
        assert cloud.list_servers() == []
        create(cloud, "one")
        assert region.pending() == 0

    def test_loses_the_answer_and_not_the_server(self, cloud: Cloud, region: SimulatedRegion) -> None:
        region.inject(Fault.timed_out_but_done, operation="create_server")
        with pytest.raises(Retryable):
            create(cloud, "one")
        assert [server.tag for server in cloud.list_servers()] == ["one"]

    def test_is_down_until_lifted(self, cloud: Cloud, region: SimulatedRegion) -> None:
        project = project_of(cloud)
        region.inject(Fault.down, count=None)
        for _ in range(5):
            with pytest.raises(Retryable):
                cloud.get_quota(project)
        region.lift(Fault.down)
        assert cloud.get_quota(project) == Limits.unlimited()

    def test_ends_in_error_where_it_was_set_only(self, cloud: Cloud, region: SimulatedRegion) -> None:
        region.inject(Fault.ends_in_error, operation="create_volume")
        server_id = create(cloud, "one")
        volume = cloud.create_volume(tag="v", project_id=project_of(cloud), name="v", size_gib=1)
        assert cloud.get_server(server_id).status is ServerStatus.active
        assert cloud.get_volume(volume.id).status == "error"

    def test_what_cannot_be_done_returns_to_what_it_was(self, cloud: Cloud, region: SimulatedRegion) -> None:
        server_id = create(cloud, "one")
        host = cloud.get_server(server_id).host
        region.inject(Fault.ends_in_error, operation="migrate_server", count=2)
        for live in (True, False):
            cloud.migrate_server(server_id, live=live)
            assert cloud.get_server(server_id).status is ServerStatus.active
            assert cloud.get_server(server_id).host == host
        cloud.shelve_server(server_id)
        region.inject(Fault.ends_in_error, operation="unshelve_server")
        cloud.unshelve_server(server_id)
        assert cloud.get_server(server_id).status is ServerStatus.shelved
        cloud.unshelve_server(server_id)
        region.inject(Fault.ends_in_error, operation="rebuild_server")
        cloud.rebuild_server(server_id, image="Debian-12")
        assert cloud.get_server(server_id).fault
        cloud.rebuild_server(server_id, image="Debian-12")
        assert cloud.get_server(server_id).fault is None

    def test_slow_takes_longer_by_what_was_told(self, tmp_path: Path) -> None:
        clock, region = SteppedClock(), SimulatedRegion(tmp_path / "slow.sqlite")
        cloud = SimulatedCloud(region.store, region="slow", now=clock.now, latency_s=2)
        cloud.ensure_flavor(name="g2", vcpus=2, ram_mib=4096, root_gib=40)
        region.inject(Fault.slow, operation="create_server", seconds=30)
        slow, usual = create(cloud, "slow"), create(cloud, "usual")
        clock.step(2)
        assert cloud.get_server(usual).status is ServerStatus.active
        clock.step(29.9)
        assert cloud.get_server(slow).status is ServerStatus.build
        clock.step(0.1)
        assert cloud.get_server(slow).status is ServerStatus.active

    def test_a_broken_second_page_waits_for_a_listing_that_has_one(
        self, cloud: Cloud, region: SimulatedRegion
    ) -> None:
        region.inject(Fault.second_page_fails)
        assert cloud.list_servers() == []
        for number in range(101):
            create(cloud, f"s-{number}")
        with pytest.raises(Retryable):
            cloud.list_servers()
        assert len(cloud.list_servers()) == 101

    def test_what_cannot_meet_is_refused(self, region: SimulatedRegion) -> None:
        with pytest.raises(ValueError, match="does not fit"):
            region.inject(Fault.slow, operation="list_servers")
        with pytest.raises(ValueError, match="does not fit"):
            region.inject(Fault.down, operation="pause_server")
