"""The simulated region's Nova: servers, their states, sizes and snapshots; the rest of it is in `lifecycle`.

A call is checked and accepted in one step; `step.settle` carries it out when its time has come.
"""

import sqlite3
from collections.abc import Collection
from uuid import uuid4

from provisioning.cloud.observed import Flavor, Image, Server, ServerStatus
from provisioning.cloud.simulated.flavors import get_flavor_for
from provisioning.cloud.simulated.hosts import allocate, peers_of
from provisioning.cloud.simulated.projects import check_quota, to_image
from provisioning.cloud.simulated.step import Step, from_us

ZONES = {"internet": 1, "extranet": 2}

SERVERS = """
SELECT s.*, f.vcpus, f.ram_mib, f.root_gib,
  coalesce(
    (SELECT provider FROM allocations
       WHERE server_id = s.id AND role = 'resized' AND s.status = 'VERIFY_RESIZE'),
    (SELECT provider FROM allocations WHERE server_id = s.id AND role = 'resting')) AS host
FROM servers s JOIN flavors f ON f.name = s.flavor
"""


def get(step: Step, server_id: str) -> Server:
    """The server of that id."""
    return to_server(row_of(step, server_id))


def find(step: Step, tag: str) -> Server | None:
    """The server that bears the tag."""
    rows = step.db.execute(SERVERS + "WHERE s.tag = ? LIMIT 2", (tag,)).fetchall()
    if len(rows) > 1:
        raise step.conflict(f"有多台云主机带有同一标识 {tag}", f"more than one server bears the tag {tag}")
    return to_server(rows[0]) if rows else None


def page(step: Step, project_id: str | None, marker: int, limit: int) -> list[sqlite3.Row]:
    """Up to `limit` servers whose sequence number is beyond `marker`, in that order."""
    return step.db.execute(
        SERVERS + "WHERE s.seq > ? AND (? IS NULL OR s.project_id = ?) ORDER BY s.seq LIMIT ?",
        (marker, project_id, project_id, limit),
    ).fetchall()


def label(step: Step, server_id: str, tag: str) -> None:
    """Have it bear the tag."""
    step.check_label(tag=tag)
    need_resting(step, server_id)
    step.db.execute("UPDATE servers SET tag = ? WHERE id = ?", (tag, server_id))


def delete(step: Step, server_id: str) -> None:
    """Begin to delete, whatever is under way; nothing for one that is gone or going."""
    step.db.execute(
        "UPDATE servers SET task = 'deleting', outcome = NULL, due_us = ?"
        " WHERE id = ? AND task IS NOT 'deleting'",
        (step.ready_us, server_id),
    )


def switch(step: Step, server_id: str, *, to: ServerStatus, task: str) -> None:
    """Stop or start; nothing where it is so already, or on its way there."""
    server = row_of(step, server_id)
    if server["task"] == task or (server["task"] is None and server["status"] == to):
        return
    need_idle(step, server, "ACTIVE", "SHUTOFF")
    step.db.execute("UPDATE servers SET resting_status = ? WHERE id = ?", (to, server_id))
    begin(step, server_id, task=task, outcome=to)


def resize(step: Step, server_id: str, flavor: str) -> None:
    """Begin a resize; the old size stays allocated beside the new one."""
    server = row_of(step, server_id)
    need_idle(step, server, "ACTIVE", "SHUTOFF")
    size = get_flavor_for(step, server["project_id"], flavor)
    if flavor == server["flavor"]:
        raise step.refused(
            f"云主机 {server_id} 的规格已是 {flavor}", f"server {server_id} has flavor {flavor} already"
        )
    check_quota(
        step,
        server["project_id"],
        vcpus=size.vcpus - server["vcpus"],
        ram_mib=size.ram_mib - server["ram_mib"],
    )
    step.db.execute(
        "UPDATE servers SET other_flavor = ?, status = 'RESIZE' WHERE id = ?", (flavor, server_id)
    )
    if step.doomed or not take_room(step, server, "resized", size):
        begin(step, server_id, task="resize_prep", outcome=ServerStatus(server["resting_status"]))
    else:
        begin(step, server_id, task="resize_finish", outcome=ServerStatus.verify_resize)


