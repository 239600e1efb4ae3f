"""A fleet with everything that a capacity report has to count, and the independent recounts in SQL."""

import random
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Engine, text

from identity.models import Bureau
from identity.queries import get_bureau
from infra.database import reading, transaction
from metrics.capacity import Breakdown, report_capacity
from provisioning.quota import DIMENSIONS, Inventory, Limits, Resources
from provisioning.service.claims import begin_release_all, claim, release, resize, settle
from provisioning.service.grants import grant_quota, set_mode, set_root_grant
from provisioning.service.regions import open_region, record_inventory
from tests.factories import make_bureau, make_system

REGIONS = ("baoding", "xiongan")
ACTOR = "person:1"
ODD_NAMES = (
    "=cmd|' /C calc'!A0",
    "𠮷野局",
    "+86",
    "-1",
    "@SUM(A1)",
    "\t制表",
    "[red]局[/red]",
    '引"号,\r\n行',
)
BREAKDOWNS: tuple[Breakdown, ...] = ("region", "level", "bureau", "system")

GROUND = """
    WITH RECURSIVE part (dimension, key) AS (VALUES
        ('servers', 'servers'), ('vcpus', 'vcpus'), ('ram_mib', 'ram_mib'), ('root_gib', 'root_gib'),
        ('volume_gib', 'volume_gib'), ('volumes', 'volumes'), ('addresses', 'addresses'),
        ('storage', 'root_gib'), ('storage', 'volume_gib')
    ),
    held AS (
        SELECT a.region, a.bureau_id, a.system_id, a.state, p.dimension, p.key,
               coalesce((a.amounts ->> p.key)::bigint, 0) AS amount
        FROM allocations a CROSS JOIN part p WHERE a.valid_to IS NULL
    ),
    given AS (
        SELECT g.region, g.bureau_id, g.mode, b.level, b.parent_id, above.level AS level_above,
               p.dimension, p.key, coalesce(jsonb_typeof(g.limits -> p.key), '') = 'null' AS is_unlimited,
               coalesce((g.limits ->> p.key)::bigint, 0) AS amount
        FROM grants g JOIN bureaus b ON b.id = g.bureau_id LEFT JOIN bureaus above ON above.id = b.parent_id
        CROSS JOIN part p WHERE g.valid_to IS NULL
    ),
    above (bureau_id, above_id, level) AS (
        SELECT id, id, level FROM bureaus
        UNION
        SELECT below.bureau_id, up.id, up.level FROM above below
        JOIN bureaus it ON it.id = below.above_id JOIN bureaus up ON up.id = it.parent_id
    )
"""
RECOUNTS: dict[Breakdown, str] = {
    "region": """,
    usable AS (
        SELECT i.*, floor((i.total - i.reserved) * i.ratio::numeric) AS share FROM region_inventories i
    ),
    stock AS (
        SELECT r.name, p.dimension, p.key, sum(u.total) AS total, sum(u.reserved) AS reserved,
               sum((u.total - u.reserved) * u.ratio::numeric) AS stretched,
               CASE WHEN p.key NOT IN ('servers', 'volumes') THEN coalesce(sum(u.share), 0) - CASE
                   WHEN r.reserve_largest_host AND p.key IN ('vcpus', 'ram_mib', 'root_gib')
                   THEN coalesce(max(u.share), 0) ELSE 0 END END AS capacity
        FROM regions r CROSS JOIN part p LEFT JOIN usable u ON u.region = r.name AND u.dimension = p.key
        GROUP BY r.name, r.reserve_largest_host, p.dimension, p.key
    ),
    sums AS (
        SELECT name AS region, dimension,
               CASE WHEN count(total) = count(*) THEN sum(total) END AS total,
               CASE WHEN count(reserved) = count(*) THEN sum(reserved) END AS reserved,
               CASE WHEN count(total) = count(*) THEN sum(stretched) / sum(total - reserved) END AS ratio,
               CASE WHEN count(capacity) = count(*) THEN sum(capacity) END AS capacity
        FROM stock GROUP BY name, dimension
    )
    SELECT s.region, s.dimension, total, reserved, ratio, capacity,
           (SELECT CASE WHEN NOT coalesce(bool_or(is_unlimited), false) THEN coalesce(sum(amount), 0) END
            FROM given g
            WHERE g.parent_id IS NULL AND (g.region, g.dimension) = (s.region, s.dimension)) AS granted,
           (SELECT coalesce(sum(amount), 0) FROM held h
            WHERE (h.region, h.dimension) = (s.region, s.dimension)) AS used,
           (SELECT coalesce(sum(amount), 0) FROM held h WHERE state = 'claimed'
            AND (h.region, h.dimension) = (s.region, s.dimension)) AS in_flight,
           capacity - (SELECT coalesce(sum(amount), 0) FROM held h
            WHERE (h.region, h.dimension) = (s.region, s.dimension)) AS headroom
    FROM sums s""",
    "level": """,
    place AS (
        SELECT r.name AS region, l.level, d.dimension FROM regions r
        CROSS JOIN (VALUES ('city'), ('county'), ('township'), ('village')) l (level)
        CROSS JOIN (SELECT DISTINCT dimension FROM part) d
    ),
    figures AS (
        SELECT p.*,
               (SELECT CASE WHEN NOT coalesce(bool_or(is_unlimited), false) THEN coalesce(sum(amount), 0) END
                FROM given g WHERE g.level = p.level AND g.level_above IS DISTINCT FROM g.level
                AND (g.region, g.dimension) = (p.region, p.dimension)) AS granted,
               (SELECT coalesce(sum(amount), 0) FROM held h JOIN bureaus b ON b.id = h.bureau_id
                WHERE b.level = p.level AND (h.region, h.dimension) = (p.region, p.dimension)) AS used,
               (SELECT coalesce(sum(amount), 0) FROM held h JOIN bureaus b ON b.id = h.bureau_id
                WHERE h.state = 'claimed' AND b.level = p.level
                AND (h.region, h.dimension) = (p.region, p.dimension)) AS in_flight,
               (SELECT coalesce(sum(amount), 0) FROM held h WHERE (h.region, h.dimension)
                = (p.region, p.dimension) AND EXISTS (SELECT FROM above a
                WHERE a.bureau_id = h.bureau_id AND a.level = p.level)) AS within
        FROM place p
    )
    SELECT region, level, dimension, granted, used, in_flight, within - used AS below,
           granted - within AS headroom
    FROM figures""",
    "bureau": """,
    account AS (
        SELECT g.*,
               (SELECT coalesce(sum(amount), 0) FROM held h
                WHERE (h.bureau_id, h.region, h.dimension, h.key)
                = (g.bureau_id, g.region, g.dimension, g.key)) AS own,
               (SELECT coalesce(sum(amount), 0) FROM held h WHERE h.state = 'claimed'
                AND (h.bureau_id, h.region, h.dimension, h.key)
                = (g.bureau_id, g.region, g.dimension, g.key)) AS flying,
               (SELECT coalesce(sum(amount), 0) FROM given child
                WHERE (child.parent_id, child.region, child.dimension, child.key)
                = (g.bureau_id, g.region, g.dimension, g.key)) AS carved,
               (SELECT coalesce(bool_or(child.is_unlimited), false) FROM given child
                WHERE (child.parent_id, child.region, child.dimension, child.key)
                = (g.bureau_id, g.region, g.dimension, g.key)) AS carves_all,
               (SELECT coalesce(sum(amount), 0) FROM held h JOIN above a ON a.bureau_id = h.bureau_id
                WHERE (a.above_id, h.region, h.dimension, h.key)
                = (g.bureau_id, g.region, g.dimension, g.key)) AS pooled
        FROM given g
    )
    SELECT a.region, b.code AS bureau_code, a.dimension,
           CASE WHEN NOT bool_or(is_unlimited) THEN sum(amount) END AS granted,
           sum(own) AS used, sum(flying) AS in_flight,
           CASE WHEN bool_and(mode = 'shared' OR NOT carves_all) THEN
               sum(CASE WHEN mode = 'shared' THEN pooled - own ELSE carved END) END AS below,
           CASE WHEN NOT bool_or(is_unlimited) THEN
               sum(amount - CASE WHEN mode = 'shared' THEN pooled ELSE own + carved END) END AS headroom
    FROM account a JOIN bureaus b ON b.id = a.bureau_id GROUP BY a.region, b.code, a.dimension""",
    "system": """
    SELECT h.region, b.code AS bureau_code, s.code AS system_code, dimension, sum(amount) AS used,
           coalesce(sum(amount) FILTER (WHERE state = 'claimed'), 0)::bigint AS in_flight
    FROM held h JOIN bureaus b ON b.id = h.bureau_id JOIN systems s ON s.id = h.system_id
    GROUP BY h.region, b.code, s.code, dimension""",
}
PART = """,
    part_of AS (SELECT bureau_id FROM above JOIN bureaus top ON top.id = above_id WHERE top.code = :top),
    held_here AS (SELECT * FROM held WHERE bureau_id IN (SELECT bureau_id FROM part_of)),
    given_here AS (
        SELECT g.*, b.code = :top AS is_top FROM given g JOIN bureaus b ON b.id = g.bureau_id
        WHERE g.bureau_id IN (SELECT bureau_id FROM part_of)
    )
"""
RECOUNTS_OF_A_PART: dict[Breakdown, str] = {
    "region": """,
    figures AS (
        SELECT r.name AS region, d.dimension,
               (SELECT CASE WHEN NOT coalesce(bool_or(is_unlimited), false) THEN coalesce(sum(amount), 0) END
                FROM given_here g
                WHERE is_top AND (g.region, g.dimension) = (r.name, d.dimension)) AS granted,
               (SELECT coalesce(sum(amount), 0) FROM held_here h
                WHERE (h.region, h.dimension) = (r.name, d.dimension)) AS used,
               (SELECT coalesce(sum(amount), 0) FROM held_here h WHERE h.state = 'claimed'
                AND (h.region, h.dimension) = (r.name, d.dimension)) AS in_flight
        FROM regions r CROSS JOIN (SELECT DISTINCT dimension FROM part) d
    )
    SELECT *, granted - used AS headroom FROM figures""",
    "level": """,
    place AS (
        SELECT r.name AS region, l.level, d.dimension FROM regions r CROSS JOIN (
            SELECT DISTINCT level FROM bureaus WHERE id IN (SELECT bureau_id FROM part_of)
        ) l CROSS JOIN (SELECT DISTINCT dimension FROM part) d
    ),
    figures AS (
        SELECT p.*,
               (SELECT CASE WHEN NOT coalesce(bool_or(is_unlimited), false) THEN coalesce(sum(amount), 0) END
                FROM given_here g WHERE g.level = p.level AND (is_top OR g.level_above <> g.level)
                AND (g.region, g.dimension) = (p.region, p.dimension)) AS granted,
               (SELECT coalesce(sum(amount), 0) FROM held_here h JOIN bureaus b ON b.id = h.bureau_id
                WHERE b.level = p.level AND (h.region, h.dimension) = (p.region, p.dimension)) AS used,
               (SELECT coalesce(sum(amount), 0) FROM held_here h JOIN bureaus b ON b.id = h.bureau_id
                WHERE h.state = 'claimed' AND b.level = p.level
                AND (h.region, h.dimension) = (p.region, p.dimension)) AS in_flight,
               (SELECT coalesce(sum(amount), 0) FROM held_here h WHERE (h.region, h.dimension)
                = (p.region, p.dimension) AND EXISTS (SELECT FROM above a
                WHERE a.bureau_id = h.bureau_id AND a.level = p.level
                AND a.above_id IN (SELECT bureau_id FROM part_of))) AS within
        FROM place p
    )
    SELECT region, level, dimension, granted, used, in_flight, within - used AS below,
           granted - within AS headroom
    FROM figures""",
}
FIGURES = ("total", "reserved", "ratio", "capacity", "granted", "used", "in_flight", "below", "headroom")


