"""What was written in the journal stays: triggers of the database refuse, whoever asks."""

import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.exc import DatabaseError

from infra.journal import Verification, seal, verify
from tests.service.journalling import write

DECISION = Path(__file__).parents[2] / "docs" / "decisions" / "0004-journal-chain.md"


@pytest.fixture(params=["database", "sqlite_database"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("table", ["journal_entries", "journal_seals"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {} WHERE {} = {}"])
def test_the_database_refuses_to_change_what_was_written(
    engine: Engine, at: datetime, table: str, statement: str
) -> None:
    write(engine, at, 2)
    seal(engine, at=at)
    column = "bureau_id" if table == "journal_entries" else "entry_id"
    with pytest.raises(DatabaseError, match=f"{table} is append-only"), engine.begin() as connection:
        connection.exec_driver_sql(statement.format(table, column, 1))
    assert verify(engine) == Verification(2, 0, 0, None, None)


@pytest.mark.parametrize("tables", ["journal_entries", "journal_seals", "journal_unsealed"])
def test_postgresql_refuses_to_truncate(database: Engine, at: datetime, tables: str) -> None:
    write(database, at, 2)
    seal(database, at=at)
    write(database, at, 1, first=3)
    with pytest.raises(DatabaseError, match=f"{tables} is append-only"), database.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {tables}")
    assert verify(database) == Verification(2, 1, 0, None, None)


@pytest.fixture
def siji_role(database: Engine) -> Iterator[Engine]:
    """An engine for the role that decision 4 describes, which does not own the tables."""
    role = f"siji_test_{uuid.uuid4().hex[:12]}"
    lines = DECISION.read_text("utf-8").splitlines()
    grants = [line.strip().replace("siji;", f"{role};") for line in lines if line.startswith("    ")]
    with database.begin() as connection:
        for statement in (f"CREATE ROLE {role}", *grants):
            connection.exec_driver_sql(statement)
    engine = create_engine(database.url, connect_args={"options": f"-c role={role}"}, poolclass=NullPool)
    yield engine
    with database.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f"DROP ROLE {role}")


def test_a_role_that_owns_no_table_keeps_the_journal_and_can_drop_no_trigger(
    siji_role: Engine, at: datetime
) -> None:
    write(siji_role, at, 2)
    assert seal(siji_role, at=at) == 2
    write(siji_role, at, 1, first=3)
    for statement in (
        "ALTER TABLE journal_entries DISABLE TRIGGER ALL",
        "DROP TRIGGER journal_unsealed_keep ON journal_unsealed",
        "SET session_replication_role = replica",
        "TRUNCATE journal_entries, journal_seals, journal_unsealed",
        "DELETE FROM journal_entries",
        "UPDATE journal_seals SET digest = 'x'",
    ):
        with pytest.raises(DatabaseError, match=r"permission denied|must be owner"), siji_role.begin() as it:
            it.exec_driver_sql(statement)
    assert verify(siji_role) == Verification(2, 1, 0, None, None)


def test_the_database_lets_nothing_leave_the_queue_unsealed(engine: Engine, at: datetime) -> None:
    write(engine, at, 2)
    seal(engine, at=at)
    write(engine, at, 2, first=3)
    with pytest.raises(DatabaseError, match="keeps what is not sealed"), engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM journal_unsealed WHERE entry_id = 3")
    with pytest.raises(DatabaseError, match="journal_unsealed is append"), engine.begin() as connection:
        connection.exec_driver_sql("UPDATE journal_unsealed SET entry_id = 1 WHERE entry_id = 3")
    assert verify(engine) == Verification(2, 2, 0, None, None)
    assert seal(engine, at=at) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "REPLACE INTO journal_entries SELECT id, at, actor, 'x', '', 1, NULL, NULL, 0 FROM journal_entries",
        "INSERT OR REPLACE INTO journal_seals SELECT seq, entry_id, 'x', sealed_at FROM journal_seals",
        "INSERT OR REPLACE INTO journal_seals SELECT seq + 9, entry_id, 'x', sealed_at FROM journal_seals",
    ],
)
def test_sqlite_refuses_to_replace(sqlite_database: Engine, at: datetime, statement: str) -> None:
    write(sqlite_database, at, 2)
    seal(sqlite_database, at=at)
    with pytest.raises(DatabaseError, match="append-only"), sqlite_database.begin() as connection:
        connection.exec_driver_sql(statement)