def end_resize(step: Step, server_id: str, *, task: str) -> None:
    """Confirm or revert a resize."""
    server = row_of(step, server_id)
    need_idle(step, server, "VERIFY_RESIZE")
    if task == "resize_reverting":
        step.db.execute("UPDATE servers SET status = 'REVERT_RESIZE' WHERE id = ?", (server_id,))
    begin(step, server_id, task=task, outcome=ServerStatus(server["resting_status"]))


def snapshot(step: Step, server_id: str, tag: str, name: str) -> Image:
    """Begin an image of the server's root disk."""
    step.check_label(tag=tag, name=name)
    server = row_of(step, server_id)
    need_idle(step, server, "ACTIVE", "SHUTOFF")
    image_id = str(uuid4())
    step.db.execute(
        "INSERT INTO images (id, name, status, min_root_gib, min_ram_mib, tag, outcome, due_us)"
        " VALUES (?, ?, 'queued', ?, 0, ?, ?, ?)",
        (image_id, name, server["root_gib"], tag, "error" if step.doomed else "active", step.ready_us),
    )
    return to_image(step.db.execute("SELECT * FROM images WHERE id = ?", (image_id,)).fetchone())


def find_image(step: Step, tag: str) -> Image | None:
    """The snapshot that bears the tag."""
    rows = step.db.execute("SELECT * FROM images WHERE tag = ? LIMIT 2", (tag,)).fetchall()
    if len(rows) > 1:
        raise step.conflict(f"有多个镜像带有同一标识 {tag}", f"more than one image bears the tag {tag}")
    return to_image(rows[0]) if rows else None


def need_resting(step: Step, server_id: str) -> sqlite3.Row:
    """The row of a server that is ACTIVE or SHUTOFF with nothing under way."""
    server = row_of(step, server_id)
    need_idle(step, server, "ACTIVE", "SHUTOFF")
    return server


def to_server(row: sqlite3.Row) -> Server:
    """A server as the cloud shows it."""
    broken = row["status"] == "ERROR"
    hidden = row["status"] == "BUILD" or broken
    fixed = f"10.{ZONES[row['zone']]}.{row['seq'] >> 8 & 255}.{row['seq'] & 255}"
    return Server(
        id=row["id"],
        tag=row["tag"],
        name=row["name"],
        project_id=row["project_id"],
        status=ServerStatus(row["status"]),
        task=row["task"],
        fault=row["fault"] if broken else None,
        flavor=row["flavor"],
        vcpus=row["vcpus"],
        ram_mib=row["ram_mib"],
        root_gib=row["root_gib"],
        image_id=None if row["root_volume_id"] else row["image_id"],
        zone=row["zone"],
        host=None if row["status"] == "BUILD" else row["host"],
        group=row["group_name"],
        key_name=row["key_name"],
        addresses=() if hidden else (fixed,),
        created_at=from_us(row["created_us"]),
    )


def row_of(step: Step, server_id: str) -> sqlite3.Row:
    """The server's row, with the sizes of its flavor and its host."""
    row = step.one(SERVERS + "WHERE s.id = ?", server_id)
    if row is None:
        raise step.missing("server", server_id)
    return row


def take_room(
    step: Step, server: sqlite3.Row, role: str, size: Flavor, *, without: Collection[str] = ()
) -> bool:
    """Take room on a host for the server at that size, if there is one that its group allows."""
    project_id, group = server["project_id"], server["group_name"]
    told = step.one("SELECT strict FROM groups WHERE project_id = ? AND name = ?", project_id, group)
    return allocate(
        step,
        server["id"],
        role,
        size,
        peers=peers_of(step, project_id, group, server["id"]),
        strict=told is not None and bool(told["strict"]),
        without=without,
        root_gib=0 if server["root_volume_id"] else size.root_gib,
    )


def need_idle(step: Step, server: sqlite3.Row, *statuses: str) -> None:
    """Refuse unless it is in one of these with nothing under way."""
    if server["task"] is not None or server["status"] not in statuses:
        now = server["status"] + (f" ({server['task']})" if server["task"] else "")
        raise step.conflict(
            f"云主机 {server['id']} 的状态为 {now}，须为 {'/'.join(statuses)}",
            f"server {server['id']} is {now}, not {' or '.join(statuses)}",
        )


def begin(step: Step, server_id: str, *, task: str, outcome: ServerStatus) -> None:
    """Have `task` end in `outcome` when its time has come."""
    step.db.execute(
        "UPDATE servers SET task = ?, outcome = ?, due_us = ? WHERE id = ?",
        (task, outcome, step.ready_us, server_id),
    )
