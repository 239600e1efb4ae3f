"""How a server of the simulated region is made, and with what: image, host, group, key, root volume."""

from uuid import uuid4

from provisioning.cloud.driver import OverQuota
from provisioning.cloud.observed import Flavor
from provisioning.cloud.options import Group, Options, find_options_fault
from provisioning.cloud.simulated.flavors import get_flavor_for
from provisioning.cloud.simulated.projects import check_quota, get_quota
from provisioning.cloud.simulated.servers import ZONES, row_of, take_room
from provisioning.cloud.simulated.step import Step
from provisioning.cloud.simulated.volumes import insert

NO_HOST = "No valid host was found. There are not enough hosts available."
BROKEN = "Build of instance aborted: the hypervisor reported a failure."
NO_VOLUME = "Build of instance aborted: Volume {size} GiB could not be made: {reason}"


def create(
    step: Step, tag: str, project_id: str, name: str, flavor: str, image: str, zone: str, options: Options
) -> str:
    """Accept a server, and tell its id; a host is chosen now, the outcome shows when it is due."""
    step.check_label(tag=tag, name=name)
    if fault := find_options_fault(options):
        raise step.refused(*fault)
    if zone not in ZONES:
        raise step.refused(f"没有网络区 {zone}", f"there is no network zone {zone}")
    get_quota(step, project_id)
    size = get_flavor_for(step, project_id, flavor)
    image_id = find_image_for(step, image, size, options.root_volume_gib)
    if options.group is not None:
        _ensure_group(step, project_id, options.group)
    check_quota(step, project_id, servers=1, vcpus=size.vcpus, ram_mib=size.ram_mib)
    server_id, root_id = str(uuid4()), str(uuid4()) if options.root_volume_gib else None
    step.db.execute(
        "INSERT INTO servers (id, tag, name, project_id, zone, image_id, flavor, status, resting_status,"
        " task, due_us, created_us, group_name, key_name, root_volume_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 'BUILD', 'ACTIVE', 'spawning', ?, ?, ?, ?, ?)",
        (
            *(server_id, tag, name, project_id, zone, image_id, flavor, step.ready_us, step.at_us),
            *(options.group.name if options.group else None, options.key_name, root_id),
        ),
    )
    broken = _build(step, server_id, size, root_id, options.root_volume_gib)
    step.db.execute(
        "UPDATE servers SET outcome = ?, fault = ? WHERE id = ?",
        ("ERROR" if broken else "ACTIVE", broken, server_id),
    )
    return server_id


def find_image_for(step: Step, name: str, size: Flavor, root_volume_gib: int | None) -> str:
    """Id of the newest active image of that name, which must fit the flavor, or the root volume."""
    image = step.one(
        "SELECT * FROM images WHERE name = ? AND status = 'active' ORDER BY seq DESC LIMIT 1", name
    )
    if image is None:
        raise step.missing("image", name)
    root_gib = size.root_gib if root_volume_gib is None else root_volume_gib
    if image["min_root_gib"] > root_gib or image["min_ram_mib"] > size.ram_mib:
        needed = f"{image['min_root_gib']} GiB, {image['min_ram_mib']} MiB"
        raise step.refused(
            f"规格 {size.name}（系统盘 {root_gib} GiB）小于镜像 {name} 的最低要求（{needed}）",
            f"flavor {size.name} with a root disk of {root_gib} GiB is smaller than {name} needs ({needed})",
        )
    return str(image["id"])


def _ensure_group(step: Step, project_id: str, group: Group) -> None:
    step.db.execute("INSERT OR IGNORE INTO groups VALUES (?, ?, ?)", (project_id, group.name, group.strict))
    there = step.one("SELECT strict FROM groups WHERE project_id = ? AND name = ?", project_id, group.name)
    if there is not None and bool(there["strict"]) != group.strict:
        raise step.conflict(
            f"反亲和组 {group.name} 已存在，策略不同",
            f"the anti-affinity group {group.name} is there with the other policy",
        )


def _build(
    step: Step, server_id: str, size: Flavor, root_id: str | None, root_volume_gib: int | None
) -> str | None:
    """Why it cannot be built, or None."""
    server = row_of(step, server_id)
    if step.doomed:
        return BROKEN
    if not take_room(step, server, "resting", size):
        return NO_HOST
    if root_id is None or root_volume_gib is None:
        return None
    try:
        check_quota(step, server["project_id"], volumes=1, volume_gib=root_volume_gib)
    except OverQuota as short:
        return NO_VOLUME.format(size=root_volume_gib, reason=short.facts["reason_en"])
    if not insert(step, root_id, None, server["project_id"], "", root_volume_gib, server_id=server_id):
        return NO_VOLUME.format(size=root_volume_gib, reason="no pool has room")
    return None
