"""The one place that commits, snapshots, after-commit calls and instants, on both engines."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, func, insert, select, text
from sqlalchemy.exc import DatabaseError, StatementError
from sqlalchemy.orm import Session

from infra import database as records
from infra.database import Busy, after_commit, open_database, reading, serialise, transaction
from infra.workdays import CalendarYear

WAIT_S = 120


@pytest.fixture(params=["database", "sqlite_database"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


class Interrupted(Exception):
    """Raised in the middle of a transaction."""


def add_year(session: Session, year: int, at: datetime, call: Callable[[], None] | None = None) -> None:
    session.add(CalendarYear(year=year, source="test", imported_at=at))
    if call:
        after_commit(session, call)


def add_year_and_stop(
    session: Session, year: int, at: datetime, call: Callable[[], None] | None = None
) -> None:
    add_year(session, year, at, call)
    session.flush()
    raise Interrupted


def years(engine: Engine) -> list[int]:
    with reading(engine) as session:
        return list(session.scalars(select(CalendarYear.year).order_by(CalendarYear.year)))


def test_all_of_a_transaction_or_nothing_of_it(engine: Engine, at: datetime) -> None:
    with transaction(engine) as session:
        add_year(session, 1, at)
        session.flush()
        add_year(session, 2, at)
    assert years(engine) == [1, 2]
    with pytest.raises(Interrupted), transaction(engine) as session:
        add_year_and_stop(session, 3, at)
    assert years(engine) == [1, 2]


def test_rows_can_be_read_after_the_commit(engine: Engine, at: datetime) -> None:
    with transaction(engine) as session:
        row = CalendarYear(year=1, source="kept", imported_at=at)
        session.add(row)
    assert row.source == "kept"


def test_calls_after_commit_come_in_order_once_and_see_what_was_committed(
    engine: Engine, at: datetime
) -> None:
    seen: list[tuple[str, list[int]]] = []
    with transaction(engine) as session:
        after_commit(session, lambda: seen.append(("first", years(engine))))
        after_commit(session, lambda: seen.append(("second", years(engine))))
        add_year(session, 1, at)
        assert seen == []
    assert seen == [("first", [1]), ("second", [1])]


def test_no_call_after_a_rollback_or_a_failed_commit(engine: Engine, at: datetime) -> None:
    seen: list[str] = []
    with pytest.raises(Interrupted), transaction(engine) as session:
        add_year_and_stop(session, 1, at, lambda: seen.append("rolled back"))
    with transaction(engine) as session:
        add_year(session, 1, at, lambda: seen.append("committed"))
    with pytest.raises(DatabaseError), transaction(engine) as session:
        add_year(session, 1, at, lambda: seen.append("failed"))
    assert seen == ["committed"]


def test_a_reading_is_one_snapshot_and_waits_for_no_writer(engine: Engine, at: datetime) -> None:
    with reading(engine) as session:
        count = select(func.count()).select_from(CalendarYear)
        assert session.scalar(count) == 0
        with transaction(engine) as writer:
            add_year(writer, 1, at)
            writer.flush()
            assert years(engine) == [], "what is not committed is not seen, nor waited for"
        assert session.scalar(count) == 0
    assert years(engine) == [1]


def test_a_reading_commits_nothing(engine: Engine, at: datetime) -> None:
    with reading(engine) as session:
        add_year(session, 1, at)
    assert years(engine) == []


def test_a_reading_refuses_to_write_on_postgresql(database: Engine, at: datetime) -> None:
    with pytest.raises(DatabaseError, match="read-only"), reading(database) as session:
        session.execute(insert(CalendarYear).values(year=1, source="", imported_at=at))


def test_one_at_a_time_passes_serialise(engine: Engine, at: datetime) -> None:
    """Each adds the year after the greatest it saw: two that passed together would collide."""

    def pass_through(_: int) -> None:
        with transaction(engine) as session:
            serialise(session, "test")
            greatest = session.scalar(select(func.max(CalendarYear.year))) or 0
            add_year(session, greatest + 1, at)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pass_through, range(40)))
    assert years(engine) == list(range(1, 41))


def pass_door(engine: Engine, at: datetime) -> None:
    with transaction(engine) as session:
        add_year(session, 2027, at)
        serialise(session, "a door")


def test_who_waits_in_vain_is_told_so_and_nothing_is_done(
    engine: Engine, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "LOCK_TIMEOUT_MS", 50)
    impatient = open_database(engine.url.render_as_string(hide_password=False))
    with transaction(engine) as holder:
        add_year(holder, 2026, at)
        holder.flush()
        serialise(holder, "a door")
        with pytest.raises(Busy) as told:
            pass_door(impatient, at)
        assert "稍后重试" in told.value.message("zh")
    assert years(engine) == [2026]
    impatient.dispose()


def test_who_loses_a_deadlock_is_told_that_it_is_busy(database: Engine, at: datetime) -> None:
    both_hold = threading.Barrier(2)

    def cross(first: int, second: int) -> str:
        try:
            with transaction(database) as session:
                for year in (first, second):
                    session.get_one(CalendarYear, year, with_for_update=True)
                    if year == first:
                        both_hold.wait(WAIT_S)
        except Busy as told:
            return told.code
        return "done"

    with transaction(database) as session:
        add_year(session, 2026, at)
        add_year(session, 2027, at)
    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(cross, 2026, 2027), pool.submit(cross, 2027, 2026)]
        assert sorted(end.result(WAIT_S) for end in ends) == ["busy", "done"]


def test_who_was_overtaken_in_a_snapshot_is_told_that_it_is_busy(database: Engine, at: datetime) -> None:
    def look_then_lock() -> None:
        with transaction(database) as session:
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            session.get_one(CalendarYear, 2026)
            with transaction(database) as other:
                other.get_one(CalendarYear, 2026).source = "overtaken"
            session.get_one(CalendarYear, 2026, with_for_update=True)

    with transaction(database) as session:
        add_year(session, 2026, at)
    with pytest.raises(Busy):
        look_then_lock()


def test_other_names_do_not_wait_on_postgresql(database: Engine) -> None:
    passed = threading.Event()

    def other() -> None:
        with transaction(database) as session:
            serialise(session, "other")
            passed.set()

    with transaction(database) as session, ThreadPoolExecutor(1) as pool:
        serialise(session, "one")
        done = pool.submit(other)
        assert passed.wait(WAIT_S)
        done.result(WAIT_S)


def test_writers_of_sqlite_queue_and_none_fails(sqlite_database: Engine, at: datetime) -> None:
    def read_then_write(year: int) -> None:
        with transaction(sqlite_database) as session:
            session.scalar(select(func.count()).select_from(CalendarYear))
            add_year(session, year, at)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_then_write, range(1, 41)))
    assert years(sqlite_database) == list(range(1, 41))


@pytest.mark.parametrize(
    "make",
    [
        lambda: datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        lambda: datetime(2027, 1, 1, 7, 59, 59, 999999, tzinfo=ZoneInfo("Asia/Shanghai")),
    ],
    ids=["utc", "city"],
)
def test_an_instant_comes_back_as_the_same_moment_in_utc(
    engine: Engine, make: Callable[[], datetime]
) -> None:
    with transaction(engine) as session:
        add_year(session, 1, make())
    with reading(engine) as session:
        back = session.scalars(select(CalendarYear.imported_at)).one()
        later = select(CalendarYear.year).where(CalendarYear.imported_at < make() + timedelta(microseconds=1))
        assert session.scalars(later).all() == [1]
    assert back == datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert back.utcoffset() == timedelta(0)


def test_a_naive_instant_is_refused(engine: Engine) -> None:
    naive = datetime(2026, 3, 2, 9, 0, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(StatementError, match="naive instant"), transaction(engine) as session:
        add_year(session, 1, naive)
    assert years(engine) == []


def test_sqlite_keeps_what_it_promised(sqlite_database: Engine) -> None:
    with sqlite_database.connect() as connection:
        told = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous")
        }
    assert told == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}
