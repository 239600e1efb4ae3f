"""Publishers of 1,000 ids are killed, and the ids are sent again in other batches: each is stored once."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from exchange.models import Batch
from exchange.service.publish import publish_batch
from infra.database import open_database, reading, transaction
from tests.brokers import open_log
from tests.factories import make_dataset, make_exchange
from tests.faults.id_publisher import numbered
from tests.faults.publisher import AT
from tests.faults.test_publish_kill import ROOT, Scene, go

IDS = 1_000


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


def start(scene: Scene, key: str, numbers: Sequence[int], point: str) -> subprocess.Popen[str]:
    words = (scene.url, scene.kind, scene.folder, scene.dataset_id, scene.publisher_id, key)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.id_publisher", *map(str, words), json.dumps(numbers), point],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill_and_resend(scene: Scene, *, rounds: int, seed: int) -> None:
    """Each round kills a publisher of other ids; none of its batches ever comes again."""
    chance = random.Random(seed)
    for turn in range(rounds):
        first = chance.randrange(IDS - 400)
        numbers = list(range(first, first + 400))
        point = chance.choice(["claimed", "appended", "settled", "none"])
        go(start(scene, f"killed-{turn}", numbers, point), kill_after_s=chance.uniform(0.01, 0.3))
        resend(scene, chance.sample(range(IDS), 150), f"sample-{turn}", minutes=2 * turn + 2)
    for first in range(0, IDS, 130):
        resend(scene, range(first, min(first + 170, IDS)), f"again-{first}", minutes=2 * rounds + 2)
    found = Counter(scene.stored())
    assert (len(found), found.total()) == (IDS, IDS)
    with reading(scene.engine) as session:
        told = session.scalar(select(func.sum(Batch.upserts)).where(Batch.state == "settled"))
    assert told == IDS
    sys.stdout.write(f"seed {seed}: {rounds} kills, {IDS} ids, each once\n")


def resend(scene: Scene, numbers: Sequence[int], key: str, *, minutes: int) -> None:
    at = AT + timedelta(minutes=minutes)
    receipt = publish_batch(
        scene.engine,
        scene.log,
        dataset_id=scene.dataset_id,
        publisher_id=scene.publisher_id,
        key=key,
        changes=numbered(numbers),
        at=at,
        now=lambda: at,
    )
    assert (receipt.received, receipt.quarantined) == (len(numbers), 0)


def test_ids_of_killed_publishers_are_stored_once(scene: Scene) -> None:
    kill_and_resend(scene, rounds=4, seed=random.SystemRandom().randrange(10**6))


@pytest.mark.soak
def test_ids_of_many_killed_publishers_are_stored_once(scene: Scene) -> None:
    kill_and_resend(scene, rounds=40, seed=random.SystemRandom().randrange(10**6))
