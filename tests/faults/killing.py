"""Worker processes in a yard, killed with SIGKILL generation after generation; the last one may finish."""

import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from infra.database import open_database, reading
from provisioning.cloud.driver import Cloud
from provisioning.cloud.simulated import SimulatedCloud, SimulatedRegion
from provisioning.pace import VISIT_LASTS
from tests.yard import REGION

WORKERS = 2
LOST_ANSWERS = 4
Work = Callable[[str, Path, timedelta], None]
"""What a worker does in the yard whose records and folder these are, its clock put forward."""


class ListDue(Protocol):
    """What is due at an instant, by its ids."""

    def __call__(self, session: Session, *, at: datetime, limit: int) -> Sequence[int]: ...


Visit = Callable[[Engine, Cloud, int, Callable[[], datetime]], None]
"""One visit of what has the id, and a clock."""


def kill_generations(
    url: str,
    folder: Path,
    work: Work,
    *,
    kills: int,
    longest_s: float,
    chance: random.Random,
    began: timedelta = timedelta(),
) -> None:
    """Kill `kills` generations of workers within `longest_s` each, and let the last one finish."""
    hits = 0
    for generation in range(kills + 1):
        ahead = began + generation * (VISIT_LASTS + timedelta(seconds=30))
        workers = [begin(url, folder, ahead, work) for _ in range(WORKERS)]
        if generation < kills:
            time.sleep(chance.uniform(0.03, longest_s))
            hits += any(worker.is_alive() for worker in workers)
            for worker in workers:
                worker.kill()
        for worker in workers:
            worker.join()
    sys.stdout.write(f"{hits} generations killed at work\n")
    assert hits > 1
    assert {worker.exitcode for worker in workers} == {0}


def begin(url: str, folder: Path, ahead: timedelta, target: Work) -> BaseProcess:
    """A worker process whose clock is `ahead`, so that what killed workers had taken is due again."""
    worker = multiprocessing.get_context("fork").Process(target=target, args=(url, folder, ahead))
    worker.start()
    return worker


def visit_until_none_is_left(
    url: str, folder: Path, ahead: timedelta, list_due: ListDue, visit: Visit
) -> None:
    """Visit what is due, in any order, until nothing is left to be visited, now or later."""
    engine = open_database(url)

    def now() -> datetime:
        return datetime.now(UTC) + ahead

    cloud = SimulatedCloud(SimulatedRegion(folder / "yard.sqlite").store, region=REGION, now=now)
    while True:
        with reading(engine) as session:
            due = list(list_due(session, at=now(), limit=1000))
            left = list_due(session, at=now() + timedelta(days=365), limit=1)
        if not left:
            return
        random.shuffle(due)
        for one in due:
            visit(engine, cloud, one, now)
        time.sleep(0.01)
