"""Rows of the journal, heads beside it, and ways to meddle with it: for the tests of the journal."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from infra import journal
from infra.database import transaction
from infra.journal import Head, append, seal


class Heads:
    """A heads file and its key, outside the database."""

    def __init__(self, folder: Path) -> None:
        self.key = journal.make_or_load_key(folder / "key.pem")
        self.file = folder / "heads.ndjson"

    def sign(self, engine: Engine, at: datetime) -> Head | None:
        return journal.sign_head(engine, key=self.key, heads_file=self.file, at=at)

    def read(self) -> Iterator[Head]:
        return journal.read_heads(self.file, self.key.public_key())


def write(engine: Engine, at: datetime, count: int, *, first: int = 1) -> None:
    with transaction(engine) as session:
        for number in range(first, first + count):
            append(
                session,
                actor="person:12",
                act="quota.granted",
                subject=f"bureau:{number}",
                bureau_id=number,
                at=at,
                before={"vcpu": number},
                after={"vcpu": number * 2, "说明": "增配"},
            )


@contextmanager
def meddling(engine: Engine) -> Iterator[Connection]:
    """A superuser's connection on which the triggers are off; they are on again afterwards."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            yield connection
            return
        select_triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        triggers = connection.execute(text(select_triggers)).all()
        for name, _ in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        yield connection
        for _, statement in triggers:
            connection.exec_driver_sql(statement)


def meddle(engine: Engine, *statements: str) -> None:
    with meddling(engine) as connection:
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount != 0, f"nothing to meddle with: {statement}"


def reseal(engine: Engine, at: datetime) -> None:
    """What one who can write the database and knows the rule would do: chain anew what is there."""
    meddle(
        engine,
        "DELETE FROM journal_seals",
        "INSERT INTO journal_unsealed (entry_id) SELECT id FROM journal_entries",
    )
    seal(engine, at=at)
