"""Servers of several bureaus built in the lab's OpenStack through requests, whatever goes wrong meanwhile.

`siji worker` processes on RabbitMQ and PostgreSQL build them; the cloud is asked what came of it.
"""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from identity.phase1 import Phase1Group
from infra.database import reading
from infra.installation import Installation, open_installation
from infra.settings import Settings
from portal.app import create_app
from portal.sample.aside import Aside
from provisioning.cloud.driver import Retryable
from provisioning.comparison import Kind
from provisioning.models import Allocation, Server
from provisioning.quota import total_used
from provisioning.service.recount import recount
from tests.contract import openstack_lab
from tests.faults.conftest import Start
from tests.faults.old_cloud import ADOPTED, make_old_cloud
from tests.faults.openstack_fleet import AHEAD_S, FEW, WHOLE, Fleet, ask_for, begin_city, prepare
from tests.faults.planting import audit, plant
from tests.faults.test_killed_celery import purge
from tests.faults.test_workers_and_beat import SIJI
from tests.waiting import wait_until

WORKERS = 2
SWEEPS_AT_MOST = 2
STOPPED = ("keystone", "nova", "cinder", "placement")

Ask = Callable[[Sequence[Phase1Group]], Fleet]

pytestmark = pytest.mark.parametrize("environment", ["production"], indirect=True, ids=["openstack"])


@pytest.fixture
def tested(environment: dict[str, str]) -> Iterator[openstack_lab.Tested]:
    """The lab's large cloud for this test alone, and the processes of the test work there."""
    with openstack_lab.turn("city") as found:
        prepare(environment, found)
        yield found


@pytest.fixture
def here(tested: openstack_lab.Tested, told: Settings) -> Iterator[Installation]:
    """The installation of the test."""
    found = open_installation(told)
    yield found
    found.engine.dispose()


@pytest.fixture
def ask(here: Installation, tested: openstack_lab.Tested) -> Ask:
    """The test's servers, asked for and verified."""
    return partial(ask_for, here, tested)


def test_a_few_are_counted_by_another_client(ask: Ask, start: Start) -> None:
    count_by_another_client(ask(FEW), start)


@pytest.mark.soak
def test_all_are_counted_by_another_client(ask: Ask, start: Start) -> None:
    count_by_another_client(ask(WHOLE), start)


def test_workers_killed_at_a_few(ask: Ask, start: Start) -> None:
    kill_workers(ask(FEW), start, kills=2)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(10))
def test_workers_killed_at_the_whole_fleet(ask: Ask, start: Start, number: int) -> None:
    kill_workers(ask(WHOLE), start, kills=8)


def test_a_few_whose_answers_are_lost(ask: Ask, start: Start) -> None:
    lose_answers(ask(FEW), start, times=1)


@pytest.mark.soak
def test_the_whole_fleet_with_answers_lost(ask: Ask, start: Start) -> None:
    lose_answers(ask(WHOLE), start, times=20)


def test_services_stop_for_seconds(ask: Ask, start: Start) -> None:
    stop_services(ask(FEW), start, {"keystone": 0, "placement": 4}, down_s=5)


@pytest.mark.soak
@pytest.mark.parametrize("service", STOPPED)
def test_a_service_stops_for_two_minutes(ask: Ask, start: Start, service: str) -> None:
    stop_services(ask(WHOLE), start, {service: 150}, down_s=120)


