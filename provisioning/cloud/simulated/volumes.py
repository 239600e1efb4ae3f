"""The simulated region's Cinder and Neutron: volumes, their attachments, and public addresses."""

import sqlite3
from ipaddress import IPv4Address
from itertools import count
from uuid import uuid4

from provisioning.cloud.observed import Address, ProviderKind, Volume, VolumeStatus
from provisioning.cloud.simulated.projects import check_quota, find_room, get_quota, inventory, room
from provisioning.cloud.simulated.servers import get, need_resting
from provisioning.cloud.simulated.step import Step, from_us

FIRST_ADDRESS = IPv4Address("198.18.0.1")


def create(step: Step, tag: str, project_id: str, name: str, size_gib: int) -> Volume:
    """Accept a volume; a pool is chosen now, the outcome shows when it is due."""
    step.check_label(tag=tag, name=name)
    if size_gib < 1:
        raise step.refused(
            f"云硬盘大小 {size_gib} GiB 须至少为 1", f"a volume of {size_gib} GiB is less than 1"
        )
    get_quota(step, project_id)
    check_quota(step, project_id, volumes=1, volume_gib=size_gib)
    volume_id = str(uuid4())
    insert(step, volume_id, tag, project_id, name, size_gib, server_id=None)
    return to_volume(_row(step, volume_id))


def insert(
    step: Step,
    volume_id: str,
    tag: str | None,
    project_id: str,
    name: str,
    size_gib: int,
    *,
    server_id: str | None,
) -> bool:
    """Begin a volume, attached to a server for its root disk; False where no pool has room for it."""
    pool = None if step.doomed else find_room(step.db, ProviderKind.volume_pool, volume_gib=size_gib)
    outcome = "error" if pool is None else "available" if server_id is None else "in-use"
    step.db.execute(
        "INSERT INTO volumes (id, tag, name, project_id, size_gib, status, provider, server_id, outcome,"
        " due_us, created_us) VALUES (?, ?, ?, ?, ?, 'creating', ?, ?, ?, ?, ?)",
        (
            *(volume_id, tag, name, project_id, size_gib, pool, server_id),
            *(outcome, step.ready_us, step.at_us),
        ),
    )
    return pool is not None


def get_volume(step: Step, volume_id: str) -> Volume:
    """The volume of that id."""
    return to_volume(_row(step, volume_id))


def find(step: Step, tag: str) -> Volume | None:
    """The volume that bears the tag."""
    rows = step.db.execute("SELECT * FROM volumes WHERE tag = ? LIMIT 2", (tag,)).fetchall()
    if len(rows) > 1:
        raise step.conflict(f"有多个云硬盘带有同一标识 {tag}", f"more than one volume bears the tag {tag}")
    return to_volume(rows[0]) if rows else None


def page(step: Step, project_id: str | None, marker: int, limit: int) -> list[sqlite3.Row]:
    """Up to `limit` volumes whose sequence number is beyond `marker`, in that order."""
    return step.db.execute(
        "SELECT * FROM volumes WHERE seq > ? AND (? IS NULL OR project_id = ?) ORDER BY seq LIMIT ?",
        (marker, project_id, project_id, limit),
    ).fetchall()


def label(step: Step, volume_id: str, tag: str) -> None:
    """Have it bear the tag."""
    step.check_label(tag=tag)
    _row(step, volume_id)
    step.db.execute("UPDATE volumes SET tag = ? WHERE id = ?", (tag, volume_id))


def attach(step: Step, volume_id: str, server_id: str) -> None:
    """Begin to attach; nothing where it is attached there or on its way."""
    volume = _row(step, volume_id)
    if volume["server_id"] == server_id and volume["status"] in ("attaching", "in-use"):
        return
    server = need_resting(step, server_id)
    _need(step, volume, "available")
    if server["project_id"] != volume["project_id"]:
        raise step.refused(
            f"云硬盘 {volume_id} 与云主机 {server_id} 不属于同一项目",
            f"volume {volume_id} and server {server_id} belong to different projects",
        )
    _begin(step, volume_id, status="attaching", outcome="in-use", server_id=server_id)


def extend(step: Step, volume_id: str, size_gib: int) -> None:
    """Begin to extend; the pool holds the new size from now on, if it has room for it."""
    volume = _row(step, volume_id)
    if size_gib < volume["size_gib"]:
        raise step.refused(
            f"云硬盘 {volume_id} 为 {volume['size_gib']} GiB，只能扩大",
            f"volume {volume_id} has {volume['size_gib']} GiB and can only grow",
        )
    _need(step, volume, "available", "in-use")
    growth = size_gib - volume["size_gib"]
    if growth == 0:
        return
    check_quota(step, volume["project_id"], volume_gib=growth)
    rooms = {one.name: room(one) for one in inventory(step.db) if one.kind is ProviderKind.volume_pool}
    if not step.doomed and rooms[volume["provider"]]["volume_gib"] >= growth:
        step.db.execute(
            "UPDATE volumes SET shown_gib = size_gib, size_gib = ? WHERE id = ?", (size_gib, volume_id)
        )
    _begin(step, volume_id, status="extending", outcome=volume["status"], server_id=volume["server_id"])


