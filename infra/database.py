"""Records: the engine, the declarative root, and the one place that commits.

PostgreSQL and SQLite (WAL) alike. Writers on SQLite take the write lock at once, so that a transaction
never fails half-way because another one wrote first.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Select,
    create_engine,
    event,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from infra.errors import Kind, SijiError

Key = BigInteger().with_variant(Integer(), "sqlite")
Document = JSON().with_variant(JSONB(), "postgresql")
NullableDocument = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""SQL NULL for None, where `Document` keeps JSON's null."""

Query = TypeVar("Query", bound=Select[Any])

LOCK_TIMEOUT_MS = 30_000
LOST_TO_OTHERS = ("55P03", "40P01", "40001")
"""PostgreSQL's states of a lock that did not come, of a deadlock, and of a snapshot that others overtook: all
mean that nothing was done and that the same again may succeed."""
LOCK_TIMEOUT = text("SELECT set_config('lock_timeout', :ms, true)")
PASS_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
PASS_TOGETHER = text("SELECT pg_advisory_xact_lock_shared(hashtextextended(:name, 0))")


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant; a naive one is refused rather than guessed at."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive instants; store UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"a naive instant cannot be stored: {value!r}")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite forgets the zone; it was UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Root of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Instant(),
        dict[str, Any]: Document,
        list[Any]: Document,
        list[str]: Document,
    }


def open_database(url: str, *, pool_size: int = 5) -> Engine:
    """An engine for `url` (postgresql+psycopg://… or sqlite:///…)."""
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"timeout": LOCK_TIMEOUT_MS / 1000, "isolation_level": None})
        event.listen(engine, "connect", _tune_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args={"options": f"-c lock_timeout={LOCK_TIMEOUT_MS} -c timezone=UTC"},
    )


class Busy(SijiError):
    """What was wanted stayed locked by others for as long as locks are waited for, or others' locks and this
    one's waited for each other; nothing was done.
    """

    kind = Kind.unavailable
    code = "busy"
    zh = "系统繁忙：所需数据一直被其他操作占用，本次操作未生效，请稍后重试"
    en = "Busy: others held what this needs for too long; nothing was changed, try again later"


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """The one place that commits: all of the block, or nothing of it; then its after-commit calls.

    Raises Busy.
    """
    session = Session(engine, expire_on_commit=False)
    with session:
        try:
            with session.begin():
                yield session
        except OperationalError as error:
            if _lost_to_others(error.orig):
                raise Busy() from error
            raise
        calls = session.info.pop("after_commit", [])
    for call in calls:
        call()


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session for SELECTs only: one consistent snapshot, waits for no writer, commits nothing."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection = connection.execution_options(siji_reading=True)
        else:
            connection = connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with Session(connection, autoflush=False) as session:
            yield session


def locked(query: Query, *, read: bool = False, key_share: bool = False, of: Any = None) -> Query:
    """The query, to lock the rows it selects until the transaction ends and to read them as they are then.

    The second is why nothing else locks rows: without it the session waits for the lock, and then gives what
    it held of a row before it waited. The options are those of SQLAlchemy's `with_for_update`.
    """
    query = query.with_for_update(read=read, key_share=key_share, of=of)
    return query.execution_options(populate_existing=True)


def insert_once(session: Session, table: type[Base], **values: Any) -> bool:
    """Insert a row unless a unique index has its like; whether it was inserted.

    On PostgreSQL it waits for another transaction that is inserting the same.
    """
    on_postgres = session.get_bind().dialect.name == "postgresql"
    insert = postgresql.insert(table) if on_postgres else sqlite.insert(table)
    key = table.__mapper__.primary_key[0]
    new = session.execute(insert.values(**values).on_conflict_do_nothing().returning(key))
    return new.first() is not None


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Run `call` once, after the session's `transaction` has committed; never if it rolls back."""
    session.info.setdefault("after_commit", []).append(call)


def serialise(session: Session, name: str, *, shared: bool = False, patience_ms: int | None = None) -> None:
    """Let one transaction at a time pass here for `name`; the others wait for its end.

    `shared` ones pass together, and wait only for one that is not. `patience_ms` is how long this one waits,
    where others may hold it for longer than locks are waited for elsewhere.
    """
    if session.get_bind().dialect.name == "postgresql":
        if patience_ms is not None:
            session.execute(LOCK_TIMEOUT, {"ms": str(patience_ms)})
        session.execute(PASS_TOGETHER if shared else PASS_ALONE, {"name": name})
        if patience_ms is not None:
            session.execute(LOCK_TIMEOUT, {"ms": str(LOCK_TIMEOUT_MS)})


def _lost_to_others(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode == sqlite3.SQLITE_BUSY
    return getattr(error, "sqlstate", None) in LOST_TO_OTHERS


def _tune_sqlite(connection: Any, _record: Any) -> None:
    tuning = ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL", f"busy_timeout={LOCK_TIMEOUT_MS}")
    for pragma in tuning:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    deferred = connection.get_execution_options().get("siji_reading")
    connection.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")
