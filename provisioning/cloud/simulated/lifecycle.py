"""What befalls servers of the simulated region between their making and their end."""

import sqlite3

from provisioning.cloud.observed import ServerStatus
from provisioning.cloud.simulated.flavors import get_flavor
from provisioning.cloud.simulated.making import find_image_for
from provisioning.cloud.simulated.servers import begin, need_idle, row_of, take_room
from provisioning.cloud.simulated.step import Step


def reboot(step: Step, server_id: str, *, is_hard: bool) -> None:
    """Begin a reboot; nothing while one is under way."""
    server = row_of(step, server_id)
    if server["status"] == "REBOOT":
        return
    need_idle(step, server, *(("ACTIVE", "SHUTOFF", "ERROR") if is_hard else ("ACTIVE",)))
    _need_host(step, server)
    step.db.execute(
        "UPDATE servers SET status = 'REBOOT', resting_status = 'ACTIVE', reboots = reboots + 1 WHERE id = ?",
        (server_id,),
    )
    begin(step, server_id, task="rebooting_hard" if is_hard else "rebooting", outcome=ServerStatus.active)


def shelve(step: Step, server_id: str) -> None:
    """Begin to shelve; nothing for one that is shelved or on its way there."""
    server = row_of(step, server_id)
    if server["task"] == "shelving" or (server["status"], server["task"]) == ("SHELVED_OFFLOADED", None):
        return
    need_idle(step, server, "ACTIVE", "SHUTOFF")
    begin(step, server_id, task="shelving", outcome=ServerStatus.shelved)


def unshelve(step: Step, server_id: str) -> None:
    """Begin to unshelve; a host is chosen now. Nothing for one that is ACTIVE or on its way there."""
    server = row_of(step, server_id)
    if server["task"] == "unshelving" or (server["status"], server["task"]) == ("ACTIVE", None):
        return
    need_idle(step, server, "SHELVED_OFFLOADED")
    step.db.execute("UPDATE servers SET resting_status = 'ACTIVE' WHERE id = ?", (server_id,))
    is_placed = not step.doomed and take_room(step, server, "resting", get_flavor(step, server["flavor"]))
    begin(
        step,
        server_id,
        task="unshelving",
        outcome=ServerStatus.active if is_placed else ServerStatus.shelved,
    )


def rebuild(step: Step, server_id: str, image: str) -> None:
    """Begin to make the root disk anew; nothing while that is under way."""
    server = row_of(step, server_id)
    if server["status"] == "REBUILD":
        return
    need_idle(step, server, "ACTIVE", "SHUTOFF", "ERROR")
    _need_host(step, server)
    root = step.one("SELECT size_gib FROM volumes WHERE id = ?", server["root_volume_id"])
    image_id = find_image_for(
        step, image, get_flavor(step, server["flavor"]), None if root is None else root["size_gib"]
    )
    step.db.execute(
        "UPDATE servers SET status = 'REBUILD', next_image_id = ?, fault = ? WHERE id = ?",
        (image_id, "the hypervisor reported a failure" if step.doomed else None, server_id),
    )
    outcome = ServerStatus.error if step.doomed else ServerStatus(server["resting_status"])
    begin(step, server_id, task="rebuilding", outcome=outcome)


def migrate(step: Step, server_id: str, *, is_live: bool) -> None:
    """Begin a move; another host is chosen now, and both are held until it is done, or confirmed."""
    server = row_of(step, server_id)
    if server["status"] == ("MIGRATING" if is_live else "RESIZE"):
        return
    need_idle(step, server, *(("ACTIVE",) if is_live else ("ACTIVE", "SHUTOFF")))
    role, size = ("migrated" if is_live else "resized"), get_flavor(step, server["flavor"])
    is_placed = not step.doomed and take_room(step, server, role, size, without=(server["host"],))
    back = ServerStatus(server["resting_status"])
    if is_live:
        step.db.execute("UPDATE servers SET status = 'MIGRATING' WHERE id = ?", (server_id,))
        begin(step, server_id, task="migrating" if is_placed else "migrating_back", outcome=back)
        return
    step.db.execute("UPDATE servers SET status = 'RESIZE', other_flavor = flavor WHERE id = ?", (server_id,))
    if is_placed:
        begin(step, server_id, task="resize_finish", outcome=ServerStatus.verify_resize)
    else:
        begin(step, server_id, task="resize_prep", outcome=back)


def console_url(step: Step, server_id: str) -> str:
    """There are no screens here; says why not."""
    _need_host(step, row_of(step, server_id))
    raise step.refused("模拟区域没有控制台", "the simulated region has no consoles")


def _need_host(step: Step, server: sqlite3.Row) -> None:
    if server["host"] is None:
        raise step.conflict(f"云主机 {server['id']} 不在任何主机上", f"server {server['id']} is on no host")
