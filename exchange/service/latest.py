"""The latest record of each key, of more records than memory holds, in a private file of this process."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from exchange.digest import canonical
from exchange.service.shown import DeliveredRecord

SCHEMA = """
CREATE TABLE latest (
    ref BLOB PRIMARY KEY, partition INTEGER, offset INTEGER, digest BLOB, content BLOB
) WITHOUT ROWID
"""


class Latest:
    """What is there once all records that were taken, in their order, have been applied."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute(SCHEMA)

    def take(self, record: DeliveredRecord | None) -> None:
        """Apply one as it is seen; None is one that is not."""
        if record is None:
            return
        ref = bytes.fromhex(record.ref)
        if record.op == "delete":
            self._database.execute("DELETE FROM latest WHERE ref = ?", (ref,))
            return
        digest, content = bytes.fromhex(record.digest), canonical(record.value)
        row = (ref, record.partition, record.offset, digest, content)
        self._database.execute("INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?)", row)

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM latest").fetchone()[0])

    def digests(self) -> Iterator[tuple[int, bytes]]:
        """(partition, digest) of each, in order of partition and offset."""
        return self._database.execute("SELECT partition, digest FROM latest ORDER BY partition, offset")

    def contents(self) -> Iterator[bytes]:
        """The canonical JSON of each, in the same order."""
        rows = self._database.execute("SELECT content FROM latest ORDER BY partition, offset")
        return (row[0] for row in rows)


@contextmanager
def keeping_latest() -> Iterator[Latest]:
    """One that is empty; its file has no name, and is gone with the block."""
    with closing(sqlite3.connect("", check_same_thread=False, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("PRAGMA synchronous=OFF")
        database.execute("BEGIN")  # of all of it: nothing of it is ever to be kept
        yield Latest(database)