def test_a_cloud_in_use_is_adopted_by_a_file(
    here: Installation, tested: openstack_lab.Tested, start: Start
) -> None:
    begin_city(here, (), aside=Aside())
    mine, nobodys = make_old_cloud(tested)
    file = str(here.settings.data_dir / "adopt.xlsx")

    def adopt(*words: str) -> str:
        adopting = (SIJI, "cloud", "adopt", "--region", "baoding", *words)
        process = start(*adopting, more={"LC_ALL": "zh_CN.UTF-8"}, stdout=subprocess.PIPE)
        assert process.stdout is not None
        said = process.stdout.read()
        assert process.wait() == 0
        return str(said)

    assert "待接管云服务器 3 台，其中 1 台未能判断单位" in adopt("--write", file)
    rehearsed = adopt("--read", file, "--operator", "shenhe", "--dry-run")
    assert "登记云服务器 2 台、云硬盘 2 块" in rehearsed
    done = adopt("--read", file, "--operator", "shenhe")
    assert "登记云服务器 2 台、云硬盘 2 块" in done
    assert "均已登记（2 台），未作任何更改" in adopt("--read", file, "--operator", "shenhe")
    with reading(here.engine) as session:
        rows = session.scalars(select(Server)).all()
        assert recount(session) == []
        held = session.scalars(select(Allocation.amounts).where(Allocation.valid_to.is_(None)))
        assert total_used(held) == ADOPTED
    assert {(row.cloud_id, row.state) for row in rows} == {(one, "active") for one in mine}
    there = {one.id: one.metadata.get("siji_id") for one in tested.admin.compute.servers(all_projects=True)}
    assert there == {nobodys: None, **{str(row.cloud_id): row.tag for row in rows}}
    assert audit(here, page_size=4) == {(Kind.server_unrecorded, nobodys)}


def test_what_people_do_past_siji_is_found_in_a_few(ask: Ask, start: Start) -> None:
    find_what_was_planted(ask(FEW), start, page_size=4)


@pytest.mark.soak
def test_what_people_do_past_siji_is_found_in_many(ask: Ask, start: Start) -> None:
    least = min(WHOLE, key=lambda one: one.vcpus)  # five times the city as it is would not fit into the lab
    many = [
        replace(
            group,
            count=5 * group.count,
            flavor=least.flavor,
            vcpus=least.vcpus,
            ram_mib=least.ram_mib,
            root_gib=least.root_gib,
            volume_gib=1,
        )
        for group in WHOLE
    ]
    find_what_was_planted(ask(many), start, page_size=500)


def find_what_was_planted(fleet: Fleet, start: Start, *, page_size: int) -> None:
    """Exactly that, at the next audit; nothing of it is touched, and a page that fails finds nothing."""
    began = begin(start)
    converge(fleet)
    for worker in began:
        worker.kill()
        worker.wait()
    assert audit(fleet.here, page_size=page_size) == set()
    assert audit(fleet.here, page_size=page_size, scope="projects") == set()
    held = fleet.held()
    planted = plant(fleet)
    before = fleet.built()
    compute = fleet.tested.proxies["compute"]
    compute.drop_next("GET .*marker=", 1)
    with pytest.raises(Retryable):
        audit(fleet.here, page_size=page_size)
    assert fleet.findings() == set()
    assert audit(fleet.here, page_size=page_size) == planted
    assert fleet.findings() == planted
    assert (fleet.held(), fleet.built()) == (held, before)
    drift = audit(fleet.here, page_size=page_size, scope="projects")
    assert {kind for kind, _ in drift} == {Kind.quota_differs, Kind.project_unrecorded}
    sys.stdout.write(f"\n{len(planted)} findings among {fleet.count} servers\n")


def count_by_another_client(fleet: Fleet, start: Start) -> None:
    """`openstack` counts servers, vCPU, RAM and volumes per project and in all as the records have them."""
    begin(start)
    converge(fleet)
    recorded = fleet.recorded()
    assert {project: fleet.count_in(project) for project in recorded} == recorded
    everything = fleet.count_in_all()
    assert everything == {key: amount for key, amount in fleet.asked().document().items() if amount}
    sys.stdout.write(f"\n{len(recorded)} projects; in all {everything}\n")


