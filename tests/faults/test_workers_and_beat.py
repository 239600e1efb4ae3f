"""`siji worker` as operators run it, several at once, on both pairs of engines: killed, the others go on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kombu import Connection
from sqlalchemy import Engine, func, select

from infra.beat import BeatSlot
from infra.clock import Clock
from infra.database import reading, transaction
from infra.journal import JournalSeal, UnsealedEntry, append
from infra.settings import Settings
from tests.faults.conftest import Start
from tests.waiting import WITHIN_S, wait_until

SIJI = str(Path(sys.executable).with_name("siji"))

BEAT_ALONE = """
import sys, time
from infra import beat, jobs
from infra.installation import open_installation
from infra.settings import Settings
beat.STALE_AFTER_SLOTS = 1000
beat.schedule = lambda settings: {"infra.seal_journal": 1}
here = open_installation(Settings())
jobs.join(here)
with beat.beating(here):
    sys.stdin.read()
"""
HOLDER = """
import subprocess, sys
worker = subprocess.Popen([sys.argv[1], "worker", "--leashed", "--threads=1"], stdin=subprocess.PIPE)
print(worker.pid, flush=True)
worker.wait()
"""


def count(engine: Engine, table: type) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def wait_for_rows(engine: Engine, table: type, least: int) -> None:
    wait_until(lambda: count(engine, table) >= least)


def test_what_nobody_asked_for_by_hand_is_done_and_a_killed_worker_is_not_missed(
    records: Engine, start: Start
) -> None:
    """The journal is sealed because the beat says so: before and after one of two workers is killed."""
    workers = [start(SIJI, "worker", "--threads=1") for _ in range(2)]
    for number, worker in enumerate(workers):
        with transaction(records) as session:
            append(
                session,
                actor="system:test",
                act="test",
                subject="test",
                bureau_id=None,
                at=Clock().now(),
                after={},
            )
        taken = count(records, BeatSlot)
        wait_for_rows(records, JournalSeal, number + 1)
        wait_for_rows(records, BeatSlot, taken + 1)
        if number == 0:
            worker.kill()
            worker.wait()
    assert count(records, UnsealedEntry) == 0
    workers[1].terminate()
    assert workers[1].wait(WITHIN_S) == 0


def test_no_slot_is_sent_twice_by_beats_that_are_killed(
    records: Engine, told: Settings, start: Start
) -> None:
    """Nobody takes the messages: there are as many as slots, less at most one for each kill in between."""
    beats = [start(sys.executable, "-c", BEAT_ALONE, stdin=subprocess.PIPE) for _ in range(4)]
    for number, beat in enumerate(beats):
        wait_for_rows(records, BeatSlot, 3 * (number + 1))
        if number < 3:
            beat.kill()
    assert beats[3].stdin is not None
    beats[3].stdin.close()
    assert beats[3].wait(WITHIN_S) == 0
    assert 0 <= count(records, BeatSlot) - waiting(told) <= 3


@pytest.mark.parametrize("environment", ["embedded"], indirect=True)
def test_a_leashed_worker_ends_when_whoever_started_it_is_killed(records: Engine, start: Start) -> None:
    holder = start(sys.executable, "-c", HOLDER, SIJI, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    worker = int(holder.stdout.readline())
    wait_until(lambda: count(records, BeatSlot) > 0)
    os.kill(holder.pid, signal.SIGKILL)
    wait_until(lambda: not runs(worker))


def waiting(settings: Settings) -> int:
    """How many messages wait in the queue."""
    if not settings.job_broker_url:
        return len(list((settings.data_dir / "jobs" / "messages").iterdir()))
    with Connection(settings.job_broker_url) as connection:
        found: int = connection.SimpleQueue("siji").qsize()
        return found


def runs(pid: int) -> bool:
    """Whether that process runs; one that ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