def detach(step: Step, volume_id: str) -> None:
    """Begin to detach; nothing where it is available or on its way there."""
    volume = _row(step, volume_id)
    if volume["status"] in ("available", "detaching"):
        return
    _need(step, volume, "in-use")
    if step.one("SELECT 1 FROM servers WHERE root_volume_id = ?", volume_id) is not None:
        raise step.conflict(
            f"云硬盘 {volume_id} 是系统盘，不能卸载", f"volume {volume_id} is a root disk and stays attached"
        )
    _begin(step, volume_id, status="detaching", outcome="available", server_id=volume["server_id"])


def delete(step: Step, volume_id: str) -> None:
    """Begin to delete; nothing for one that is gone or going."""
    volume = step.one("SELECT * FROM volumes WHERE id = ?", volume_id)
    if volume is None or volume["status"] == "deleting":
        return
    _need(step, volume, "available", "error")
    _begin(step, volume_id, status="deleting", outcome="deleted", server_id=None)


def to_volume(row: sqlite3.Row) -> Volume:
    """A volume as the cloud shows it."""
    return Volume(
        id=row["id"],
        tag=row["tag"],
        name=row["name"],
        project_id=row["project_id"],
        status=VolumeStatus(row["status"]),
        size_gib=row["shown_gib"] or row["size_gib"],
        server_id=row["server_id"],
        created_at=from_us(row["created_us"]),
    )


def create_address(step: Step, tag: str, project_id: str) -> Address:
    """Take the lowest free address of the pool."""
    step.check_label(tag=tag)
    get_quota(step, project_id)
    check_quota(step, project_id, addresses=1)
    if find_room(step.db, ProviderKind.address_pool, addresses=1) is None:
        raise step.refused("公网地址池的地址已全部用完", "all addresses of the public pool are taken")
    taken = {row["number"] for row in step.db.execute("SELECT number FROM addresses")}
    number = next(number for number in count() if number not in taken)
    address_id = str(uuid4())
    step.db.execute(
        "INSERT INTO addresses (id, tag, project_id, number) VALUES (?, ?, ?, ?)",
        (address_id, tag, project_id, number),
    )
    return to_address(_address(step, address_id))


def find_address(step: Step, tag: str) -> Address | None:
    """The address that bears the tag."""
    rows = step.db.execute("SELECT * FROM addresses WHERE tag = ? LIMIT 2", (tag,)).fetchall()
    if len(rows) > 1:
        raise step.conflict(
            f"有多个公网地址带有同一标识 {tag}", f"more than one public address bears the tag {tag}"
        )
    return to_address(rows[0]) if rows else None


def address_page(step: Step, project_id: str | None, marker: int, limit: int) -> list[sqlite3.Row]:
    """Up to `limit` addresses whose sequence number is beyond `marker`, in that order."""
    return step.db.execute(
        "SELECT * FROM addresses WHERE seq > ? AND (? IS NULL OR project_id = ?) ORDER BY seq LIMIT ?",
        (marker, project_id, project_id, limit),
    ).fetchall()


def associate(step: Step, address_id: str, server_id: str | None) -> None:
    """Lead an address to a server, or nowhere."""
    address = _address(step, address_id)
    if server_id is not None and address["server_id"] not in (None, server_id):
        raise step.conflict(
            f"公网地址 {address_id} 已绑定云主机 {address['server_id']}",
            f"public address {address_id} leads to server {address['server_id']}",
        )
    if server_id is not None and not get(step, server_id).addresses:
        raise step.conflict(f"云主机 {server_id} 尚无网络端口", f"server {server_id} has no port yet")
    step.db.execute("UPDATE addresses SET server_id = ? WHERE id = ?", (server_id, address_id))


def to_address(row: sqlite3.Row) -> Address:
    """An address as the cloud shows it."""
    return Address(
        id=row["id"],
        tag=row["tag"],
        project_id=row["project_id"],
        address=str(FIRST_ADDRESS + row["number"]),
        server_id=row["server_id"],
    )


def _row(step: Step, volume_id: str) -> sqlite3.Row:
    row = step.one("SELECT * FROM volumes WHERE id = ?", volume_id)
    if row is None:
        raise step.missing("volume", volume_id)
    return row


def _address(step: Step, address_id: str) -> sqlite3.Row:
    row = step.one("SELECT * FROM addresses WHERE id = ?", address_id)
    if row is None:
        raise step.missing("address", address_id)
    return row


def _need(step: Step, volume: sqlite3.Row, *statuses: str) -> None:
    if volume["status"] not in statuses:
        raise step.conflict(
            f"云硬盘 {volume['id']} 的状态为 {volume['status']}，须为 {'/'.join(statuses)}",
            f"volume {volume['id']} is {volume['status']}, not {' or '.join(statuses)}",
        )


def _begin(step: Step, volume_id: str, *, status: str, outcome: str, server_id: str | None) -> None:
    step.db.execute(
        "UPDATE volumes SET status = ?, outcome = ?, due_us = ?, server_id = ? WHERE id = ?",
        (status, outcome, step.ready_us, server_id, volume_id),
    )
