"""The simulated region's flavors, and whose they are."""

import sqlite3
from collections.abc import Collection
from uuid import uuid4

from provisioning.cloud.observed import Flavor
from provisioning.cloud.simulated.projects import get_quota
from provisioning.cloud.simulated.step import Step


def list_flavors(db: sqlite3.Connection) -> list[Flavor]:
    """All flavors, by name."""
    return [_to_flavor(db, row) for row in db.execute("SELECT * FROM flavors ORDER BY name").fetchall()]


def get_flavor(step: Step, name: str) -> Flavor:
    """The flavor of that name."""
    row = step.one("SELECT * FROM flavors WHERE name = ?", name)
    if row is None:
        raise step.missing("flavor", name)
    return _to_flavor(step.db, row)


def get_flavor_for(step: Step, project_id: str, name: str) -> Flavor:
    """The flavor of that name, which must not be other projects'."""
    found = get_flavor(step, name)
    if found.project_ids is not None and project_id not in found.project_ids:
        raise step.refused(
            f"规格 {name} 专供其他项目，项目 {project_id} 不能使用",
            f"flavor {name} is other projects', not for {project_id}",
        )
    return found


def ensure_flavor(
    step: Step, name: str, vcpus: int, ram_mib: int, root_gib: int, project_ids: Collection[str] | None
) -> Flavor:
    """Find by name, or make; then let exactly those projects use it."""
    if vcpus < 1 or ram_mib < 1 or root_gib < 0:
        raise step.refused(
            f"规格 {name} 的大小无效：{vcpus} vCPU、{ram_mib} MiB、{root_gib} GiB",
            f"flavor {name} has impossible sizes: {vcpus} vCPU, {ram_mib} MiB, {root_gib} GiB",
        )
    step.check_label(tag="-", name=name)
    for project_id in project_ids or ():
        get_quota(step, project_id)
    step.db.execute(
        "INSERT OR IGNORE INTO flavors (name, id, vcpus, ram_mib, root_gib, is_private)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (name, str(uuid4()), vcpus, ram_mib, root_gib, project_ids is not None),
    )
    flavor = get_flavor(step, name)
    if (flavor.vcpus, flavor.ram_mib, flavor.root_gib) != (vcpus, ram_mib, root_gib):
        there = f"{flavor.vcpus} vCPU, {flavor.ram_mib} MiB, {flavor.root_gib} GiB"
        raise step.conflict(
            f"规格 {name} 已存在且大小不同：{there}", f"flavor {name} is there with other sizes: {there}"
        )
    if (flavor.project_ids is None) != (project_ids is None):
        zh, en = ("公共", "everybody's") if flavor.project_ids is None else ("专用", "some projects' own")
        raise step.conflict(
            f"规格 {name} 已存在，为{zh}规格，不能更改", f"flavor {name} is there and {en}, for ever"
        )
    step.db.execute("DELETE FROM flavor_access WHERE flavor = ?", (name,))
    step.db.executemany(
        "INSERT INTO flavor_access VALUES (?, ?)", [(name, one) for one in set(project_ids or ())]
    )
    return get_flavor(step, name)


def _to_flavor(db: sqlite3.Connection, row: sqlite3.Row) -> Flavor:
    found = db.execute("SELECT project_id FROM flavor_access WHERE flavor = ?", (row["name"],)).fetchall()
    theirs = frozenset(one["project_id"] for one in found) if row["is_private"] else None
    sizes = {key: row[key] for key in ("vcpus", "ram_mib", "root_gib")}
    return Flavor(id=row["id"], name=row["name"], project_ids=theirs, **sizes)
