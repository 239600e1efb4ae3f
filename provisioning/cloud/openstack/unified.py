"""Limits that Nova takes from Keystone (unified limits): to a quota of its own it says yes and heeds it not.

What holds is read from Nova all the same, which shows what it found in Keystone.
"""

import re
from collections.abc import Mapping
from typing import Any

from provisioning.cloud.openstack.failures import Failures

SERVICE_TYPE = "compute"
RESOURCES = {"servers": "servers", "vcpus": "class:VCPU", "ram_mib": "class:MEMORY_MB"}
"""Keystone's names of what Nova has quotas for."""
DIMENSIONS = {name: key for key, name in (RESOURCES | {"root_gib": "class:DISK_GB"}).items()}
OVER = re.compile(r"Resource (\S+) is over limit of (-?\d+) due to current usage (\d+) and delta (\d+)")
"""How oslo.limit puts a refusal, once for each resource."""


def write(cloud: Any, failures: Failures, project_id: str, bounds: Mapping[str, int]) -> None:
    """Make `bounds`, by Keystone's names, the project's limits; −1 is unlimited.

    `Permanent` where one of them is not registered: its default, which registering wants, is every other
    project's limit too, and so for the cloud's operator to choose.
    """
    identity, region = cloud.identity, cloud.config.region_name
    services = {one.id for one in identity.services(type=SERVICE_TYPE)}
    found = [one for one in identity.registered_limits(region_id=region) if one.service_id in services]
    registered = {one.resource_name: one.service_id for one in found}
    if missing := [name for name in bounds if name not in registered]:
        raise failures.refused(
            "Nova 答复成功而未采用所设配额，与限额取自 Keystone（统一限额）时一致，而 Keystone 未为区域 "
            f"{region} 登记 {'、'.join(missing)}；请先登记（openstack registered limit create）",
            "Nova said yes and did not take the quota, as it does where limits come from Keystone (unified "
            f"limits), and Keystone has no {', '.join(missing)} registered for the region {region}: register "
            "them first (openstack registered limit create)",
        )
    theirs = identity.limits(project_id=project_id, region_id=region)
    there = {(one.service_id, one.resource_name): one for one in theirs}
    for name, bound in bounds.items():
        held = there.get((registered[name], name))
        if held is not None:
            if _takes(identity, held, bound):
                continue
            identity.delete_limit(held)
        identity.create_limit(
            project_id=project_id,
            service_id=registered[name],
            region_id=region,
            resource_name=name,
            resource_limit=bound,
        )


def find_shortfalls(said: str) -> list[dict[str, Any]]:
    """What Nova's refusal says is short, as `OverQuota` has it; empty for one that is not of Keystone's
    limits. What has no dimension of ours keeps Keystone's name.

    A resource without a registered limit, as that of root disks mostly is, stands there with the limit 0 too,
    although Nova does not refuse for its sake.
    """
    told = {name: (int(limit), int(used), int(asked)) for name, limit, used, asked in OVER.findall(said)}
    sure = [name for name in DIMENSIONS if name in told and name in RESOURCES.values()]
    sure += [name for name, (limit, _, _) in told.items() if name not in sure and limit > 0]
    return [
        {"dimension": DIMENSIONS.get(name, name), "limit": limit, "used": used, "asked": asked}
        for name in sure or told
        for limit, used, asked in (told[name],)
    ]


def _takes(identity: Any, held: Any, bound: int) -> bool:
    """Whether the limit is `bound` then: Keystone 30 says yes to a change to 0 and does nothing."""
    if held.resource_limit == bound:
        return True
    return bool(identity.update_limit(held, resource_limit=bound).resource_limit == bound)
