"""The embedded log: a SQLite file of its own, apart from the records; durable, for several processes at once.

It refuses what Kafka refuses and fails when told to (`inject`), for the tests of those who use it.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Literal
from uuid import uuid4

from exchange.broker.driver import (
    BrokerConflict,
    BrokerPermanent,
    BrokerRetryable,
    LogRecord,
    NewRecord,
    Slice,
    Span,
)
from exchange.broker.limits import check_new_topic, check_partition, check_sizes, no_topic

WAIT_S = 30.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,
    partitions INTEGER);
CREATE TABLE IF NOT EXISTS ends (topic INTEGER, partition INTEGER, next INTEGER,
    PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (topic INTEGER, partition INTEGER, offset INTEGER, key BLOB, value BLOB,
    headers TEXT, PRIMARY KEY (topic, partition, offset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (topic INTEGER, marker TEXT, spans TEXT, PRIMARY KEY (topic, marker))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (topic INTEGER, consumers TEXT, partition INTEGER, offset INTEGER,
    PRIMARY KEY (topic, consumers, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS faults (id INTEGER PRIMARY KEY, operation TEXT, outcome TEXT);
"""

Outcome = Literal["down", "done_but_unanswered", "refused", "fenced"]


class EmbeddedLog:
    """A `Broker` in one file. Safe to share between threads; a fork gets connections of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._idle: list[sqlite3.Connection] = []
        self._inherited: list[sqlite3.Connection] = []  # kept so that a fork never closes its parent's files
        self._pid = os.getpid()
        self._laid_out = False

    def create_topic(self, topic: str, *, partitions: int) -> None:
        """See `Broker`."""
        check_new_topic(topic, partitions)
        with self._act("create_topic", topic, write=True) as db:
            found = db.execute("SELECT partitions FROM topics WHERE name = ?", (topic,)).fetchone()
            if found and found[0] != partitions:
                raise BrokerConflict(
                    operation="create_topic",
                    topic=topic,
                    why_zh=f"该主题已有 {found[0]} 个分区",
                    why_en=f"the topic is there with {found[0]} partitions",
                )
            if not found:
                made = db.execute(
                    "INSERT INTO topics (name, partitions) VALUES (?, ?)", (topic, partitions)
                ).lastrowid
                db.executemany("INSERT INTO ends VALUES (?, ?, 0)", [(made, p) for p in range(partitions)])

    def delete_topic(self, topic: str) -> None:
        """See `Broker`."""
        with self._act("delete_topic", topic, write=True) as db:
            found = db.execute("SELECT id FROM topics WHERE name = ?", (topic,)).fetchone()
            if found:
                db.execute("DELETE FROM records WHERE topic = ?", found)
                db.execute("DELETE FROM batches WHERE topic = ?", found)
                db.execute("DELETE FROM positions WHERE topic = ?", found)
                db.execute("DELETE FROM ends WHERE topic = ?", found)
                db.execute("DELETE FROM topics WHERE id = ?", found)

    def partitions(self, topic: str) -> int | None:
        """See `Broker`."""
        with self._act("partitions", topic) as db:
            found = db.execute("SELECT partitions FROM topics WHERE name = ?", (topic,)).fetchone()
        return int(found[0]) if found else None

    def new_marker(self, topic: str) -> str:
        """See `Broker`."""
        return uuid4().hex

    def append(self, topic: str, *, marker: str, records: Sequence[NewRecord]) -> dict[int, Span]:
        """See `Broker`."""
        check_sizes(topic, records)
        with self._act("append", topic, write=True) as db:
            number, partitions = _topic(db, topic, "append")
            stored = _spans(db, number, marker)
            if stored is not None:
                return stored
            ends = dict(db.execute("SELECT partition, next FROM ends WHERE topic = ?", (number,)).fetchall())
            spans: dict[int, Span] = {}
            rows = []
            for record in records:
                check_partition("append", topic, record.partition, partitions)
                offset = ends[record.partition]
                ends[record.partition] = offset + 1
                span = spans.get(record.partition, Span(offset, offset, 0))
                spans[record.partition] = Span(span.first, offset, span.count + 1)
                headers = json.dumps(dict(record.headers))
                rows.append((number, record.partition, offset, record.key, record.value, headers))
            db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.executemany(
                "UPDATE ends SET next = ? WHERE topic = ? AND partition = ?",
                [(ends[p], number, p) for p in spans],
            )
            told = json.dumps({p: [s.first, s.last, s.count] for p, s in spans.items()})
            db.execute("INSERT INTO batches VALUES (?, ?, ?)", (number, marker, told))
        return spans

    def find_batch(self, topic: str, *, marker: str) -> dict[int, Span] | None:
        """See `Broker`."""
        with self._act("find_batch", topic) as db:
            number, _partitions = _topic(db, topic, "find_batch")
            return _spans(db, number, marker)

    def read(self, topic: str, *, partition: int, offset: int, limit: int) -> Slice:
        """See `Broker`."""
        with self._act("read", topic) as db:
            number, partitions = _topic(db, topic, "read")
            check_partition("read", topic, partition, partitions)
            rows = db.execute(
                "SELECT offset, key, value, headers FROM records "
                "WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?",
                (number, partition, offset, limit),
            ).fetchall()
        records = tuple(
            LogRecord(partition, at, key, value, json.loads(headers)) for at, key, value, headers in rows
        )
        return Slice(records, records[-1].offset + 1 if records else offset)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """See `Broker`."""
        with self._act("end_offsets", topic) as db:
            number, _partitions = _topic(db, topic, "end_offsets")
            return dict(
                db.execute(
                    "SELECT partition, next FROM ends WHERE topic = ? ORDER BY 1", (number,)
                ).fetchall()
            )

    def commit_offsets(self, topic: str, *, group: str, offsets: Mapping[int, int]) -> None:
        """See `Broker`."""
        with self._act("commit_offsets", topic, write=True) as db:
            number, partitions = _topic(db, topic, "commit_offsets")
            for partition, offset in offsets.items():
                check_partition("commit_offsets", topic, partition, partitions)
                db.execute(
                    "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)", (number, group, partition, offset)
                )

    def fetch_offsets(self, topic: str, *, group: str) -> dict[int, int]:
        """See `Broker`."""
        with self._act("fetch_offsets", topic) as db:
            number, _partitions = _topic(db, topic, "fetch_offsets")
            rows = db.execute(
                "SELECT partition, offset FROM positions WHERE topic = ? AND consumers = ? ORDER BY 1",
                (number, group),
            ).fetchall()
        return dict(rows)

    def close(self) -> None:
        """See `Broker`."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def inject(self, operation: str, outcome: Outcome, *, times: int = 1) -> None:
        """Let the next `times` calls of `operation`, by whichever process, end so."""
        with self._transaction(write=True) as db:
            db.executemany(
                "INSERT INTO faults (operation, outcome) VALUES (?, ?)", [(operation, outcome)] * times
            )

    @contextmanager
    def _act(self, operation: str, topic: str, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            outcome = self._fault(operation)
            if outcome == "down":
                raise BrokerRetryable(
                    operation=operation, topic=topic, why_zh="连接中断", why_en="the connection broke"
                )
            if outcome == "refused":
                raise BrokerPermanent(
                    operation=operation, topic=topic, why_zh="无权限", why_en="it is not authorised"
                )
            if outcome == "fenced":
                raise BrokerConflict(
                    operation=operation,
                    topic=topic,
                    why_zh="另一写入者已接管",
                    why_en="another writer took over",
                )
            with self._transaction(write=write) as db:
                yield db
            if outcome == "done_but_unanswered":
                raise BrokerRetryable(
                    operation=operation, topic=topic, why_zh="应答超时", why_en="no answer came in time"
                )
        except sqlite3.OperationalError as error:
            raise BrokerRetryable(
                operation=operation,
                topic=topic,
                why_zh="日志文件不可用",
                why_en="the log's file is not available",
            ) from error

    def _fault(self, operation: str) -> str | None:
        with self._transaction(write=False) as db:
            if not db.execute("SELECT 1 FROM faults WHERE operation = ? LIMIT 1", (operation,)).fetchone():
                return None
        with self._transaction(write=True) as db:
            taken = db.execute(
                "DELETE FROM faults WHERE id = (SELECT min(id) FROM faults WHERE operation = ?) "
                "RETURNING outcome",
                (operation,),
            ).fetchall()
        return taken[0][0] if taken else None

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        connection = self._take()
        try:
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.Error:
            connection.close()
            raise
        except BaseException:
            self._give_back(connection)
            raise
        self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._pid != os.getpid():
                self._inherited += self._idle
                self._idle, self._pid = [], os.getpid()
            if self._idle:
                return self._idle.pop()
            connection = sqlite3.connect(
                self._path, timeout=WAIT_S, isolation_level=None, check_same_thread=False
            )
            connection.execute(f"PRAGMA busy_timeout={int(WAIT_S * 1000)}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            if not self._laid_out:
                connection.executescript(SCHEMA)
                self._laid_out = True
            return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            self._idle.append(connection)


def _topic(db: sqlite3.Connection, topic: str, operation: str) -> tuple[int, int]:
    found = db.execute("SELECT id, partitions FROM topics WHERE name = ?", (topic,)).fetchone()
    if not found:
        raise no_topic(operation, topic)
    return int(found[0]), int(found[1])


def _spans(db: sqlite3.Connection, number: int, marker: str) -> dict[int, Span] | None:
    found = db.execute(
        "SELECT spans FROM batches WHERE topic = ? AND marker = ?", (number, marker)
    ).fetchone()
    if not found:
        return None
    return {int(p): Span(first, last, count) for p, (first, last, count) in json.loads(found[0]).items()}
