"""One call's step in the simulated region: its transaction, its instant, and its words for a failure.

`settle` carries out what earlier calls started and the region's time has since finished. Not the calls
themselves.
"""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from provisioning.cloud.driver import Conflict, NotInCloud, Permanent, Retryable
from provisioning.cloud.labels import find_fault

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a call works with: it happens at `at_us` (µs since 1970), what it starts is done at `ready_us`.

    `doomed` has what it starts end in an error.
    """

    db: sqlite3.Connection
    region: str
    call: str
    at_us: int
    ready_us: int
    doomed: bool = False

    def one(self, statement: str, *values: object) -> sqlite3.Row | None:
        """The first row, or None."""
        row: sqlite3.Row | None = self.db.execute(statement, values).fetchone()
        return row

    def refused(self, reason_zh: str, reason_en: str) -> Permanent:
        """The call can never be done as it is."""
        return Permanent(region=self.region, call=self.call, reason_zh=reason_zh, reason_en=reason_en)

    def conflict(self, reason_zh: str, reason_en: str) -> Conflict:
        """The call contradicts what is there."""
        return Conflict(region=self.region, call=self.call, reason_zh=reason_zh, reason_en=reason_en)

    def missing(self, thing: str, key: str) -> NotInCloud:
        """There is no such thing."""
        return NotInCloud(
            region=self.region,
            call=self.call,
            thing=thing,
            key=key,
            reason_zh=f"云上没有 {thing} {key}",
            reason_en=f"there is no {thing} {key}",
        )

    def check_label(self, *, tag: str, name: str = "-") -> None:
        """Refuse a tag or a name that a cloud would not take."""
        if fault := find_fault(tag=tag, name=name):
            raise self.refused(*fault)


def unanswered(region: str, call: str, reason_zh: str, reason_en: str) -> Retryable:
    """The call got no answer, whether it was done or not."""
    return Retryable(region=region, call=call, reason_zh=reason_zh, reason_en=reason_en)


def to_us(instant: datetime) -> int:
    """Whole microseconds since 1970 of an aware instant."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """The instant, aware UTC."""
    return EPOCH + timedelta(microseconds=us)


def is_due(db: sqlite3.Connection, at_us: int) -> bool:
    """Whether anything started earlier is finished by now and not yet carried out."""
    found = db.execute(
        "SELECT EXISTS (SELECT 1 FROM servers WHERE due_us <= :at)"
        " OR EXISTS (SELECT 1 FROM volumes WHERE due_us <= :at)"
        " OR EXISTS (SELECT 1 FROM images WHERE due_us <= :at)",
        {"at": at_us},
    )
    return bool(found.fetchone()[0])


def settle(db: sqlite3.Connection, at_us: int) -> None:
    """Carry out everything that is finished by `at_us`."""
    for server in db.execute(
        "SELECT * FROM servers WHERE due_us <= ? ORDER BY due_us, seq", (at_us,)
    ).fetchall():
        _settle_server(db, server)
    db.execute("DELETE FROM volumes WHERE due_us <= ? AND outcome = 'deleted'", (at_us,))
    db.execute(
        "UPDATE volumes SET server_id = CASE outcome WHEN 'in-use' THEN server_id END, status = outcome,"
        " shown_gib = NULL, outcome = NULL, due_us = NULL WHERE due_us <= ?",
        (at_us,),
    )
    db.execute(
        "UPDATE images SET status = outcome, outcome = NULL, due_us = NULL WHERE due_us <= ?", (at_us,)
    )


def _settle_server(db: sqlite3.Connection, server: sqlite3.Row) -> None:
    key = (server["id"],)
    match server["task"]:
        case "deleting":
            db.execute("DELETE FROM volumes WHERE id = ?", (server["root_volume_id"],))
            db.execute(
                "UPDATE volumes SET status = 'available', server_id = NULL, shown_gib = NULL,"
                " outcome = NULL, due_us = NULL WHERE server_id = ?",
                key,
            )
            db.execute("UPDATE addresses SET server_id = NULL WHERE server_id = ?", key)
            db.execute("DELETE FROM allocations WHERE server_id = ?", key)
            db.execute("DELETE FROM servers WHERE id = ?", key)
            return
        case "shelving":
            db.execute("DELETE FROM allocations WHERE server_id = ?", key)
        case "rebuilding":
            db.execute("UPDATE servers SET image_id = next_image_id, next_image_id = NULL WHERE id = ?", key)
        case "migrating":
            db.execute("DELETE FROM allocations WHERE server_id = ? AND role = 'resting'", key)
            db.execute("UPDATE allocations SET role = 'resting' WHERE server_id = ?", key)
        case "resize_finish":
            db.execute("UPDATE servers SET flavor = other_flavor, other_flavor = flavor WHERE id = ?", key)
        case "resize_confirming":
            db.execute("DELETE FROM allocations WHERE server_id = ? AND role = 'resting'", key)
            db.execute("UPDATE allocations SET role = 'resting' WHERE server_id = ?", key)
            db.execute("UPDATE servers SET other_flavor = NULL WHERE id = ?", key)
        case "resize_reverting":
            db.execute("DELETE FROM allocations WHERE server_id = ? AND role = 'resized'", key)
            db.execute("UPDATE servers SET flavor = other_flavor, other_flavor = NULL WHERE id = ?", key)
        case "resize_prep":
            db.execute("UPDATE servers SET other_flavor = NULL WHERE id = ?", key)
    db.execute(
        "UPDATE servers SET status = outcome, outcome = NULL, task = NULL, due_us = NULL WHERE id = ?", key
    )
