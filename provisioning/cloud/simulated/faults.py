"""Failures that the simulated region shows on demand, and the control that sets them.

They are kept in the region's store, so that every process meets them; a driver takes them one by one.
"""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from provisioning.cloud.observed import SERVICES
from provisioning.cloud.simulated.store import SimulatedStore, Sizes

SLOWED = frozenset({
    "create_server", "delete_server", "stop_server", "start_server", "resize_server", "confirm_resize",
    "revert_resize", "snapshot_server", "create_volume", "attach_volume", "detach_volume", "delete_volume",
    "reboot_server", "shelve_server", "unshelve_server", "rebuild_server", "migrate_server", "extend_volume",
})  # fmt: skip
DOOMED = frozenset({
    "create_server", "resize_server", "create_volume", "snapshot_server", "unshelve_server", "rebuild_server",
    "migrate_server", "extend_volume",
})  # fmt: skip
WRITES = SLOWED | {
    "ensure_project", "adopt_project", "retire_project", "revive_project", "set_quota", "ensure_flavor",
    "label_server", "label_volume", "delete_image", "create_address", "associate_address", "delete_address",
    "set_host_enabled",
}  # fmt: skip
LISTINGS = frozenset({"list_servers", "list_volumes", "list_addresses"})
PARTS = frozenset(f"{call}.{service}" for call in ("set_quota", "get_quota") for service in SERVICES)
"""What a call does at one service; only a fault that names it meets it."""
OPERATIONS = WRITES | LISTINGS | {
    "list_projects", "get_quota", "list_flavors", "list_images", "inventory", "find_server", "get_server",
    "find_image", "find_volume", "get_volume", "find_address", "list_hosts", "console_url", "count_reboots",
    "is_placed",
}  # fmt: skip


class Fault(StrEnum):
    """What can be made to go wrong; the comment says how the caller sees it."""

    refused = "refused"  # Permanent, nothing done
    timed_out_but_done = "timed_out_but_done"  # Retryable, and yet it was done
    ends_in_error = (
        "ends_in_error"  # accepted, then ERROR, or what it was (resize, move, unshelving, extending)
    )
    slow = "slow"  # accepted, and finished `seconds` later than usual
    down = "down"  # Retryable, nothing done
    second_page_fails = "second_page_fails"  # Retryable out of a listing of more than one page


MEETS = {
    Fault.refused: WRITES,
    Fault.timed_out_but_done: WRITES,
    Fault.ends_in_error: DOOMED,
    Fault.slow: SLOWED,
    Fault.down: OPERATIONS,
    Fault.second_page_fails: LISTINGS,
}
BY_NATURE = frozenset({Fault.ends_in_error, Fault.slow, Fault.second_page_fails})  # no other call can meet
ON_PAGE = frozenset({Fault.second_page_fails})
ON_CALL = frozenset(Fault) - ON_PAGE


@dataclass(frozen=True)
class Injected:
    """What one call meets."""

    refused: bool = False
    timed_out_but_done: bool = False
    ends_in_error: bool = False
    down: bool = False
    late_s: float = 0.0


class SimulatedRegion:
    """Control of one region's failures, apart from its driver as an experimenter is apart from a cloud."""

    def __init__(self, path: Path, *, sizes: Sizes | None = None) -> None:
        """Open the region at `path`, built with `sizes` if it is new."""
        self.store = SimulatedStore(path, sizes=sizes)

    def inject(
        self, fault: Fault, *, operation: str | None = None, count: int | None = 1, seconds: float = 0.0
    ) -> None:
        """Have the next `count` calls (None: all until lifted) that the fault fits meet it.

        `operation` is a method's name; without one, `down` fits every call, `second_page_fails` every
        listing, `slow` and `ends_in_error` what finishes later, the others every write. Further injections
        wait behind.
        """
        if operation is not None and operation not in (
            MEETS[fault] if fault in BY_NATURE else OPERATIONS | PARTS
        ):
            raise ValueError(f"{fault} does not fit {operation}")
        with self.store.writing() as db:
            db.execute(
                "INSERT INTO injections (fault, operation, remaining, seconds) VALUES (?, ?, ?, ?)",
                (fault.value, operation, count, seconds),
            )

    def lift(self, fault: Fault | None = None) -> None:
        """End every injection, or those of one fault."""
        with self.store.writing() as db:
            db.execute("DELETE FROM injections WHERE fault = ? OR ? IS NULL", (fault, fault))

    def make_project(self, *, name: str, description: str = "") -> str:
        """A project as another maker makes it, which is no bureau's and has no quota; its id."""
        project_id = uuid4().hex
        with self.store.writing() as db:
            db.execute(
                "INSERT INTO projects (id, name, description) VALUES (?, ?, ?)",
                (project_id, name, description),
            )
        return project_id

    def take_tags_off(self) -> None:
        """Have every server and volume look as if another maker had made it."""
        with self.store.writing() as db:
            db.execute("UPDATE servers SET tag = NULL")
            db.execute("UPDATE volumes SET tag = NULL")

    def pending(self) -> int:
        """How many injections still wait for a call."""
        with self.store.reading() as db:
            return int(db.execute("SELECT count(*) FROM injections").fetchone()[0])


def take(store: SimulatedStore, operation: str) -> Injected:
    """Use up, durably, what `operation` meets: at most one injection of each fault, the oldest first."""
    with store.reading() as db:
        if not _fitting(db, operation, ON_CALL):
            return Injected()
    with store.writing() as db:
        rows = {Fault(row["fault"]): row for row in reversed(_fitting(db, operation, ON_CALL))}
        if Fault.down in rows:
            rows = {Fault.down: rows[Fault.down]}
        elif Fault.refused in rows:
            rows = {Fault.refused: rows[Fault.refused]}
        for row in rows.values():
            _use_up(db, row)
    return Injected(
        refused=Fault.refused in rows,
        timed_out_but_done=Fault.timed_out_but_done in rows,
        ends_in_error=Fault.ends_in_error in rows,
        down=Fault.down in rows,
        late_s=rows[Fault.slow]["seconds"] if Fault.slow in rows else 0.0,
    )


def take_page_failure(store: SimulatedStore, operation: str) -> bool:
    """Use up a `second_page_fails` that fits the listing `operation`; True if there was one."""
    with store.writing() as db:
        rows = _fitting(db, operation, ON_PAGE)
        if rows:
            _use_up(db, rows[0])
        return bool(rows)


def _fitting(db: sqlite3.Connection, operation: str, faults: frozenset[Fault]) -> list[sqlite3.Row]:
    return [
        row
        for row in db.execute("SELECT * FROM injections ORDER BY id").fetchall()
        if Fault(row["fault"]) in faults
        and (
            operation in MEETS[Fault(row["fault"])]
            if row["operation"] is None
            else row["operation"] == operation
        )
    ]


def _use_up(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    db.execute("UPDATE injections SET remaining = remaining - 1 WHERE id = ?", (row["id"],))
    db.execute("DELETE FROM injections WHERE remaining <= 0")
