"""The simulated region's Keystone, quotas, images and inventory."""

import sqlite3
from collections.abc import Collection
from itertools import groupby
from uuid import uuid4

from provisioning.cloud.driver import OverQuota
from provisioning.cloud.labels import find_project_fault
from provisioning.cloud.observed import (
    SERVICES,
    Held,
    Image,
    ImageStatus,
    Project,
    Provider,
    ProviderKind,
)
from provisioning.cloud.simulated.step import Step
from provisioning.quota import Inventory, Limits, Resources, capacity

NEW_PROJECT = Limits.of(servers=10, vcpus=20, ram_mib=51_200, volumes=10, volume_gib=1_000, addresses=50)
"""What OpenStack gives a project for which nobody has set a quota."""
QUOTA = ("servers", "vcpus", "ram_mib", "volumes", "volume_gib", "addresses")

USED = """
SELECT
  (SELECT count(*) FROM servers WHERE project_id = :id) AS servers,
  (SELECT coalesce(sum(max(f.vcpus, coalesce(o.vcpus, 0))), 0)
     FROM servers s JOIN flavors f ON f.name = s.flavor LEFT JOIN flavors o ON o.name = s.other_flavor
     WHERE s.project_id = :id) AS vcpus,
  (SELECT coalesce(sum(max(f.ram_mib, coalesce(o.ram_mib, 0))), 0)
     FROM servers s JOIN flavors f ON f.name = s.flavor LEFT JOIN flavors o ON o.name = s.other_flavor
     WHERE s.project_id = :id) AS ram_mib,
  (SELECT count(*) FROM volumes WHERE project_id = :id) AS volumes,
  (SELECT coalesce(sum(size_gib), 0) FROM volumes WHERE project_id = :id) AS volume_gib,
  (SELECT count(*) FROM addresses WHERE project_id = :id) AS addresses
"""

INVENTORY = """
SELECT i.*, CASE i.resource
  WHEN 'vcpus' THEN (SELECT coalesce(sum(vcpus), 0) FROM allocations a WHERE a.provider = i.provider)
  WHEN 'ram_mib' THEN (SELECT coalesce(sum(ram_mib), 0) FROM allocations a WHERE a.provider = i.provider)
  WHEN 'root_gib' THEN (SELECT coalesce(sum(root_gib), 0) FROM allocations a WHERE a.provider = i.provider)
  WHEN 'volume_gib' THEN (SELECT coalesce(sum(size_gib), 0) FROM volumes v WHERE v.provider = i.provider)
  ELSE (SELECT count(*) FROM addresses) END AS used
FROM inventories i ORDER BY i.kind, i.provider, i.resource
"""


def ensure_project(step: Step, bureau_code: str, name: str, description: str) -> str:
    """Find by the bureau's code, make or bring up to date."""
    if fault := find_project_fault(name=name, bureau_code=bureau_code, description=description):
        raise step.refused(*fault)
    holder = step.one("SELECT 1 FROM projects WHERE name = ? AND bureau_code IS NOT ?", name, bureau_code)
    if holder is not None:
        raise step.conflict(f"项目名 {name} 已被占用", f"another project has the name {name}")
    step.db.execute(
        "INSERT INTO projects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (bureau_code) DO UPDATE"
        " SET name = excluded.name, description = excluded.description",
        (uuid4().hex, name, description, bureau_code, *(NEW_PROJECT[key] for key in QUOTA)),
    )
    found = step.db.execute("SELECT id FROM projects WHERE bureau_code = ?", (bureau_code,)).fetchone()
    set_retired(step, found["id"], retired=False)
    return str(found["id"])


def set_retired(step: Step, project_id: str, *, retired: bool) -> None:
    """Let nothing new be made in it, or again."""
    get_quota(step, project_id)
    change = "INSERT OR IGNORE INTO retired_projects VALUES (?)"
    step.db.execute(change if retired else "DELETE FROM retired_projects WHERE project_id = ?", (project_id,))


def list_projects(db: sqlite3.Connection, *, with_others: bool) -> list[Project]:
    """The bureaus' projects, or all, by name."""
    rows = db.execute(
        "SELECT id, name, description, coalesce(bureau_code, '') AS bureau_code,"
        " project_id IS NOT NULL AS retired FROM projects LEFT JOIN retired_projects ON project_id = id"
        " WHERE ? OR bureau_code IS NOT NULL ORDER BY name",
        (with_others,),
    )
    return [Project(**{**row, "retired": bool(row["retired"])}) for row in map(dict, rows)]


def adopt_project(step: Step, project_id: str, bureau_code: str | None) -> None:
    """Give it to the bureau; of nobody, Siji may work in it anyway."""
    found = step.one("SELECT * FROM projects WHERE id = ?", project_id)
    if found is None:
        raise step.missing("project", project_id)
    if bureau_code is None or found["bureau_code"] == bureau_code:
        return
    if found["bureau_code"] is not None:
        raise step.conflict(
            f"项目 {found['name']} 属于单位 {found['bureau_code']}",
            f"the project {found['name']} is of bureau {found['bureau_code']}",
        )
    other = step.one("SELECT name FROM projects WHERE bureau_code = ?", bureau_code)
    if other is not None:
        raise step.conflict(
            f"单位 {bureau_code} 已有项目 {other['name']}",
            f"bureau {bureau_code} has the project {other['name']}",
        )
    step.db.execute("UPDATE projects SET bureau_code = ? WHERE id = ?", (bureau_code, project_id))