def build_fleet(engine: Engine, *, seed: int, at: datetime) -> None:
    """A tree of all levels, grants with and without bounds, and servers in every state, in two regions."""
    dice = random.Random(seed)
    with transaction(engine) as session:
        units = [make_bureau(session, code="1", name="市")]
        units.append(
            make_bureau(session, parent=units[0], code="1-F", name=dice.choice(ODD_NAMES), level="city")
        )
        for number in range(1, 4):
            units.append(make_bureau(session, parent=units[0], code=f"1{number}", name=ODD_NAMES[number]))
            units.append(make_bureau(session, parent=units[-1], code=f"1{number}1", name=f"镇{number}"))
        systems = [
            make_system(session, unit, code=f"s{n}-{unit.code}", name=dice.choice(ODD_NAMES))
            for unit in units
            for n in range(2)
        ]
        owners = {system.id: unit for unit in units for system in systems if system.bureau_id == unit.id}
        for name in REGIONS:
            open_region(session, name=name, at=at, actor=ACTOR, reserve_largest_host=dice.random() < 0.5)
            inventories = [
                Inventory(d.key, f"p{n}", dice.randint(90_000, 99_999), dice.randint(0, 999), ratio)
                for d in DIMENSIONS
                if d.source
                for n, ratio in enumerate((1.0, 1.5, 0.3))
            ]
            record_inventory(session, region=name, inventories=inventories, at=at)
            open_tree(session, units, region=name, dice=dice, at=at)
    for number in range(40):
        system = dice.choice(systems)
        act_at_random(engine, dice, f"k{number}", system.id, owners[system.id].id, at)


