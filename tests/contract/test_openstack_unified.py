"""Unified limits: a Nova that says yes to a quota and heeds Keystone's, which Siji then sets."""

from collections.abc import Iterator
from typing import Any

import pytest

from provisioning.cloud.driver import OverQuota
from provisioning.cloud.observed import Server, ServerStatus
from provisioning.cloud.openstack import OpenStackCloud, session
from provisioning.quota import Limits
from tests.contract import openstack_lab
from tests.contract.cloud_bench import UNLIMITED, limits
from tests.contract.openstack_lab import ZONE
from tests.waiting import wait_until

NOVAS = {"servers", "class:VCPU", "class:MEMORY_MB"}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[openstack_lab.Tested]:
    """The smaller of the clouds, in this mode. Where all else is busy too, the first server of a Nova that
    was just started takes longer than Siji waits.
    """
    monkeypatch.setattr(session, "ANSWER_WITHIN_S", 60)
    with openstack_lab.unified_turn("small") as tested:
        for vcpus in (2, 4):
            tested.cloud.ensure_flavor(name=f"c{vcpus}", vcpus=vcpus, ram_mib=vcpus * 1024, root_gib=20)
        yield tested


def create(cloud: OpenStackCloud, project_id: str, name: str) -> Server:
    """Of 2 vCPU; ACTIVE, since Nova counts what Placement has allocated."""
    made = cloud.create_server(
        tag=f"unified:{name}",
        project_id=project_id,
        name=name,
        flavor="c2",
        image="Debian-12",
        zone=ZONE.name,
    )
    wait_until(lambda: cloud.get_server(made).status is ServerStatus.active)
    return cloud.get_server(made)


def hold(cloud: OpenStackCloud, project_id: str, wanted: Limits) -> None:
    """Push it; it is what Nova says it found."""
    pushed = cloud.set_quota(project_id, wanted)
    assert pushed.failed == {}
    assert pushed.limits == wanted


def refused(cloud: OpenStackCloud, project_id: str) -> list[dict[str, Any]]:
    """What the next server is short of; it leaves nothing behind."""
    with pytest.raises(OverQuota) as caught:
        create(cloud, project_id, "one-too-many")
    assert cloud.find_server("unified:one-too-many") is None
    found: list[dict[str, Any]] = caught.value.facts["shortfalls"]
    return found


def short(dimension: str, limit: int, used: int, asked: int) -> dict[str, Any]:
    return {"dimension": dimension, "limit": limit, "used": used, "asked": asked}


def check_fence(cloud: OpenStackCloud, project_id: str) -> None:
    """A limit holds, is raised, lowered below what is used, and lifted."""
    hold(cloud, project_id, limits(servers=2, vcpus=100, volumes=7, volume_gib=70, addresses=1))
    create(cloud, project_id, "one")
    server = create(cloud, project_id, "two")
    assert refused(cloud, project_id) == [short("servers", 2, 2, 1)]
    with pytest.raises(OverQuota) as caught:  # Nova counts a resize as one server more
        cloud.resize_server(server.id, flavor="c4")
    assert caught.value.facts["shortfalls"] == [short("servers", 2, 2, 1)]

    hold(cloud, project_id, limits(servers=3, vcpus=5, ram_mib=0))
    assert refused(cloud, project_id) == [short("vcpus", 5, 4, 2), short("ram_mib", 0, 4096, 2048)]

    hold(cloud, project_id, limits(servers=1))
    assert refused(cloud, project_id) == [short("servers", 1, 2, 1)]

    hold(cloud, project_id, UNLIMITED)
    create(cloud, project_id, "three")


def check_drift(small: openstack_lab.Tested, project_id: str) -> None:
    """Somebody changed one limit in Keystone and took another away: the next push puts both back."""
    hold(small.cloud, project_id, limits(servers=4, vcpus=8))
    there = {one.resource_name: one for one in small.admin.identity.limits(project_id=project_id)}
    assert there.keys() == NOVAS
    small.admin.identity.update_limit(there["servers"], resource_limit=40)
    small.admin.identity.delete_limit(there["class:VCPU"])
    assert small.cloud.get_quota(project_id) == limits(servers=40, vcpus=20)
    hold(small.cloud, project_id, limits(servers=4, vcpus=8))


def check_retired(cloud: OpenStackCloud, project_id: str) -> None:
    """The quota of a disabled project is pushed as well."""
    cloud.retire_project(project_id)
    hold(cloud, project_id, limits(servers=0, vcpus=0, ram_mib=0))
    cloud.revive_project(project_id)


def check_unregistered(small: openstack_lab.Tested, project_id: str) -> None:
    """A region that registers no limit of a name is told of by it; the other services take theirs."""
    identity = small.admin.identity
    for one in identity.limits():
        identity.delete_limit(one)
    for one in identity.registered_limits():
        if one.resource_name != "servers":
            identity.delete_registered_limit(one)
    pushed = small.cloud.set_quota(project_id, limits(servers=5, vcpus=5, volumes=5))
    assert pushed.failed.keys() == {"nova"}
    assert not pushed.failed["nova"].unanswered
    for told in (pushed.failed["nova"].zh, pushed.failed["nova"].en):
        for word in ("Keystone", "class:VCPU", "class:MEMORY_MB", "RegionOne", "registered limit create"):
            assert word in told
        assert "servers" not in told
    assert pushed.held["cinder"] == {"volumes": 5, "volume_gib": None}


def test_life_of_a_limit(small: openstack_lab.Tested) -> None:
    """One test, since Nova is started anew before and after it."""
    cloud = small.cloud
    project_id = cloud.ensure_project(bureau_code="1306-tyj", name="siji-1306-tyj", description="体育局")
    check_fence(cloud, project_id)
    check_drift(small, project_id)
    check_retired(cloud, project_id)
    check_unregistered(small, project_id)
