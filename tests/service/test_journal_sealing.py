"""The sealer makes nobody wait and skips no row, whatever else goes on."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from infra.database import reading, transaction
from infra.journal import (
    Break,
    JournalEntry,
    JournalSeal,
    UnsealedEntry,
    Verification,
    append,
    chain,
    seal,
    verify,
)
from tests.service.journalling import Heads, meddle, write

WAIT_S = 120


@pytest.fixture(params=["database", "sqlite_database"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def heads(tmp_path: Path) -> Heads:
    return Heads(tmp_path)


def test_a_row_that_commits_late_is_sealed_late_and_none_is_skipped(database: Engine, at: datetime) -> None:
    with transaction(database) as slow:
        append(slow, actor="person:1", act="slow", subject="s", bureau_id=None, at=at)
        slow.flush()
        write(database, at, 3)
        assert seal(database, at=at) == 3, "the sealer does not wait for the open transaction"
        assert verify(database) == Verification(3, 0, 0, None, None)
    assert verify(database).unsealed == 1
    assert seal(database, at=at) == 1
    with reading(database) as session:
        order = session.scalars(select(JournalSeal.entry_id).order_by(JournalSeal.seq)).all()
    assert order == [2, 3, 4, 1]
    assert verify(database) == Verification(4, 0, 0, None, None)


def test_an_entry_that_is_queued_again_stops_no_sealer(engine: Engine, at: datetime) -> None:
    """As by a repair by hand that puts too much into the queue."""
    write(engine, at, 2)
    seal(engine, at=at)
    write(engine, at, 1, first=3)
    with transaction(engine) as session:
        session.add(UnsealedEntry(entry_id=1))
    assert seal(engine, at=at) == 1
    assert verify(engine) == Verification(3, 0, 0, None, None)
    with reading(engine) as session:
        assert session.scalars(select(UnsealedEntry.entry_id)).all() == []


def test_entries_that_are_queued_again_end_no_pass_early(
    engine: Engine, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "BATCH", 2)
    write(engine, at, 2)
    seal(engine, at=at)
    write(engine, at, 3, first=3)
    with transaction(engine) as session:
        session.add(UnsealedEntry(entry_id=1))
    assert seal(engine, at=at) == 3
    assert verify(engine) == Verification(5, 0, 0, None, None)


def test_an_append_waits_for_no_sealer(database: Engine, at: datetime) -> None:
    write(database, at, 3)
    with database.connect() as sealer:
        sealer.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended('siji.journal.seal', 0))")
        sealer.exec_driver_sql("INSERT INTO journal_seals SELECT id, id, 'x', now() FROM journal_entries")
        sealer.exec_driver_sql("DELETE FROM journal_unsealed")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(write, database, at, 3).result(WAIT_S)
        sealer.rollback()
    assert verify(database).unsealed == 6


def test_concurrent_appends_and_sealers_lose_nothing(database: Engine, at: datetime) -> None:
    """Eight writers hold transactions open for different times, some roll back; two sealers run all along."""
    finished = threading.Event()
    writers, acts = 8, 15

    def work(writer: int) -> None:
        for act in range(acts):
            try:
                with transaction(database) as session:
                    append(
                        session, actor=f"person:{writer}", act="act", subject=f"{act}", bureau_id=None, at=at
                    )
                    session.flush()
                    time.sleep(0.001 * ((writer * 7 + act * 3) % 11))
                    if act % 5 == 4:
                        raise InterruptedError
            except InterruptedError:
                continue

    def keep_sealing() -> int:
        sealed = 0
        while not finished.is_set():
            sealed += seal(database, at=at)
        return sealed

    with ThreadPoolExecutor(writers + 2) as pool:
        sealers = [pool.submit(keep_sealing) for _ in range(2)]
        for done in [pool.submit(work, writer) for writer in range(writers)]:
            done.result(WAIT_S)
        finished.set()
        sealed = sum(one.result(WAIT_S) for one in sealers)
    sealed += seal(database, at=at)
    expected = writers * acts * 4 // 5
    assert sealed == expected
    assert verify(database) == Verification(expected, 0, 0, None, None)
    with reading(database) as session:
        seals = session.execute(select(JournalSeal.seq, JournalSeal.entry_id).order_by(JournalSeal.seq)).all()
        entries = session.scalars(select(JournalEntry.id)).all()
    assert [seq for seq, _ in seals] == list(range(1, expected + 1))
    assert sorted(entry for _, entry in seals) == sorted(entries)


def test_ten_thousand_rows_in_batches(engine: Engine, at: datetime, heads: Heads) -> None:
    write(engine, at, 10_000)
    assert seal(engine, at=at) == 10_000
    heads.sign(engine, at)
    assert verify(engine, heads.read()) == Verification(10_000, 0, 1, None, None)
    meddle(engine, "UPDATE journal_entries SET act = 'x' WHERE id = 7003")
    assert verify(engine).broken == Break("changed", 7003, 7003)
