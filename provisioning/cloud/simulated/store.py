"""The simulated region's own store: a SQLite file apart from the records, for many processes and threads.

Every commit reaches the disk before it is acknowledged (WAL, synchronous=FULL), so that a killed process
loses nothing that the region accepted. The tables and the connections live here, the region's behaviour does
not.
"""

import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

BUSY_TIMEOUT_S = 30

SCHEMA = """
CREATE TABLE IF NOT EXISTS projects (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL, bureau_code TEXT UNIQUE,
  servers INTEGER, vcpus INTEGER, ram_mib INTEGER, volumes INTEGER, volume_gib INTEGER, addresses INTEGER);
CREATE TABLE IF NOT EXISTS retired_projects (project_id TEXT PRIMARY KEY REFERENCES projects);
CREATE TABLE IF NOT EXISTS flavors (
  name TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, vcpus INTEGER NOT NULL, ram_mib INTEGER NOT NULL,
  root_gib INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS flavor_access (
  flavor TEXT NOT NULL REFERENCES flavors, project_id TEXT NOT NULL REFERENCES projects,
  PRIMARY KEY (flavor, project_id));
CREATE TABLE IF NOT EXISTS disabled_hosts (name TEXT PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS groups (
  project_id TEXT NOT NULL REFERENCES projects, name TEXT NOT NULL, strict INTEGER NOT NULL,
  PRIMARY KEY (project_id, name));
CREATE TABLE IF NOT EXISTS images (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, status TEXT NOT NULL,
  min_root_gib INTEGER NOT NULL, min_ram_mib INTEGER NOT NULL, tag TEXT, outcome TEXT, due_us INTEGER);
CREATE TABLE IF NOT EXISTS inventories (
  provider TEXT NOT NULL, kind TEXT NOT NULL, resource TEXT NOT NULL, total INTEGER NOT NULL,
  reserved INTEGER NOT NULL, allocation_ratio REAL NOT NULL, PRIMARY KEY (provider, resource));
CREATE TABLE IF NOT EXISTS servers (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tag TEXT, name TEXT NOT NULL,
  project_id TEXT NOT NULL REFERENCES projects, zone TEXT NOT NULL, image_id TEXT NOT NULL,
  flavor TEXT NOT NULL REFERENCES flavors, other_flavor TEXT REFERENCES flavors,
  status TEXT NOT NULL, resting_status TEXT NOT NULL, task TEXT, outcome TEXT, fault TEXT, due_us INTEGER,
  created_us INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS servers_tag ON servers (tag);
CREATE INDEX IF NOT EXISTS servers_project ON servers (project_id);
CREATE INDEX IF NOT EXISTS servers_due ON servers (due_us) WHERE due_us IS NOT NULL;
CREATE TABLE IF NOT EXISTS allocations (
  server_id TEXT NOT NULL, role TEXT NOT NULL, provider TEXT NOT NULL, vcpus INTEGER NOT NULL,
  ram_mib INTEGER NOT NULL, root_gib INTEGER NOT NULL, PRIMARY KEY (server_id, role));
CREATE INDEX IF NOT EXISTS allocations_provider ON allocations (provider);
CREATE TABLE IF NOT EXISTS volumes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tag TEXT, name TEXT NOT NULL,
  project_id TEXT NOT NULL REFERENCES projects, size_gib INTEGER NOT NULL, status TEXT NOT NULL,
  provider TEXT, server_id TEXT, outcome TEXT, due_us INTEGER, created_us INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS volumes_tag ON volumes (tag);
CREATE INDEX IF NOT EXISTS volumes_project ON volumes (project_id);
CREATE INDEX IF NOT EXISTS volumes_provider ON volumes (provider);
CREATE INDEX IF NOT EXISTS volumes_due ON volumes (due_us) WHERE due_us IS NOT NULL;
CREATE TABLE IF NOT EXISTS addresses (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tag TEXT,
  project_id TEXT NOT NULL REFERENCES projects, number INTEGER NOT NULL UNIQUE, server_id TEXT);
CREATE TABLE IF NOT EXISTS injections (
  id INTEGER PRIMARY KEY AUTOINCREMENT, fault TEXT NOT NULL, operation TEXT, remaining INTEGER,
  seconds REAL NOT NULL);
"""

ADDED = (
    ("flavors", "is_private INTEGER NOT NULL DEFAULT 0"),
    ("servers", "group_name TEXT"),
    ("servers", "key_name TEXT"),
    ("servers", "next_image_id TEXT"),
    ("servers", "root_volume_id TEXT"),
    ("servers", "reboots INTEGER NOT NULL DEFAULT 0"),
    ("volumes", "shown_gib INTEGER"),
)
"""Columns that a region made by an earlier version lacks."""

