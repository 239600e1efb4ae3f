"""The simulated region's Nova: servers, their states and their snapshots.

A call is checked and accepted in one step; `step.settle` carries it out when its time has come.
"""

import sqlite3
from uuid import uuid4

from provisioning.cloud.observed import Flavor, Image, ProviderKind, Server, ServerStatus
from provisioning.cloud.simulated.projects import check_quota, find_room, get_flavor, get_quota, to_image
from provisioning.cloud.simulated.step import Step, from_us

ZONES = {"internet": 1, "extranet": 2}
NO_HOST = "No valid host was found. There are not enough hosts available."
BROKEN = "Build of instance aborted: the hypervisor reported a failure."

SERVERS = """
SELECT s.*, f.vcpus, f.ram_mib, f.root_gib FROM servers s JOIN flavors f ON f.name = s.flavor
"""


def create(step: Step, tag: str, project_id: str, name: str, flavor: str, image: str, zone: str) -> Server:
    """Accept a server; a host is chosen now, the outcome shows when it is due."""
    step.check_label(tag=tag, name=name)
    if zone not in ZONES:
        raise step.refused(f"没有网络区 {zone}", f"there is no network zone {zone}")
    get_quota(step, project_id)
    size = get_flavor(step, flavor)
    image_id = _usable_image(step, image, size)
    check_quota(step, project_id, servers=1, vcpus=size.vcpus, ram_mib=size.ram_mib)
    server_id = str(uuid4())
    fault = BROKEN if step.doomed else None if _allocate(step, server_id, "resting", size) else NO_HOST
    step.db.execute(
        "INSERT INTO servers (id, tag, name, project_id, zone, image_id, flavor, status, resting_status,"
        " task, outcome, fault, due_us, created_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 'BUILD', 'ACTIVE', 'spawning', ?, ?, ?, ?)",
        (
            *(server_id, tag, name, project_id, zone, image_id, flavor),
            *("ERROR" if fault else "ACTIVE", fault, step.ready_us, step.at_us),
        ),
    )
    return to_server(_row(step, server_id))


def get(step: Step, server_id: str) -> Server:
    """The server of that id."""
    return to_server(_row(step, server_id))


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
    server = _row(step, server_id)
    if server["task"] == task or (server["task"] is None and server["status"] == to):
        return
    _need_idle(step, server, "ACTIVE", "SHUTOFF")
    step.db.execute("UPDATE servers SET resting_status = ? WHERE id = ?", (to, server_id))
    _begin(step, server_id, task=task, outcome=to)


def resize(step: Step, server_id: str, flavor: str) -> None:
    """Begin a resize; the old size stays allocated beside the new one."""
    server = _row(step, server_id)
    _need_idle(step, server, "ACTIVE", "SHUTOFF")
    size = get_flavor(step, flavor)
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
    if step.doomed or not _allocate(step, server_id, "resized", size):
        _begin(step, server_id, task="resize_prep", outcome=ServerStatus(server["resting_status"]))
    else:
        _begin(step, server_id, task="resize_finish", outcome=ServerStatus.verify_resize)


def end_resize(step: Step, server_id: str, *, task: str) -> None:
    """Confirm or revert a resize."""
    server = _row(step, server_id)
    _need_idle(step, server, "VERIFY_RESIZE")
    if task == "resize_reverting":
        step.db.execute("UPDATE servers SET status = 'REVERT_RESIZE' WHERE id = ?", (server_id,))
    _begin(step, server_id, task=task, outcome=ServerStatus(server["resting_status"]))


def snapshot(step: Step, server_id: str, tag: str, name: str) -> Image:
    """Begin an image of the server's root disk."""
    step.check_label(tag=tag, name=name)
    server = _row(step, server_id)
    _need_idle(step, server, "ACTIVE", "SHUTOFF")
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
    server = _row(step, server_id)
    _need_idle(step, server, "ACTIVE", "SHUTOFF")
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
        image_id=row["image_id"],
        zone=row["zone"],
        addresses=() if hidden else (fixed,),
        created_at=from_us(row["created_us"]),
    )


def _row(step: Step, server_id: str) -> sqlite3.Row:
    row = step.one(SERVERS + "WHERE s.id = ?", server_id)
    if row is None:
        raise step.missing("server", server_id)
    return row


def _usable_image(step: Step, name: str, size: Flavor) -> str:
    image = step.one(
        "SELECT * FROM images WHERE name = ? AND status = 'active' ORDER BY seq DESC LIMIT 1", name
    )
    if image is None:
        raise step.missing("image", name)
    if image["min_root_gib"] > size.root_gib or image["min_ram_mib"] > size.ram_mib:
        needed = f"{image['min_root_gib']} GiB, {image['min_ram_mib']} MiB"
        raise step.refused(
            f"规格 {size.name} 小于镜像 {name} 的最低要求（{needed}）",
            f"flavor {size.name} is smaller than image {name} needs ({needed})",
        )
    return str(image["id"])


def _allocate(step: Step, server_id: str, role: str, size: Flavor) -> bool:
    host = find_room(
        step.db, ProviderKind.compute_host, ram_mib=size.ram_mib, vcpus=size.vcpus, root_gib=size.root_gib
    )
    if host is not None:
        step.db.execute(
            "INSERT INTO allocations VALUES (?, ?, ?, ?, ?, ?)",
            (server_id, role, host, size.vcpus, size.ram_mib, size.root_gib),
        )
    return host is not None


def _need_idle(step: Step, server: sqlite3.Row, *statuses: str) -> None:
    if server["task"] is not None or server["status"] not in statuses:
        now = server["status"] + (f" ({server['task']})" if server["task"] else "")
        raise step.conflict(
            f"云主机 {server['id']} 的状态为 {now}，须为 {'/'.join(statuses)}",
            f"server {server['id']} is {now}, not {' or '.join(statuses)}",
        )


def _begin(step: Step, server_id: str, *, task: str, outcome: ServerStatus) -> None:
    step.db.execute(
        "UPDATE servers SET task = ?, outcome = ?, due_us = ? WHERE id = ?",
        (task, outcome, step.ready_us, server_id),
    )