def open_tree(session: Any, units: list[Bureau], *, region: str, dice: random.Random, at: datetime) -> None:
    common: dict[str, Any] = {"region": region, "at": at, "actor": ACTOR}
    everything = Limits.of(
        servers=None, volumes=None, vcpus=50_000, ram_mib=50_000, root_gib=50_000, volume_gib=50_000
    )
    set_root_grant(session, bureau_id=units[0].id, limit=everything, **common)
    for unit in units[1:]:
        share = 9_000 if unit.parent_id == units[0].id else 4_000
        bounds: dict[str, int | None] = {
            key: dice.randint(share // 2, share) for key in ("vcpus", "ram_mib", "root_gib", "volume_gib")
        }
        limit = Limits.of(**bounds, servers=None, volumes=dice.choice([900, 50]) if share < 9_000 else None)
        grant_quota(session, bureau_id=unit.id, limit=limit, **common)
    for unit in units[2::4]:
        set_mode(session, bureau_id=unit.id, mode="shared", **common)


def act_at_random(
    engine: Engine, dice: random.Random, key: str, system: int, bureau: int, at: datetime
) -> None:
    def some() -> Resources:
        return Resources.of(
            servers=1, vcpus=dice.randint(1, 64), ram_mib=dice.randint(0, 300), root_gib=dice.randint(0, 99)
        ) + Resources.of(volumes=1, volume_gib=dice.randint(1, 500))

    region, asked, larger, fate = dice.choice(REGIONS), some(), some(), dice.randrange(5)
    common: dict[str, Any] = {"key": key, "at": at, "actor": ACTOR}
    with transaction(engine) as session:
        claim(session, region=region, bureau_id=bureau, system_id=system, amounts=asked, **common)
        if fate:
            settle(session, **common)
        if fate == 2:
            resize(session, amounts=larger, **common)
        if fate >= 3:
            begin_release_all(session, keys=[key], at=at, actor=ACTOR)
        if fate == 4:
            release(session, **common)


def read_report(engine: Engine, by: Breakdown, **kwargs: Any) -> pd.DataFrame:
    with reading(engine) as session:
        return report_capacity(session, by=by, **kwargs)


def recounted(
    engine: Engine, by: Breakdown, *, top: str | None = None
) -> dict[tuple[Any, ...], dict[str, float | None]]:
    query = GROUND + (RECOUNTS[by] if top is None else PART + RECOUNTS_OF_A_PART[by])
    with engine.connect() as connection:
        rows = connection.execute(text(query), {} if top is None else {"top": top}).mappings().all()
    return {
        tuple(value for name, value in row.items() if name not in FIGURES): {
            name: _counted(name, row[name]) for name in row if name in FIGURES
        }
        for row in rows
    }


def as_figures(report: pd.DataFrame) -> dict[tuple[Any, ...], dict[str, float | None]]:
    names = ("region", "level", "bureau_code", "system_code", "dimension")
    by_level = "bureau_code" not in report
    keys = [name for name in names if name in report and (by_level or name != "level")]
    found = {}
    for row in report.to_dict("records"):
        figures = {name: None if pd.isna(row[name]) else row[name] for name in FIGURES if name in row}
        kinds = {name: float if name == "ratio" else int for name in FIGURES}
        assert all(value is None or type(value) is kinds[name] for name, value in figures.items()), figures
        found[tuple(row[key] for key in keys)] = figures
    assert len(found) == len(report)
    return found


def id_of(engine: Engine, code: str) -> int:
    with reading(engine) as session:
        return get_bureau(session, code=code).id


def _counted(name: str, value: Any) -> float | None:
    if value is None:
        return None
    return round(float(value), 2) if name == "ratio" else int(value)
