"""Relays are killed with SIGKILL while records flow: the subscriber sees each record once, in order."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from kafka import KafkaConsumer
from sqlalchemy import select

from exchange.batch import Change
from exchange.models import Delivery
from exchange.service.messages import seal_messages, verify_messages
from exchange.service.reconcile import reconcile
from exchange.service.relaying import Relayer
from exchange.service.relays import get_relay
from infra.clock import city_date
from infra.database import open_database, reading
from tests.brokers import kafka_access
from tests.service.provider import open_provider
from tests.service.relay_desk import Counter
from tests.shared_kafka import ABANDONS_SOCKETS

pytestmark = ABANDONS_SOCKETS
ROOT = Path(__file__).parents[2]
KEYS, BATCH, PARTITIONS = 40, 200, 2
PATIENCE_S = 120


@dataclass
class Scene(Counter):
    """A dataset of two partitions and a subscription with a topic, which processes relay into."""

    url: str
    kind: str
    folder: Path
    published: int = 0
    seen: dict[str, list[int]] = field(default_factory=dict)

    def flow(self, batches: int = 1) -> None:
        """So many batches of numbered records of a few keys."""
        for _ in range(batches):
            numbers = range(self.published, self.published + BATCH)
            self.publish(*(Change({"id": f"k{n % KEYS}", "name": f"{n}"}) for n in numbers))
            self.published += BATCH

    @contextmanager
    def worker(self, point: str = "none") -> Iterator[subprocess.Popen[str]]:
        """A process that relays, killed at the end at the latest."""
        words = (self.url, self.kind, self.folder, self.subscription_id, point)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.relay_worker", *map(str, words)],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def finish(self) -> None:
        """As the sweep does: relay until all is in the topic."""
        relayer = Relayer(self.engine, self.log, lambda: datetime.now(UTC))
        deadline = time.monotonic() + PATIENCE_S
        while not self.is_done():
            assert time.monotonic() < deadline
            relayer.relay(self.subscription_id)
            time.sleep(0.2)

    def is_done(self) -> bool:
        with reading(self.engine) as session:
            relay = get_relay(session, subscription_id=self.subscription_id)
            counts = session.scalars(select(Delivery.count).where(Delivery.outcome.is_not(None)))
            return relay.marker is None and sum(counts) >= self.published

    def check(self) -> None:
        """The topic, the deliveries, the message log and the reconciliation hold each record once."""
        found: dict[str, list[int]] = {}
        for record in self.topic():
            shown = json.loads(record.value or b"")
            found.setdefault(shown["id"], []).append(int(shown["name"]))
        check_once(found, self.published)
        assert sum(one.count for one in self.deliveries()) == self.published
        assert [one.id for one in self.all_deliveries() if one.outcome is None] == []
        seal_messages(self.engine, at=datetime.now(UTC))
        told = verify_messages(self.engine)
        assert (told.broken, told.unsealed) == (None, 0)
        day = timedelta(days=1)
        now = datetime.now(UTC)
        accounts = list(reconcile(self.engine, self.log, start=now - day, end=now + day))
        assert [(one.side, one.ledger.records) for one in accounts] == [
            ("published", self.published),
            ("delivered", self.published),
        ]
        assert all(one.agrees for one in accounts)


def check_once(found: dict[str, list[int]], published: int) -> None:
    """Each number is there once, and those of each key in order."""
    assert sorted(n for those in found.values() for n in those) == list(range(published))
    assert all(those == sorted(those) for those in found.values())


@pytest.fixture(params=["embedded", "kafka"])
def scene(
    request: pytest.FixtureRequest, fresh_database: Callable[[], str], tmp_path: Path
) -> Iterator[Scene]:
    yield from _scene(request.param, fresh_database(), tmp_path)


@pytest.fixture
def kafka_scene(fresh_database: Callable[[], str], tmp_path: Path) -> Iterator[Scene]:
    yield from _scene("kafka", fresh_database(), tmp_path)


def _scene(kind: str, url: str, folder: Path) -> Iterator[Scene]:
    engine = open_database(url)
    with open_provider(engine, folder, datetime.now(UTC), kind=kind) as provider:
        scene = Scene(url, kind, folder)
        Counter.__init__(scene, provider)
        scene.catalogue(partitions=PARTITIONS)
        scene.subscribe("id", "name", until_on=city_date(scene.at) + timedelta(days=30))
        scene.open()
        yield scene
        scene.log.delete_topic(scene.name)
    engine.dispose()


@pytest.mark.parametrize("point", ["claimed", "appended", "settled"])
def test_a_relay_that_dies_between_two_steps_is_taken_over(scene: Scene, point: str) -> None:
    scene.flow(2)
    with scene.worker(point) as process:
        assert process.wait(timeout=PATIENCE_S) == -9
    pending = [one.outcome is None for one in scene.all_deliveries()]
    assert pending == [point != "settled"]
    scene.finish()
    scene.check()


def test_relays_killed_while_records_flow(kafka_scene: Scene) -> None:
    kill_at_random(kafka_scene, kills=3)


@pytest.mark.soak
def test_relays_killed_twenty_times_while_records_flow(kafka_scene: Scene) -> None:
    kill_at_random(kafka_scene, kills=20)


def kill_at_random(scene: Scene, *, kills: int) -> None:
    """Two relays race; one of them is killed at a random moment, and another one takes its place."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    done = False

    def publish_on() -> None:
        while not done:
            scene.flow()
            time.sleep(chance.uniform(0, 0.2))

    consumer = subscriber(scene.name)
    reader = Thread(target=lambda: read_on(consumer, scene, lambda: done))
    publisher = Thread(target=publish_on)
    publisher.start()
    killed = 0
    with ExitStack() as rest:
        relays = [rest.enter_context(scene.worker()) for _ in range(2)]
        for relay in relays:
            assert relay.stdout is not None
            assert relay.stdout.readline() == "ready\n"
        reader.start()
        try:
            for _ in range(kills):
                time.sleep(chance.uniform(0.2, 1.5))
                one = chance.randrange(2)
                relays[one].kill()
                killed += 1
                relays[one] = rest.enter_context(scene.worker())
                out = relays[one].stdout
                assert out is not None
                assert out.readline() == "ready\n"
        finally:
            done = True
            publisher.join()
    scene.finish()
    reader.join(PATIENCE_S)
    assert not reader.is_alive()
    check_once(scene.seen, scene.published)
    scene.check()
    print(f"{killed} relays killed, {scene.published} records, {len(scene.deliveries())} deliveries")


def subscriber(topic: str) -> Any:
    """A client of its own, that reads what is committed."""
    consumer = KafkaConsumer(
        **kafka_access().options(),
        group_id=f"{topic}.reader",
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    consumer.subscribe([topic])
    return consumer


def read_on(consumer: Any, scene: Scene, is_done: Callable[[], bool]) -> None:
    """What comes, until all came, and two seconds more for what would be doubled."""
    count, until = 0, time.monotonic() + 10 * PATIENCE_S
    while time.monotonic() < until:
        for records in consumer.poll(200).values():
            for record in records:
                shown = json.loads(record.value)
                scene.seen.setdefault(shown["id"], []).append(int(shown["name"]))
                count += 1
        if is_done() and count >= scene.published and scene.is_done():
            until = min(until, time.monotonic() + 2)
    consumer.close(autocommit=False)
