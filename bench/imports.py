"""The import of the city's 7,285 units, and a second one that finds nothing new, beside plain INSERTs.

The plain way is what any import must do at least: one executemany of the same rows, with their history.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from time import perf_counter

from sqlalchemy import Engine, text

from bench.databases import own_database
from bench.tables import Measured
from identity.data import DIVISIONS
from identity.service.tree import import_tree
from infra.database import open_database, transaction

ROUNDS = 3
AT = datetime(2026, 3, 2, tzinfo=UTC)
TABLES = """
    CREATE TEMPORARY TABLE plain_bureaus (code text PRIMARY KEY, parent text, level text, name text);
    CREATE TEMPORARY TABLE plain_versions (code text, parent text, level text, name text, since timestamptz)
"""


def measure() -> list[Measured]:
    """Each figure is the median of ROUNDS, every round on a database of its own."""
    rows = [_round() for _ in range(ROUNDS)]
    first, again, plain = (median(column) for column in zip(*rows, strict=True))
    shown = [
        ("first import", f"{first:.2f}", f"{first / plain:.1f}"),
        ("second import, nothing new", f"{again:.2f}", f"{again / plain:.1f}"),
        ("plain INSERTs", f"{plain:.2f}", "1.0"),
    ]
    title = "the import of 7,285 units beside plain INSERTs of the same rows"
    return [Measured(title, ("what", "seconds", "of plain"), shown, [])]


def _round() -> tuple[float, float, float]:
    raw = DIVISIONS.read_bytes()
    with own_database() as url:
        engine = open_database(url)
        try:
            first = _seconds(lambda: _import(engine, raw))
            again = _seconds(lambda: _import(engine, raw))
            return first, again, _seconds(lambda: _insert(engine, raw))
        finally:
            engine.dispose()


def _seconds(act: Callable[[], None]) -> float:
    began = perf_counter()
    act()
    return perf_counter() - began


def _import(engine: Engine, raw: bytes) -> None:
    with transaction(engine) as session:
        import_tree(session, raw=raw, at=AT, actor="bench")


def _insert(engine: Engine, raw: bytes) -> None:
    lines = raw.decode().splitlines()[1:]
    rows = [dict(zip(("code", "parent", "level", "name"), line.split(","), strict=True)) for line in lines]
    with engine.begin() as connection:
        connection.exec_driver_sql(TABLES)
        connection.execute(text("INSERT INTO plain_bureaus VALUES (:code, :parent, :level, :name)"), rows)
        connection.execute(
            text("INSERT INTO plain_versions VALUES (:code, :parent, :level, :name, now())"), rows
        )
