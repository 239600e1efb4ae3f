"""Claims on PostgreSQL: many clients beside the naive way that locks the root, and the cost in a large tree.

Naive: the same claim behind a lock on the root's account, which is how one counter for a whole city behaves.
"""

import statistics
import time
import uuid
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from multiprocessing import get_context
from threading import Barrier
from typing import Any

from sqlalchemy import Engine, insert, text

from bench.databases import own_database
from bench.tables import Goal, Measured
from identity.models import Bureau, System
from infra.database import open_database, transaction
from provisioning.models import Grant, QuotaAccount
from provisioning.quota import Limits, Resources
from provisioning.service.accounts import lock_account
from provisioning.service.claims import claim
from provisioning.service.regions import open_region

AT = datetime(2026, 3, 2, 1, tzinfo=UTC)
REGION = "bench"
CLIENTS = (1, 4, 16)
PROCESSES = 4
"""Clients are threads of up to so many processes, as those of portals and workers are."""
SECONDS, ROUNDS = 2.0, 3
COUNTIES, TOWNS, VILLAGES = 24, 15, 19
"""24 counties of 15 townships of 19 villages: 1 + 24 + 360 + 6,840 = 7,225 units, filled up to 7,285."""
CITY_UNITS = 7285
SMALL_UNITS = 10
COST_CLAIMS, COST_ROUNDS = 150, 7

Order = tuple[int, int]
"""A bureau's id and its system's."""


@dataclass(frozen=True)
class City:
    """A tree of reserved bureaus, all granted, and where to claim at its deepest level."""

    url: str
    root: int
    deepest: list[Order]


def measure() -> list[Measured]:
    """Throughput by clients, and the cost of one claim by the size of the tree."""
    with own_database() as small, own_database() as large:
        few, many = build(small, units=SMALL_UNITS), build(large, units=CITY_UNITS)
        return [throughput(many), cost(few, many)]


def throughput(city: City) -> Measured:
    """Claims a second at different bureaus by 1, 4 and 16 clients, both ways in turn; medians."""
    rows, ratios = [], {}
    spawn = get_context("spawn")
    with spawn.Manager() as manager, ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:
        for clients in CLIENTS:
            processes = min(clients, PROCESSES)
            shares = [city.deepest[:clients][one::processes] for one in range(processes)]
            rates: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(ROUNDS):
                for naive, measured in rates.items():
                    start = manager.Barrier(processes)
                    jobs = [
                        pool.submit(claim_all_for, city.url, share, city.root, naive, start)
                        for share in shares
                    ]
                    measured.append(sum(job.result() for job in jobs) / SECONDS)
            ours, root_locked = (statistics.median(measured) for measured in rates.values())
            ratios[clients] = ours / root_locked
            rows.append((clients, f"{ours:.0f}", f"{root_locked:.0f}", f"{ratios[clients]:.2f}"))
    return Measured(
        f"Claims a second in a tree of {CITY_UNITS} units, each client at a bureau of its own",
        ("clients", "claims/s", "root locked", "ratio"),
        rows,
        [Goal("16 clients beside the naive way", ratios[16], 2.0, at_least=True)],
    )


def cost(few: City, many: City) -> Measured:
    """The time of one claim at depth 4, one client, in the small and the large tree in turn; medians."""
    took: dict[int, list[float]] = {SMALL_UNITS: [], CITY_UNITS: []}
    engines = {SMALL_UNITS: open_database(few.url), CITY_UNITS: open_database(many.url)}
    for _ in range(COST_ROUNDS):
        for units, city in ((SMALL_UNITS, few), (CITY_UNITS, many)):
            took[units].append(_median_claim_s(engines[units], city))
    for engine in engines.values():
        engine.dispose()
    medians = {units: statistics.median(seconds) for units, seconds in took.items()}
    ratio = medians[CITY_UNITS] / medians[SMALL_UNITS]
    return Measured(
        "One claim at depth 4, nothing else going on",
        ("units", "ms a claim", "ratio"),
        [
            (units, f"{seconds * 1000:.2f}", f"{seconds / medians[SMALL_UNITS]:.2f}")
            for units, seconds in medians.items()
        ],
        [Goal(f"a tree of {CITY_UNITS} beside one of {SMALL_UNITS}", ratio, 1.2, at_least=False)],
    )


