"""Real `siji worker` processes on RabbitMQ and PostgreSQL: killed at work, their queue emptied meanwhile."""

import random
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from kombu import Connection
from sqlalchemy import Engine

from infra import jobs
from infra.clock import Clock, city_date
from infra.installation import Installation
from infra.settings import Settings
from provisioning.pace import VISIT_LASTS
from provisioning.service.asking import LineAsked
from tests.faults.conftest import Start
from tests.faults.test_workers_and_beat import SIJI
from tests.waiting import wait_until
from tests.yard import FLAVOR, IMAGE, REGION, Yard, make_yard

WORKERS = 2

pytestmark = pytest.mark.parametrize("environment", ["production"], indirect=True)


def test_a_few(records: Engine, told: Settings, start: Start) -> None:
    run(records, told, start, count=24, kills=2, seed=random.SystemRandom().randrange(2**32))


@pytest.mark.soak
@pytest.mark.parametrize("number", range(30))
def test_the_whole_fleet(records: Engine, told: Settings, start: Start, number: int) -> None:
    run(records, told, start, count=262, kills=4, seed=random.SystemRandom().randrange(2**32))


def run(engine: Engine, settings: Settings, start: Start, *, count: int, kills: int, seed: int) -> None:
    """Ask for `count` servers, kill generations of workers at work, empty the queue, let the last finish."""
    sys.stdout.write(f"\n{count} servers, {kills} kills, seed {seed}\n")
    chance = random.Random(seed)
    yard = make_yard(engine, settings.data_dir, at=datetime.now(UTC))
    (settings.data_dir / f"region-{REGION}.sqlite").symlink_to(settings.data_dir / "yard.sqlite")
    asked = ask_as_the_portal_does(yard, settings, count)
    assert waiting(settings) >= count
    emptied = chance.randrange(kills)
    for generation in range(kills):
        workers = begin(start, generation)
        built = len(yard.cloud.list_servers())
        goal = min(count - 1, built + chance.randrange(1, max(2, count // (kills + 1))))
        wait_for_servers(yard, goal)
        if generation == emptied:
            purge(settings)
        time.sleep(chance.uniform(0, 0.3))
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.wait()
    purge(settings)
    workers = begin(start, kills)
    wait_until(lambda: yard.request(asked).state == "confirming")
    rows = {server.tag: server.cloud_id for server in yard.servers(asked)}
    built_now = yard.cloud.list_servers()
    assert Counter(server.tag for server in built_now) == dict.fromkeys(rows, 1)
    assert {server.tag: server.id for server in built_now} == rows
    assert len(rows) == count
    volumes = yard.cloud.list_volumes()
    assert Counter(volume.server_id for volume in volumes) == dict.fromkeys(rows.values(), 1)
    assert yard.held()["servers"] == count
    yard.check()


def ask_as_the_portal_does(yard: Yard, settings: Settings, count: int) -> int:
    """The request's id; its approval has nudged the workers over the broker."""
    jobs.join(Installation(settings, Clock(), yard.engine))
    try:
        line = LineAsked(count=count, flavor=FLAVOR, image=IMAGE, volume_gib=10)
        return yard.ask(line, end_on=city_date(yard.at + timedelta(days=300)))
    finally:
        jobs.leave()


def wait_for_servers(yard: Yard, least: int) -> None:
    """Return when the cloud has so many."""
    wait_until(lambda: len(yard.cloud.list_servers()) >= least)


def begin(start: Start, generation: int) -> list["subprocess.Popen[str]"]:
    """Workers whose clock is ahead, so that what killed workers had taken is due again."""
    ahead_s = generation * int(VISIT_LASTS.total_seconds() + 30)
    more = {"SIJI_CLOCK_SHIFT_S": str(ahead_s)}
    return [start(SIJI, "worker", "--threads=2", more=more) for _ in range(WORKERS)]


def waiting(settings: Settings) -> int:
    """How many nudges wait in the queue."""
    with Connection(settings.job_broker_url) as connection:
        found: int = connection.SimpleQueue("siji").qsize()
        return found


def purge(settings: Settings) -> int:
    """Take every nudge out of the queue; how many there were."""
    with Connection(settings.job_broker_url) as connection:
        taken: int = connection.default_channel.queue_purge("siji") or 0
        return taken