_of_a_parent_process: list[sqlite3.Connection] = []


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the region is built of; the default carries over four times the sample city with one host lost.

    The root disks, the volume pool and the memory are not overcommitted; a core runs `vcpu_ratio` vCPU,
    Nova's default.
    """

    hosts: int = 16
    host_cores: int = 128
    host_reserved_cores: int = 4
    vcpu_ratio: float = 4.0
    host_ram_mib: int = 1_048_576
    host_reserved_ram_mib: int = 16_384
    host_root_gib: int = 15_360
    pool_gib: int = 1_310_720
    pool_reserved_gib: int = 65_536
    addresses: int = 2_046


class SimulatedStore:
    """Connections to one region's file, lent out one per call; a forked child opens its own."""

    def __init__(self, path: Path, *, sizes: Sizes | None = None) -> None:
        """Open the region at `path`, built with `sizes` if the file is new (else as it was built)."""
        self.path = path
        self._lock = Lock()
        self._idle: list[sqlite3.Connection] = []
        self._owner = os.getpid()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.writing() as db:
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            for table, column in ADDED:
                _add_column(db, table, column)
            if db.execute("SELECT 1 FROM inventories LIMIT 1").fetchone() is None:
                _build(db, sizes or Sizes())
        weakref.finalize(self, _close_all, self._idle)

    def close(self) -> None:
        """Close what is not in use; the store opens again at the next call."""
        with self._lock:
            _close_all(self._idle)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that holds the write lock from its start; durable when this returns."""
        with self._lent() as db:
            yield from _transaction(db, "BEGIN IMMEDIATE")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view; waits for no writer."""
        with self._lent() as db:
            yield from _transaction(db, "BEGIN")

    @contextmanager
    def _lent(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._owner != os.getpid():
                _of_a_parent_process.extend(self._idle)  # SQLite forbids even closing them here
                self._idle.clear()
                self._owner = os.getpid()
            db = self._idle.pop() if self._idle else None
        db = db or _open(self.path)
        try:
            yield db
        finally:
            with self._lock:
                self._idle.append(db)


def _add_column(db: sqlite3.Connection, table: str, column: str) -> None:
    there = [row["name"] for row in db.execute(f"PRAGMA table_info({table})").fetchall()]
    if column.split()[0] not in there:
        db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA foreign_keys=ON")
    return db


def _transaction(db: sqlite3.Connection, begin: str) -> Iterator[sqlite3.Connection]:
    db.execute(begin)
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _close_all(connections: list[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()


def _build(db: sqlite3.Connection, sizes: Sizes) -> None:
    rows: list[tuple[str, str, str, int, int, float]] = []
    for number in range(1, sizes.hosts + 1):
        host = (f"compute-{number:02}", "compute_host")
        rows += [
            (*host, "vcpus", sizes.host_cores, sizes.host_reserved_cores, sizes.vcpu_ratio),
            (*host, "ram_mib", sizes.host_ram_mib, sizes.host_reserved_ram_mib, 1.0),
            (*host, "root_gib", sizes.host_root_gib, 0, 1.0),
        ]
    rows += [
        ("volumes@ssd#pool", "volume_pool", "volume_gib", sizes.pool_gib, sizes.pool_reserved_gib, 1.0),
        ("public", "address_pool", "addresses", sizes.addresses, 0, 1.0),
    ]
    db.executemany("INSERT INTO inventories VALUES (?, ?, ?, ?, ?, ?)", rows)
    db.executemany(
        "INSERT INTO images (id, name, status, min_root_gib, min_ram_mib) VALUES (?, ?, 'active', ?, ?)",
        [
            ("9c1d5b4e-58a5-4c0e-8c55-2b8f0f3a0001", "openEuler-24.03-LTS", 20, 1024),
            ("9c1d5b4e-58a5-4c0e-8c55-2b8f0f3a0002", "Kylin-Server-V10-SP3", 40, 2048),
            ("9c1d5b4e-58a5-4c0e-8c55-2b8f0f3a0003", "Debian-12", 10, 512),
        ],
    )
    db.executemany(
        "INSERT INTO flavors (id, name, vcpus, ram_mib, root_gib) VALUES (?, ?, ?, ?, ?)",
        [
            ("5e0a7c1b-7f0e-4b58-9a3d-6d1c2f4b0001", "g2", 2, 4_096, 40),
            ("5e0a7c1b-7f0e-4b58-9a3d-6d1c2f4b0002", "g4", 4, 8_192, 80),
            ("5e0a7c1b-7f0e-4b58-9a3d-6d1c2f4b0003", "g8", 8, 16_384, 100),
            ("5e0a7c1b-7f0e-4b58-9a3d-6d1c2f4b0004", "g16", 16, 32_768, 200),
        ],
    )
