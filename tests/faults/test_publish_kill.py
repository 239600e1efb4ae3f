"""A publishing process is killed with SIGKILL: the batch sent again is one receipt, each record once."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from exchange.broker.driver import Broker
from exchange.errors import KeyReused
from exchange.models import Batch, Dataset, QuarantinedRecord
from exchange.service.publish import publish_batch
from exchange.service.sweep import sweep
from infra.database import open_database, reading, transaction
from tests.brokers import everything, open_log
from tests.factories import make_dataset, make_exchange
from tests.faults.publisher import AT, changes

ROOT = Path(__file__).parents[2]
RECORDS = 3_000


@dataclass
class Scene:
    """A dataset in a database and a log that processes share."""

    url: str
    engine: Engine
    kind: str
    folder: Path
    log: Broker
    dataset_id: int
    publisher_id: int

    def start(self, key: str, *, point: str = "none") -> subprocess.Popen[str]:
        """A publisher that is ready to go."""
        words = (self.url, self.kind, self.folder, self.dataset_id, self.publisher_id, key, RECORDS, point)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.publisher", *map(str, words)],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def resend(self, key: str, **named: Any) -> Any:
        """The same batch again, from a living process."""
        act: dict[str, Any] = {"changes": changes(RECORDS), "at": AT, "now": lambda: AT} | named
        return publish_batch(
            self.engine, self.log, dataset_id=self.dataset_id, publisher_id=self.publisher_id, key=key, **act
        )

    def batches(self) -> list[tuple[int, str, str]]:
        with reading(self.engine) as session:
            return [(row.id, row.key, row.state) for row in session.scalars(select(Batch).order_by(Batch.id))]

    def stored(self) -> list[str]:
        with reading(self.engine) as session:
            dataset = session.get_one(Dataset, self.dataset_id)
            topic, partitions = dataset.topic, dataset.partitions
        if self.log.partitions(topic) is None:
            return []
        parts = [everything(self.log, topic, p) for p in range(partitions)]
        return [json.loads(record.key)["id"] for part in parts for record in part]


@pytest.fixture(params=["embedded", "kafka"])
def scene(
    request: pytest.FixtureRequest, fresh_database: Callable[[], str], tmp_path: Path
) -> Iterator[Scene]:
    url, kind = fresh_database(), request.param
    engine, log = open_database(url), open_log(kind, tmp_path)
    with transaction(engine) as session:
        place = make_exchange(session, at=AT)
        dataset_id = make_dataset(session, place, at=AT, partitions=2).id
    yield Scene(url, engine, kind, tmp_path, log, dataset_id, place.publisher_id)
    log.close()
    engine.dispose()


def go(process: subprocess.Popen[str], *, kill_after_s: float | None = None) -> float:
    """Let it publish, kill it after a while if told, and wait for its receipt or its end; seconds it took."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    began = time.monotonic()
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        process.kill()
    assert process.stdout is not None
    process.stdout.readline()
    took = time.monotonic() - began
    process.communicate()
    return took


def check_once(scene: Scene, key: str, others: int = 0) -> None:
    """Sent again, the batch is settled with one receipt, and each of its records lies in the log once."""
    receipt = scene.resend(key)
    assert (receipt.state, receipt.upserts, receipt.quarantined) == ("settled", RECORDS, 1)
    assert scene.resend(key) == receipt
    assert sum(span.count for span in receipt.spans.values()) == RECORDS
    ids = scene.stored()
    assert len(ids) == RECORDS * (others + 1)
    assert set(ids) == {str(n) for n in range(RECORDS)}
    assert [b[2] for b in scene.batches() if b[1] == key] == ["settled"]
    with reading(scene.engine) as session:
        bad = session.scalars(select(QuarantinedRecord).where(QuarantinedRecord.batch_id == receipt.id)).all()
        assert [(q.place, "1306" in json.dumps(q.reasons)) for q in bad] == [(RECORDS + 1, False)]
    with pytest.raises(KeyReused):
        scene.resend(key, changes=changes(1))


@pytest.mark.parametrize(
    ("point", "state", "in_log"),
    [("claimed", "claimed", False), ("appended", "claimed", True), ("settled", "settled", True)],
)
def test_killed_at_a_point(scene: Scene, point: str, state: str, in_log: bool) -> None:
    process = scene.start("k", point=point)
    go(process)
    assert process.returncode == -9
    assert [b[1:] for b in scene.batches()] == [("k", state)]
    assert (len(scene.stored()) == RECORDS) == in_log
    check_once(scene, "k")


def test_killed_after_the_append_the_sweep_settles_it_unaided(scene: Scene) -> None:
    go(scene.start("k", point="appended"))
    sweep(scene.engine, scene.log, at=AT.replace(minute=5))
    assert [b[1:] for b in scene.batches()] == [("k", "settled")]
    check_once(scene, "k")


def test_two_processes_with_the_same_batch_and_one_is_killed(scene: Scene) -> None:
    one, two = scene.start("k", point="appended"), scene.start("k")
    go(one)
    go(two)
    assert (one.returncode, two.returncode) == (-9, 0)
    check_once(scene, "k")


def random_kills(scene: Scene, *, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    states = []
    whole_s = go(scene.start("k0"))
    for turn in range(1, rounds + 1):
        go(scene.start(f"k{turn}"), kill_after_s=chance.uniform(0.0, whole_s))
        states += [b[2] for b in scene.batches() if b[1] == f"k{turn}"] or ["unclaimed"]
        check_once(scene, f"k{turn}", others=turn)
    sys.stdout.write(f"seed {seed}: {rounds} kills, found { ({s: states.count(s) for s in set(states)}) }\n")


def test_killed_at_random(scene: Scene) -> None:
    random_kills(scene, rounds=4, seed=random.SystemRandom().randrange(10**6))


@pytest.mark.soak
def test_killed_at_random_often(scene: Scene) -> None:
    random_kills(scene, rounds=40, seed=random.SystemRandom().randrange(10**6))
