"""Workers killed with SIGKILL while they remove what nobody recorded: all of that goes, and nothing else."""

import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from infra.database import open_database
from provisioning.cloud.driver import Cloud
from provisioning.cloud.simulated import Fault
from provisioning.queries import list_due_removals
from provisioning.service.asking import LineAsked
from provisioning.service.removals import remove
from tests.faults.killing import LOST_ANSWERS, kill_generations, visit_until_none_is_left
from tests.service.adopting import build
from tests.service.removing import ask_removal, audit, removals, states
from tests.yard import FLAVOR, IMAGE, make_yard

COUNT = 12


def test_all_of_it_goes_and_nothing_else(fresh_database: Callable[[], str], tmp_path: Path) -> None:
    url, seed = fresh_database(), random.SystemRandom().randrange(2**32)
    sys.stdout.write(f"\n{2 * COUNT} removals, seed {seed}: ")
    engine = open_database(url)
    yard = make_yard(engine, tmp_path, at=datetime.now(UTC))
    strays = build(yard, *[f"stray-{number}" for number in range(COUNT)])
    disks = [volume.id for volume in yard.cloud.list_volumes()]
    yard.ask(LineAsked(count=3, flavor=FLAVOR, image=IMAGE, volume_gib=10))
    yard.work()
    kept = {one.id for one in yard.cloud.list_servers()} - set(strays)
    request_id = ask_removal(yard, *strays, *disks)
    engine.dispose()
    for call in ("snapshot_server", "delete_server", "delete_volume"):
        yard.region.inject(Fault.timed_out_but_done, operation=call, count=LOST_ANSWERS)
    yard.region.store.close()
    began = yard.at - datetime.now(UTC)  # the visits so far took the yard's clock ahead
    chance = random.Random(seed)
    kill_generations(url, tmp_path, work, kills=8, longest_s=0.3, chance=chance, began=began)
    assert states(yard) == ["removed"] * (2 * COUNT)
    assert yard.request(request_id).state == "closed"
    assert {one.id for one in yard.cloud.list_servers()} == kept
    assert len(yard.cloud.list_volumes()) == len(kept) == 3
    snapshots = [one.tag for one in yard.cloud.list_images() if one.tag]
    tags = [f"{one.tag}-last" for one in removals(yard) if one.thing == "server"]
    assert sorted(snapshots) == sorted(tags)
    assert audit(yard) == {}
    yard.check()
    engine.dispose()


def work(url: str, folder: Path, ahead: timedelta) -> None:
    """Visit the removals that are due."""
    visit_until_none_is_left(url, folder, ahead, list_due_removals, visit)


def visit(engine: Engine, cloud: Cloud, removal_id: int, now: Callable[[], datetime]) -> None:
    remove(engine, cloud, removal_id=removal_id, now=now)
