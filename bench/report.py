"""The capacity report at 1, 10 and 100 times the phase-1 fleet, beside the plain SQL GROUP BY of its data.

Each figure is the median of ROUNDS, the two taken in turns in one run; the ratio is the report over the SQL.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, TextClause, insert, text
from sqlalchemy.orm import Session

from bench.databases import own_database
from bench.tables import Goal, Measured
from identity.models import Bureau, System
from identity.phase1 import Phase1Group, read_phase1
from infra.database import open_database, reading, transaction
from metrics.capacity import Breakdown, report_capacity
from provisioning.models import Allocation
from provisioning.quota import DIMENSIONS, Inventory, Limits, Resources
from provisioning.service.grants import grant_quota, set_root_grant
from provisioning.service.regions import open_region, record_inventory

ROUNDS = 5
BOUND = 2.0
TIMES = (1, 10, 100)
REGION = "baoding"
AT = datetime(2026, 3, 2, tzinfo=UTC)
GROUPED: dict[Breakdown, str] = {
    "region": "a.region",
    "level": "a.region, b.level",
    "bureau": "a.region, b.code",
    "system": "a.region, b.code, s.code",
}
SUMS = ", ".join(f"sum((a.amounts ->> '{d.key}')::bigint)" for d in DIMENSIONS)
FLYING = ", ".join(
    f"sum((a.amounts ->> '{d.key}')::bigint) FILTER (WHERE a.state = 'claimed')" for d in DIMENSIONS
)

PLAIN = """
    SELECT {keys}, {sums}, {flying}
    FROM allocations a JOIN bureaus b ON b.id = a.bureau_id JOIN systems s ON s.id = a.system_id
    WHERE a.valid_to IS NULL GROUP BY {keys}
"""


@dataclass(frozen=True)
class Line:
    """One breakdown at one size of the fleet."""

    by: Breakdown
    times: int
    allocations: int
    report_ms: float
    sql_ms: float

    def cells(self) -> tuple[object, ...]:
        """As shown."""
        shown = (f"{self.report_ms:.1f}", f"{self.sql_ms:.1f}", f"{self.report_ms / self.sql_ms:.2f}")
        return (self.by, self.times, self.allocations, *shown)


def measure() -> list[Measured]:
    """Build the fleets in a database of its own, measure, and drop it."""
    with own_database() as url:
        engine = open_database(url)
        lines = [
            line
            for times, allocations in build_fleets(engine)
            for line in measure_fleet(engine, times=times, allocations=allocations)
        ]
        engine.dispose()
    worst = max(line.report_ms / line.sql_ms for line in lines if line.times == TIMES[-1])
    return [
        Measured(
            "the capacity report beside the plain SQL GROUP BY of the same data",
            ("by", "phase-1 fleets", "allocations", "report ms", "SQL ms", "report / SQL"),
            [line.cells() for line in lines],
            [Goal(f"report / SQL at {TIMES[-1]} fleets, the worst", worst, BOUND, at_least=False)],
        )
    ]


def build_fleets(engine: Engine) -> Iterator[tuple[int, int]]:
    """Grow the fleet in place to each of TIMES; yields the factor and how many allocations are open."""
    groups = read_phase1()
    with transaction(engine) as session:
        places = _build_tree(session, groups)
    there = 0
    for times in TIMES:
        rows = [row for copy in range(there, times) for row in _allocations(groups, places, copy)]
        with transaction(engine) as session:
            session.execute(insert(Allocation), rows)
        there = times
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
            yield times, connection.execute(text("SELECT count(*) FROM allocations")).scalar_one()


def measure_fleet(engine: Engine, *, times: int, allocations: int) -> Iterator[Line]:
    """One line a breakdown: report and SQL in milliseconds."""
    for by, keys in GROUPED.items():
        query = text(PLAIN.format(keys=keys, sums=SUMS, flying=FLYING))

        def plain(query: TextClause = query) -> object:
            with reading(engine) as session:
                return session.execute(query).all()

        def full(by: Breakdown = by) -> object:
            with reading(engine) as session:
                return report_capacity(session, by=by)

        ours, theirs = _medians_ms(full, plain)
        yield Line(by, times, allocations, ours, theirs)


def _medians_ms(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, times in zip((one, other), taken, strict=True):
            begin = perf_counter()
            call()
            times.append((perf_counter() - begin) * 1000)
    return median(taken[0]), median(taken[1])


def _build_tree(session: Session, groups: tuple[Phase1Group, ...]) -> dict[tuple[str, str], tuple[int, int]]:
    city = Bureau(code="1306", name="保定市", level="city")
    session.add(city)
    session.flush()
    open_region(session, name=REGION, at=AT, actor="bench")
    stock = [Inventory(d.key, "p", 10**9, 0, 1.0) for d in DIMENSIONS if d.source]
    record_inventory(session, region=REGION, inventories=stock, at=AT)
    everything = Limits.parse({d.key: 10**9 if d.source else None for d in DIMENSIONS})
    common: dict[str, Any] = {"region": REGION, "at": AT, "actor": "bench"}
    set_root_grant(session, bureau_id=city.id, limit=everything, **common)
    bureaus: dict[str, Bureau] = {}
    places: dict[tuple[str, str], tuple[int, int]] = {}
    for group in groups:
        if group.bureau_code not in bureaus:
            bureau = Bureau(
                code=group.bureau_code, name=group.bureau_name, level=group.level, parent_id=city.id
            )
            session.add(bureau)
            session.flush()
            bureaus[group.bureau_code] = bureau
            share = Limits.parse({d.key: 10**6 if d.source else None for d in DIMENSIONS})
            grant_quota(session, bureau_id=bureau.id, limit=share, **common)
        key = (group.bureau_code, group.system)
        if key not in places:
            system = System(
                code=f"sys-{len(places)}", name=group.system, bureau_id=bureaus[group.bureau_code].id,
                mlps_grade=group.mlps_grade, zone="extranet", created_at=AT,
            )  # fmt: skip
            session.add(system)
            session.flush()
            places[key] = (system.bureau_id, system.id)
    return places


def _allocations(
    groups: tuple[Phase1Group, ...], places: dict[tuple[str, str], tuple[int, int]], copy: int
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for number, group in enumerate(groups):
        bureau_id, system_id = places[group.bureau_code, group.system]
        server = Resources.of(servers=1, vcpus=group.vcpus, ram_mib=group.ram_mib, root_gib=group.root_gib)
        held = [server, *([Resources.of(volumes=1, volume_gib=group.volume_gib)] if group.volume_gib else [])]
        rows.extend(
            {
                "key": f"{copy}-{number}-{one}-{part}",
                "bureau_id": bureau_id,
                "region": REGION,
                "system_id": system_id,
                "amounts": amounts,
                "state": "claimed" if one % 9 == 0 else "settled",
                "valid_from": AT,
            }
            for one in range(group.count)
            for part, amounts in enumerate(held)
        )
    return rows
