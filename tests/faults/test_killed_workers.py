"""Workers killed with SIGKILL while they provision: what was asked for is there, once, and counted once."""

import random
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from infra.database import open_database, reading, transaction
from provisioning.cloud.driver import Cloud
from provisioning.cloud.simulated import Fault
from provisioning.models import Allocation
from provisioning.queries import list_due
from provisioning.service.asking import LineAsked
from provisioning.service.servers import provision_server, reboot_server
from tests.faults.killing import LOST_ANSWERS, kill_generations, visit_until_none_is_left
from tests.yard import FLAVOR, IMAGE, make_yard


@pytest.mark.parametrize(("count", "kills"), [(24, 8)])
def test_a_few(fresh_database: Callable[[], str], tmp_path: Path, count: int, kills: int) -> None:
    run(fresh_database(), tmp_path, count=count, kills=kills, seed=random.SystemRandom().randrange(2**32))


@pytest.mark.soak
@pytest.mark.parametrize("number", range(30))
def test_the_whole_fleet(fresh_database: Callable[[], str], tmp_path: Path, number: int) -> None:
    seed = random.SystemRandom().randrange(2**32)
    run(fresh_database(), tmp_path, count=262, kills=20, seed=seed)


def run(url: str, folder: Path, *, count: int, kills: int, seed: int) -> None:
    """Ask for `count` servers, kill `kills` generations of workers, let the last one finish, count."""
    sys.stdout.write(f"\n{count} servers, seed {seed}: ")
    chance = random.Random(seed)
    engine = open_database(url)
    yard = make_yard(engine, folder, at=datetime.now(UTC))
    asked = yard.ask(LineAsked(count=count, flavor=FLAVOR, image=IMAGE, volume_gib=10))
    engine.dispose()
    for call in ("ensure_project", "create_server", "create_volume", "attach_volume"):
        yard.region.inject(Fault.timed_out_but_done, operation=call, count=LOST_ANSWERS)
    yard.region.store.close()
    kill_generations(url, folder, work, kills=kills, longest_s=0.2 + count / 200, chance=chance)
    assert yard.request(asked).state == "confirming"
    rows = {server.tag: server.cloud_id for server in yard.servers(asked)}
    built = yard.cloud.list_servers()
    assert Counter(server.tag for server in built) == dict.fromkeys(rows, 1)
    assert {server.tag: server.id for server in built} == rows
    assert len(rows) == count
    volumes = yard.cloud.list_volumes()
    assert Counter(volume.server_id for volume in volumes) == dict.fromkeys(rows.values(), 1)
    assert len(yard.cloud.list_projects()) == 1
    with reading(engine) as session:
        held = session.scalars(select(Allocation).where(Allocation.valid_to.is_(None))).all()
        assert [one.state for one in held] == ["settled"] * (2 * count)
        keys = {one.key for one in held}
        assert len(keys) == 2 * count
    assert yard.held()["servers"] == count
    yard.check()
    engine.dispose()


def test_each_is_rebooted_once(fresh_database: Callable[[], str], tmp_path: Path) -> None:
    url, seed = fresh_database(), random.SystemRandom().randrange(2**32)
    sys.stdout.write(f"\n24 reboots, seed {seed}: ")
    engine = open_database(url)
    yard = make_yard(engine, tmp_path, at=datetime.now(UTC))
    asked = yard.ask(LineAsked(count=24, flavor=FLAVOR, image=IMAGE))
    yard.work()
    servers = yard.servers(asked)
    with transaction(engine) as session:
        for number, server in enumerate(servers):
            reboot_server(session, server_id=server.id, at=yard.at, actor="person:1", hard=number % 2 == 0)
    engine.dispose()
    yard.region.inject(Fault.timed_out_but_done, operation="reboot_server", count=LOST_ANSWERS)
    yard.region.store.close()
    began = yard.at - datetime.now(UTC)  # the visits so far took the yard's clock ahead
    kill_generations(url, tmp_path, work, kills=8, longest_s=0.2, chance=random.Random(seed), began=began)
    assert [yard.cloud.count_reboots(server.cloud_id or "") for server in servers] == [1] * 24
    assert {server.state for server in yard.servers(asked)} == {"active"}
    engine.dispose()


def work(url: str, folder: Path, ahead: timedelta) -> None:
    """Sweep for servers that are due and visit them."""
    visit_until_none_is_left(url, folder, ahead, list_due, visit)


def visit(engine: Engine, cloud: Cloud, server_id: int, now: Callable[[], datetime]) -> None:
    provision_server(engine, cloud, server_id=server_id, now=now)