def kill_workers(fleet: Fleet, start: Start, *, kills: int) -> None:
    """Workers are killed as soon as the cloud has some random number of servers and volumes more."""
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    sys.stdout.write(f"\n{fleet.count} servers, {kills} kills, seed {seed}: ")
    began = time.monotonic()
    for generation in range(kills):
        workers = begin(start, ahead_s=generation * AHEAD_S)
        fleet.sweep(ahead_s=generation * AHEAD_S)
        goal = fleet.built() + chance.randrange(1, max(2, 2 * fleet.count // (kills + 1)))
        fleet.wait_for(goal)
        time.sleep(chance.uniform(0, 0.5))
        for worker in workers:
            worker.kill()
            worker.wait()
    left = 2 * fleet.count - fleet.built()
    purge(fleet.here.settings)
    begin(start, ahead_s=kills * AHEAD_S)
    sweeps = converge(fleet, ahead_s=kills * AHEAD_S)
    sys.stdout.write(f"{left} to be made after the last kill, {sweeps} sweeps, ")
    sys.stdout.write(f"{time.monotonic() - began:.0f} s\n")


def lose_answers(fleet: Fleet, start: Start, *, times: int) -> None:
    """Nova and Cinder do what they are asked, and nobody hears of it: one is cut off, of the other a proxy
    says 504; then the other way round.
    """
    compute, storage = fleet.tested.proxies["compute"], fleet.tested.proxies["block-storage"]

    def are_lost() -> bool:
        return compute.lose is None and storage.lose is None

    for number in range(times):
        cut, told = (compute, storage) if number % 2 == 0 else (storage, compute)
        for proxy, status in ((cut, None), (told, 504)):
            what = r"POST .*/servers$" if proxy is compute else r"POST .*/volumes$"
            proxy.lose_next_answer(what, status=status)
        if number == 0:
            begin(start)
            fleet.sweep()
        wait_until(lambda: are_lost() or fleet.is_done())
        if not are_lost():
            assert number > 0
            break
    sys.stdout.write(f"\nanswers were lost {number + are_lost()} times\n")
    converge(fleet)


def stop_services(fleet: Fleet, start: Start, services: Mapping[str, int], *, down_s: float) -> None:
    """Each service in turn is away, from when so many servers and volumes are there, for as long at least.

    Meanwhile the portal answers, and tells what waits.
    """
    portal = TestClient(create_app(fleet.here))
    answer = portal.post("/api/v1/session", json={"login": "shenhe", "password": fleet.password})
    assert answer.status_code == 201
    begin(start)
    fleet.sweep()
    for service, least in services.items():
        fleet.wait_for(least)
        with fleet.without(service):
            began = time.monotonic()
            wait_until(lambda: show_waiting(portal) > 0 or fleet.is_done())
            told = show_waiting(portal)
            time.sleep(max(0.0, began + down_s - time.monotonic()))
        away_s = time.monotonic() - began
        sys.stdout.write(f"\n{service} was away for {away_s:.0f} s; {told} servers said why they waited\n")
    converge(fleet)


def begin(start: Start, *, ahead_s: int = 0) -> list["subprocess.Popen[str]"]:
    """Workers without a beat: what is swept, and when, is up to the test."""
    more = {"SIJI_CLOCK_SHIFT_S": str(ahead_s)}
    return [start(SIJI, "worker", "--threads=4", "--no-beat", more=more) for _ in range(WORKERS)]


def converge(fleet: Fleet, *, ahead_s: int = 0) -> int:
    """Sweep until everything is done, and check it; how many sweeps it took."""
    for number in range(1, SWEEPS_AT_MOST + 1):
        fleet.sweep(ahead_s=ahead_s)
        fleet.rest()
        if fleet.is_done():
            fleet.check()
            return number
    raise AssertionError(f"not done after {SWEEPS_AT_MOST} sweeps: {fleet.waiting()}")


def show_waiting(portal: TestClient) -> int:
    """How many servers the portal shows as waiting, with the reason."""
    rows = portal.get("/api/v1/servers", params={"limit": 200}).json()["items"]
    shown = [portal.get(f"/api/v1/servers/{row['id']}").json() for row in rows if row["state"] != "active"]
    return sum(one["fault"] is not None for one in shown)
