"""Kafka's brokers are killed with SIGKILL while batches flow: each record is in the log once, in order."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Literal

import pytest
from sqlalchemy import Engine

from exchange.batch import Change
from exchange.broker.driver import BrokerRetryable
from exchange.broker.kafka.log import KafkaLog
from exchange.errors import BatchInProgress
from exchange.models import Dataset
from exchange.service.publish import publish_batch
from exchange.service.receipts import Receipt
from infra.database import open_database, reading, transaction
from infra.lab.kafka import engine as kafka
from infra.lab.kafka.place import Place
from infra.lab.record import Record, children_of
from tests.brokers import everything, kafka_access
from tests.factories import make_dataset, make_exchange
from tests.faults.kafka_lab import own_kafka

PATIENCE_S = 120
KEYS = 50
PARTITIONS = 2


@dataclass
class Scene:
    """A dataset of two partitions, whose log is a Kafka that may be killed."""

    engine: Engine
    lab: Path
    log: KafkaLog
    dataset_id: int
    publisher_id: int
    at: datetime

    def publish(self, key: str, changes: list[Change]) -> Receipt:
        """As a publisher does: the same again until there is a receipt."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            began = time.monotonic()
            try:
                return publish_batch(
                    self.engine,
                    self.log,
                    dataset_id=self.dataset_id,
                    publisher_id=self.publisher_id,
                    key=key,
                    changes=changes,
                    at=self.at,
                    now=lambda: self.at,
                )
            except (BrokerRetryable, BatchInProgress):
                assert time.monotonic() - began < 45
                assert time.monotonic() < deadline
                time.sleep(0.2)

    def check(self, numbers: int) -> None:
        """Every number is there once, and those of each key in order."""
        with reading(self.engine) as session:
            topic = session.get_one(Dataset, self.dataset_id).topic
        seen: dict[str, list[int]] = {}
        for partition in range(PARTITIONS):
            for record in everything(self.log, topic, partition):
                assert record.value is not None
                key, number = record.value.decode().split('"')[3], int(record.value.decode().split('"')[7])
                seen.setdefault(key, []).append(number)
        assert sorted(n for those in seen.values() for n in those) == list(range(numbers))
        assert all(those == sorted(those) for those in seen.values())


def scene_on(brokers: Literal[1, 3], url: str, at: datetime) -> Iterator[Scene]:
    engine = open_database(url)
    with own_kafka(brokers) as lab:
        log = KafkaLog(kafka_access(lab), connections=4)
        with transaction(engine) as session:
            place = make_exchange(session, at=at)
            dataset_id = make_dataset(session, place, at=at, partitions=PARTITIONS).id
        yield Scene(engine, lab, log, dataset_id, place.publisher_id, at)
        log.close()
    engine.dispose()


@pytest.fixture
def scene(fresh_database: Callable[[], str], at: datetime) -> Iterator[Scene]:
    yield from scene_on(1, fresh_database(), at)


@pytest.fixture
def scene_of_three(fresh_database: Callable[[], str], at: datetime) -> Iterator[Scene]:
    yield from scene_on(3, fresh_database(), at)


def records(first: int, count: int) -> list[Change]:
    """Numbered upserts of a few keys."""
    return [Change({"id": f"k{n % KEYS}", "name": f"{n}"}) for n in range(first, first + count)]


def test_the_broker_killed_in_the_middle_of_a_batch(scene: Scene) -> None:
    """1,000 records in ten batches; at a random moment of one the broker dies and comes back."""
    seed = random.SystemRandom().randrange(10**6)
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    began = time.monotonic()
    scene.publish("first", records(0, 100))
    took = time.monotonic() - began
    hit = chance.randrange(1, 10)

    def kill() -> None:
        time.sleep(chance.uniform(0, took))
        kafka.kill(scene.lab, broker=1)
        kafka.start(1, scene.lab)

    receipts: list[Receipt] = []
    for turn in range(1, 10):
        killer = Thread(target=kill if turn == hit else lambda: None)
        killer.start()
        receipts.append(scene.publish(f"k{turn}", records(turn * 100, 100)))
        killer.join()
    scene.check(1_000)
    for turn, receipt in enumerate(receipts, start=1):
        assert scene.publish(f"k{turn}", records(turn * 100, 100)) == receipt
    scene.check(1_000)


def test_a_frozen_broker_holds_no_call_for_long(scene: Scene) -> None:
    """It accepts connections and answers nothing, not even a handshake."""
    scene.publish("first", records(0, 100))
    with reading(scene.engine) as session:
        topic = session.get_one(Dataset, scene.dataset_id).topic
    log, marker = scene.log, scene.log.new_marker(topic)
    calls: list[Callable[[], object]] = [
        lambda: log.append(topic, marker=marker, records=[]),
        lambda: log.read(topic, partition=0, offset=10**6, limit=1),
        lambda: log.end_offsets(topic),
        lambda: log.find_batch(topic, marker=marker),
        lambda: log.partitions(topic),
    ]

    def seconds(call: Callable[[], object]) -> float:
        began = time.monotonic()
        with pytest.raises(BrokerRetryable):
            call()
        return time.monotonic() - began

    found = Record.read(Place.of(scene.lab).record(1))
    assert found is not None
    pids = {found.pid, *children_of(found.pid)}
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(len(calls)) as pool:
            assert max(pool.map(seconds, calls)) < 25
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    scene.publish("second", records(100, 100))
    scene.check(200)


@pytest.mark.soak
def test_each_of_three_brokers_killed_while_200_000_records_flow(scene_of_three: Scene) -> None:
    seed = random.SystemRandom().randrange(10**6)
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    scene, done, kills = scene_of_three, False, 0

    def kill_in_turn() -> None:
        nonlocal kills
        while not done:
            for broker in (1, 2, 3):
                time.sleep(chance.uniform(1, 6))
                kafka.kill(scene.lab, broker=broker)
                kills += 1
                time.sleep(chance.uniform(0, 4))
                kafka.start(broker, scene.lab)

    killer = Thread(target=kill_in_turn)
    killer.start()
    try:
        for turn in range(40):
            scene.publish(f"k{turn}", records(turn * 5_000, 5_000))
    finally:
        done = True
        killer.join()
    sys.stdout.write(f"{kills} brokers killed\n")
    assert kills >= 3
    scene.check(200_000)
