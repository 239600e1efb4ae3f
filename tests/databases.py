"""Databases for tests, migrated and empty: a worker's own on PostgreSQL, throw-away ones, SQLite files."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import (
    CompoundSelect,
    Connection,
    Engine,
    NullPool,
    String,
    TableClause,
    cast,
    create_engine,
    delete,
    exists,
    func,
    literal,
    make_url,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.exc import OperationalError

from infra.database import open_database
from infra.lab import postgres
from infra.lab.record import Record
from infra.migrations.run import upgrade

PREFIX = "siji_test"
EMPTYING_WAITS_MS = 5_000

TABLES_AND_THEIR_SEQUENCES = text("""
    SELECT used.oid::regclass::text, seq.oid::regclass::text
    FROM pg_class used
    LEFT JOIN pg_depend owned ON owned.refobjid = used.oid AND owned.deptype IN ('a', 'i')
         AND owned.objid IN (SELECT oid FROM pg_class WHERE relkind = 'S')
    LEFT JOIN pg_class seq ON seq.oid = owned.objid
    WHERE used.relkind = 'r' AND used.relnamespace = 'public'::regnamespace
          AND used.relname <> 'alembic_version'
""")


@pytest.fixture
def database(_worker_database: Engine) -> Iterator[Engine]:
    """An engine on an empty, migrated PostgreSQL database; emptied again after the test."""
    yield _worker_database
    _empty(_worker_database)


@pytest.fixture
def fresh_database(_run: str, _migrated_template: str) -> Iterator[Callable[[], str]]:
    """Makes throw-away PostgreSQL databases, empty and migrated; a call returns the URL of a new one.

    For tests with several processes: nobody else uses it, and it is dropped, by force, after the test.
    """
    made: list[str] = []

    def make() -> str:
        made.append(f"{_run}_fresh_{uuid.uuid4().hex[:12]}")
        _create(made[-1], template=_migrated_template)
        return _url(made[-1])

    yield make
    for name in made:
        _drop(name)


@pytest.fixture
def sqlite_database(_migrated_sqlite: Path, tmp_path: Path) -> Iterator[Engine]:
    """An engine on an empty, migrated SQLite file of the test's own."""
    file = tmp_path / "siji.sqlite"
    shutil.copy(_migrated_sqlite, file)
    engine = open_database(f"sqlite:///{file}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def _run(worker_id: str) -> str:
    """The names of this test run's databases begin so: it holds the pid of the run's first process."""
    first = Record.of(os.getpid() if worker_id == "master" else os.getppid())
    postgres.up()
    with _maintenance() as connection, _one_at_a_time(connection):
        names = text("SELECT datname FROM pg_database WHERE starts_with(datname, :prefix)")
        for name in connection.execute(names, {"prefix": f"{PREFIX}_"}).scalars().all():
            _, _, pid, ticks, *_ = name.split("_")
            if not Record(int(pid), int(ticks), first.boot_id).alive():
                _drop(name)
    return f"{PREFIX}_{first.pid}_{first.started_ticks}"


@pytest.fixture(scope="session")
def _migrated_template(_run: str) -> str:
    """The name of a database that the run's first worker migrates and all others copy."""
    name, making = f"{_run}_template", f"{_run}_making"
    with _maintenance() as connection, _one_at_a_time(connection):
        there = text("SELECT count(*) FROM pg_database WHERE datname = :name")
        if not connection.execute(there, {"name": name}).scalar():
            _create(making, template="template1")
            engine = open_database(_url(making))
            upgrade(engine)
            engine.dispose()
            connection.execute(text(f"ALTER DATABASE {making} RENAME TO {name}"))
    return name


@pytest.fixture(scope="session")
def _worker_database(_run: str, _migrated_template: str, worker_id: str) -> Iterator[Engine]:
    name = f"{_run}_{worker_id}"
    _create(name, template=_migrated_template)
    engine = open_database(_url(name))
    yield engine
    engine.dispose()
    _drop(name)


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "migrated.sqlite"
    engine = open_database(f"sqlite:///{file}")
    upgrade(engine)
    engine.dispose()
    return file


def _empty(engine: Engine) -> None:
    """Take every row out and let identities begin at 1 again; a transaction left open fails the test."""
    try:
        _delete_all(engine)
    except OperationalError:
        _end_other_sessions(engine)
        _delete_all(engine)
        pytest.fail("the test left a transaction open that holds locks on its tables")


def _delete_all(engine: Engine) -> None:
    """Deleted and vacuumed, which leaves empty files as TRUNCATE does, but makes no new ones: far cheaper."""
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = {EMPTYING_WAITS_MS}"))
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # no trigger has a say
        used = connection.execute(_used_tables(engine)).all()
        for table, sequence in used:
            connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
            connection.execute(delete(TableClause(table)))
            if sequence:
                connection.execute(select(func.setval(sequence, 1, False)))
    if used:
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text(f"VACUUM {', '.join(table for table, _ in used)}"))


@cache
def _used_tables(engine: Engine) -> CompoundSelect[str, str | None]:
    """A query for the tables that hold rows or whose identity was counted on, with what counts it."""
    with engine.connect() as connection:
        pairs = connection.execute(TABLES_AND_THEIR_SEQUENCES).all()
    return union_all(
        *(
            select(literal(table), literal(sequence, String)).where(
                or_(
                    exists(select(1).select_from(text(table))),
                    func.pg_sequence_last_value(cast(sequence, REGCLASS)).is_not(None),
                )
            )
            for table, sequence in pairs
        )
    )


def _end_other_sessions(engine: Engine) -> None:
    end = text("""
        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
    """)
    with engine.begin() as connection:
        connection.execute(end)
    engine.dispose()


def _maintenance() -> Connection:
    """A connection to the lab's own database, each statement a transaction; closing it closes its engine."""
    engine = create_engine(postgres.address(), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    return engine.connect()


@contextmanager
def _one_at_a_time(connection: Connection) -> Iterator[None]:
    """Let one worker at a time pass; others wait. The lock ends with the connection."""
    connection.execute(text("SELECT pg_advisory_lock(hashtext('siji_test'))"))
    yield
    connection.execute(text("SELECT pg_advisory_unlock(hashtext('siji_test'))"))


def _create(name: str, *, template: str) -> None:
    with _maintenance() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))


def _drop(name: str) -> None:
    with _maintenance() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def _url(name: str) -> str:
    return make_url(postgres.address()).set(database=name).render_as_string(hide_password=False)