def build(url: str, *, units: int) -> City:
    """A city of `units` units on four levels, every one granted, with systems at sixteen of the deepest."""
    engine = open_database(url)
    parents = _parents(units)
    depth: dict[int, int] = {}
    for unit, parent in parents.items():
        depth[unit] = 1 if parent is None else depth[parent] + 1
    levels = ("city", "county", "township", "village")
    room = {"limit": Limits.unlimited(), "charged": Limits.unlimited(), "mode": "reserved", "frozen": None}
    carving = {parent for parent in parents.values() if parent is not None}
    with transaction(engine) as session:
        open_region(session, name=REGION, at=AT, actor="bench")
        session.execute(
            insert(Bureau),
            [
                {
                    "id": unit,
                    "code": f"u{unit}",
                    "name": f"单位{unit}",
                    "level": levels[depth[unit] - 1],
                    "parent_id": parent,
                }
                for unit, parent in parents.items()
            ],
        )
        session.execute(
            insert(QuotaAccount),
            [
                {
                    "bureau_id": unit,
                    "region": REGION,
                    "used": Resources(),
                    "pooled_used": Resources(),
                    "carved": Limits.unlimited() if unit in carving else Limits(),
                    **room,
                }
                for unit in parents
            ],
        )
        session.execute(
            insert(Grant),
            [
                {"bureau_id": unit, "region": REGION, "valid_from": AT, "actor": "bench", **room}
                for unit in parents
            ],
        )
        deepest = [unit for unit in parents if depth[unit] == 4]
        step = max(1, len(deepest) // max(CLIENTS))
        chosen = deepest[::step][: max(CLIENTS)]
        session.execute(
            insert(System),
            [
                {
                    "id": unit,
                    "code": f"s{unit}",
                    "name": "系统",
                    "bureau_id": unit,
                    "mlps_grade": 2,
                    "zone": "extranet",
                    "created_at": AT,
                }
                for unit in chosen
            ],
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()
    return City(url, 1, [(unit, unit) for unit in chosen])


def claim_all_for(url: str, orders: list[Order], root: int, naive: bool, start: Any) -> int:
    """One process: a client for each of `orders`; how many claims were granted. `start`: all processes."""
    together = Barrier(len(orders), action=start.wait)
    with ThreadPoolExecutor(len(orders)) as clients:
        return sum(clients.map(lambda order: claim_for(url, order, root, naive, together), orders))


def claim_for(url: str, order: Order, root: int, naive: bool, start: Barrier) -> int:
    """One client: claim at `order` until time is up; how many were granted."""
    engine = open_database(url, pool_size=1)
    _claim(engine, order, root if naive else None)
    start.wait()
    done, until = 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        _claim(engine, order, root if naive else None)
        done += 1
    engine.dispose()
    return done


def _claim(engine: Engine, order: Order, locked_root: int | None) -> None:
    bureau_id, system_id = order
    with transaction(engine) as session:
        if locked_root is not None:
            lock_account(session, region=REGION, bureau_id=locked_root)
        claim(
            session,
            region=REGION,
            bureau_id=bureau_id,
            system_id=system_id,
            key=uuid.uuid4().hex,
            amounts=Resources.of(servers=1, vcpus=2, ram_mib=4096, root_gib=40),
            at=AT,
            actor="bench",
        )


def _median_claim_s(engine: Engine, city: City) -> float:
    took = []
    for number in range(COST_CLAIMS):
        begun = time.perf_counter()
        _claim(engine, city.deepest[number % len(city.deepest)], None)
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def _parents(units: int) -> dict[int, int | None]:
    """Unit → parent, parents first: four levels, each parent filled in turn, until there are `units`."""
    parents: dict[int, int | None] = {1: None}
    numbers = count(2)
    if units == SMALL_UNITS:
        return parents | {2: 1, 3: 2, 4: 3, 5: 3, 6: 3, 7: 3, 8: 3, 9: 3, 10: 3}
    counties = [next(numbers) for _ in range(COUNTIES)]
    parents |= dict.fromkeys(counties, 1)
    towns = {next(numbers): county for county in counties for _ in range(TOWNS)}
    parents |= towns
    villages = {next(numbers): town for town in towns for _ in range(VILLAGES)}
    parents |= villages
    extra = units - len(parents)
    return parents | {next(numbers): town for town, _ in zip(towns, range(extra), strict=False)}
