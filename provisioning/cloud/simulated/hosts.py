"""The simulated region's compute hosts: which take servers, and which is chosen for one."""

import sqlite3
from collections.abc import Collection

from provisioning.cloud.labels import find_reason_fault
from provisioning.cloud.observed import Flavor, Host, ProviderKind
from provisioning.cloud.simulated.projects import find_room
from provisioning.cloud.simulated.step import Step

HOSTS = """
SELECT DISTINCT i.provider AS name, d.reason FROM inventories i
LEFT JOIN disabled_hosts d ON d.name = i.provider WHERE i.kind = 'compute_host'
"""
PEERS = """
SELECT DISTINCT a.provider FROM allocations a JOIN servers s ON s.id = a.server_id
WHERE s.project_id = ? AND s.group_name = ? AND s.id != ?
"""


def list_hosts(db: sqlite3.Connection) -> list[Host]:
    """All of them, by name; none ever fails to answer."""
    rows = db.execute(HOSTS + "ORDER BY name").fetchall()
    return [
        Host(name=row["name"], enabled=row["reason"] is None, up=True, reason=row["reason"]) for row in rows
    ]


def set_enabled(step: Step, name: str, *, is_enabled: bool, reason: str) -> None:
    """Let a host take further servers, or none."""
    if not is_enabled and (fault := find_reason_fault(reason)):
        raise step.refused(*fault)
    if step.one(HOSTS + "AND i.provider = ?", name) is None:
        raise step.missing("host", name)
    step.db.execute("DELETE FROM disabled_hosts WHERE name = ?", (name,))
    if not is_enabled:
        step.db.execute("INSERT INTO disabled_hosts VALUES (?, ?)", (name, reason))


def allocate(
    step: Step,
    server_id: str,
    role: str,
    size: Flavor,
    *,
    peers: Collection[str] = (),
    strict: bool = False,
    without: Collection[str] = (),
    root_gib: int,
) -> bool:
    """Take room on a host, if there is one that is none of `without`, nor, if it can be, of `peers`."""
    closed = {host.name for host in list_hosts(step.db) if not host.enabled} | set(without)
    needed = {"ram_mib": size.ram_mib, "vcpus": size.vcpus, "root_gib": root_gib}
    kind = ProviderKind.compute_host
    host = find_room(step.db, kind, without=closed | set(peers), **needed)
    if host is None and peers and not strict:
        host = find_room(step.db, kind, without=closed, **needed)
    if host is not None:
        step.db.execute(
            "INSERT INTO allocations VALUES (?, ?, ?, ?, ?, ?)",
            (server_id, role, host, size.vcpus, size.ram_mib, root_gib),
        )
    return host is not None


def peers_of(step: Step, project_id: str, group: str | None, server_id: str) -> set[str]:
    """Hosts with another server of the group."""
    rows = step.db.execute(PEERS, (project_id, group, server_id)).fetchall()
    return {row["provider"] for row in rows}