def set_quota(step: Step, project_id: str, service: str, limits: Limits) -> None:
    """Write the limits that one service has; the others keep theirs."""
    held = get_quota(step, project_id)
    step.db.execute(
        "UPDATE projects SET servers = :servers, vcpus = :vcpus, ram_mib = :ram_mib, volumes = :volumes,"
        " volume_gib = :volume_gib, addresses = :addresses WHERE id = :id",
        {key: (limits if key in SERVICES[service] else held)[key] for key in QUOTA} | {"id": project_id},
    )


def get_part(step: Step, project_id: str, service: str) -> Held:
    """Read the limits that one service has."""
    limits = get_quota(step, project_id)
    return {key: limits[key] for key in SERVICES[service]}


def get_quota(step: Step, project_id: str) -> Limits:
    """Read the six limits."""
    row = step.one(
        "SELECT servers, vcpus, ram_mib, volumes, volume_gib, addresses FROM projects WHERE id = ?",
        project_id,
    )
    if row is None:
        raise step.missing("project", project_id)
    return Limits.of(root_gib=None, **dict(row))


def check_quota(step: Step, project_id: str, **asked: int) -> None:
    """Refuse, naming every shortfall, where the project's quota has no room for `asked` more, and whatever is
    asked of a project that was retired.
    """
    if step.one("SELECT 1 FROM retired_projects WHERE project_id = ?", project_id):
        raise step.refused(f"项目 {project_id} 已停用", f"project {project_id} is disabled")
    limits = get_quota(step, project_id)
    used = dict(step.db.execute(USED, {"id": project_id}).fetchone())
    shortfalls = [
        {"dimension": name, "limit": limit, "used": used[name], "asked": more}
        for name, more in asked.items()
        if more > 0 and (limit := limits[name]) is not None and used[name] + more > limit
    ]
    if shortfalls:
        raise OverQuota(
            region=step.region,
            call=step.call,
            project_id=project_id,
            shortfalls=shortfalls,
            reason_zh=f"项目 {project_id} 的配额不足："
            + "、".join(
                "{dimension} 上限 {limit}，已用 {used}，申请 {asked}".format_map(each) for each in shortfalls
            ),
            reason_en=f"the quota of project {project_id} is too small: "
            + ", ".join(
                "{dimension} limit {limit}, used {used}, asked {asked}".format_map(each)
                for each in shortfalls
            ),
        )


def list_images(db: sqlite3.Connection) -> list[Image]:
    """All images, oldest first."""
    return [to_image(row) for row in db.execute("SELECT * FROM images ORDER BY seq")]


def to_image(row: sqlite3.Row) -> Image:
    """An image as the cloud shows it."""
    return Image(
        id=row["id"],
        name=row["name"],
        status=ImageStatus(row["status"]),
        min_root_gib=row["min_root_gib"],
        min_ram_mib=row["min_ram_mib"],
        tag=row["tag"],
    )


def inventory(db: sqlite3.Connection) -> list[Provider]:
    """Every provider with what it has and what is used of it."""
    found = groupby(db.execute(INVENTORY).fetchall(), key=lambda row: (row["kind"], row["provider"]))
    return [_to_provider(kind, name, list(rows)) for (kind, name), rows in found]


def find_room(
    db: sqlite3.Connection, kind: ProviderKind, *, without: Collection[str] = (), **needed: int
) -> str | None:
    """The provider of `kind` with room for all that is `needed`, the emptiest by the first of it."""
    first = next(iter(needed))
    offered = [each for each in inventory(db) if each.kind is kind and each.name not in without]
    rooms = [(provider.name, room(provider)) for provider in offered]
    fitting = [
        (left[first], name) for name, left in rooms if all(left[key] >= size for key, size in needed.items())
    ]
    return max(fitting, default=(0, None), key=lambda each: each[0])[1]


def room(provider: Provider) -> dict[str, int]:
    """What is left of each of the provider's resources; below 0 where its inventory has shrunk."""
    held = capacity(provider.inventories, reserve_largest_host=False)
    return {
        each.dimension: (held[each.dimension] or 0) - provider.used[each.dimension]
        for each in provider.inventories
    }


def _to_provider(kind: str, name: str, rows: list[sqlite3.Row]) -> Provider:
    return Provider(
        id=name,
        name=name,
        kind=ProviderKind(kind),
        inventories=tuple(
            Inventory(row["resource"], name, row["total"], row["reserved"], row["allocation_ratio"])
            for row in rows
        ),
        used=Resources.parse({row["resource"]: row["used"] for row in rows}),
    )
