"""What Nova keeps beside servers: key pairs of Siji's user, and anti-affinity groups of projects.

For neither does Siji grant a quota, and Nova's own are small: they are lifted in the project first.
"""

import time
from typing import Any

import openstack.exceptions as sdk

from provisioning.cloud.openstack.failures import Failures
from provisioning.cloud.options import Group

UNBOUNDED = {"key_pairs": -1, "server_groups": -1, "server_group_members": -1}
POLICIES = {True: "anti-affinity", False: "soft-anti-affinity"}
PAUSE_S = 1.1


def ensure_key(cloud: Any, theirs: Any, project_id: str, name: str, public_key: str) -> str:
    """Name of the key pair of Siji's user, whichever project it signed in to when it was made."""
    try:
        theirs.compute.get_keypair(name)
    except sdk.NotFoundException:
        cloud.compute.update_quota_set(project_id, **UNBOUNDED)
        try:
            theirs.compute.create_keypair(name=name, public_key=public_key)
        except sdk.ConflictException:  # another worker was first
            return name
    return name


def ensure_group(cloud: Any, theirs: Any, project_id: str, group: Group, failures: Failures) -> str:
    """Id of the project's group of that name; `Conflict` if it is there with the other policy."""
    name, policy = f"siji-{group.name}", POLICIES[group.strict]
    found = _find(theirs, name)
    if found is None:
        cloud.compute.update_quota_set(project_id, **UNBOUNDED)
        made = theirs.compute.create_server_group(name=name, policy=policy)
        time.sleep(PAUSE_S)  # whoever makes one at the same time is seen then
        found = _find(theirs, name)
        if found.id != made.id:
            theirs.compute.delete_server_group(made, ignore_missing=True)
    if found.policy != policy:
        raise failures.conflict(
            f"反亲和组 {group.name} 已存在，策略为 {found.policy}",
            f"the anti-affinity group {group.name} is there with the policy {found.policy}",
        )
    return str(found.id)


def _find(theirs: Any, name: str) -> Any:
    """Of several that workers made at the same time, the one that all agree on: first one with servers."""
    found = [one for one in theirs.compute.server_groups() if one.name == name]
    return min(found, key=lambda one: (not one.member_ids, one.id), default=None)
