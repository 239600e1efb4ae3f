"""What only OpenStack shows: how a server's first boot, its key and its security group are told to it."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.settings import SecurityRule, Zone
from provisioning.cloud.driver import Permanent
from provisioning.cloud.openstack import OpenStackCloud
from provisioning.cloud.options import Group, Options
from tests.contract import openstack_lab
from tests.contract.cloud_bench import UNLIMITED
from tests.contract.openstack_lab import ZONE
from tests.contract.test_cloud_options import KEY, OTHER_KEY
from tests.waiting import wait_until

CREATES = r"POST .*/servers$"
SSH = SecurityRule(protocol="tcp", ports=(22, 22), cidr="10.0.0.0/8", description="运维 · SSH")
WEB = SecurityRule(protocol="tcp", ports=(80, 443), cidr="0.0.0.0/0")
PING = SecurityRule(protocol="icmp", cidr="fd00::/8")
NAMES = SecurityRule(protocol="udp", ports=(53, 53), cidr="10.8.0.2/32", direction="egress")
OUTWARD = {("egress", "IPv4", None, None, "0.0.0.0/0"), ("egress", "IPv6", None, None, "::/0")}


@pytest.fixture
def city() -> Iterator[openstack_lab.Tested]:
    """The larger of the lab's clouds, where servers of this project can be made."""
    with openstack_lab.turn("city") as tested:
        tested.cloud.ensure_flavor(name="c2", vcpus=2, ram_mib=2048, root_gib=20)
        yield tested


@pytest.fixture
def project_id(city: openstack_lab.Tested) -> str:
    """A project that has been there for a while or not."""
    found = city.cloud.ensure_project(bureau_code="1306-gaj", name="siji-1306-gaj", description="市公安局")
    city.cloud.set_quota(found, UNLIMITED)
    for one in city.admin.network.security_groups(project_id=found):
        if one.name != "default":
            city.admin.network.delete_security_group(one)
    return found


def create(cloud: OpenStackCloud, project_id: str, name: str, options: Options | None = None) -> str:
    return cloud.create_server(
        tag=name,
        project_id=project_id,
        name=name,
        flavor="c2",
        image="Debian-12",
        zone=ZONE.name,
        options=options or Options(),
    )


def zone(*rules: SecurityRule) -> Zone:
    return ZONE.model_copy(update={"rules": rules})


def rules_of(city: openstack_lab.Tested, project_id: str) -> set[tuple[Any, ...]]:
    """Of the only group of the zone's name in the project."""
    [group] = city.admin.network.security_groups(project_id=project_id, name="siji-extranet")
    return {
        (
            one.direction,
            one.ether_type,
            one.protocol,
            None if one.port_range_min is None else (one.port_range_min, one.port_range_max),
            one.remote_ip_prefix or {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}[one.ether_type],
        )
        for one in city.admin.network.security_group_rules(security_group_id=group.id)
    }


class TestFirstBoot:
    def test_password_and_user_data_reach_nova_as_it_takes_them(
        self, city: openstack_lab.Tested, project_id: str
    ) -> None:
        sent: list[dict[str, Any]] = []
        city.proxies["compute"].alter_next(CREATES, sent.append)
        options = Options(admin_password="Bd-4!x9Q", user_data="#cloud-config\n# 保定\n", root_volume_gib=25)
        server_id = create(city.cloud, project_id, "boot", options)
        told = city.admin.compute.get_server(server_id)
        assert base64.b64decode(told.user_data).decode() == "#cloud-config\n# 保定\n"
        asked = sent[0]["server"]
        assert asked["adminPass"] == "Bd-4!x9Q"
        assert "imageRef" not in asked
        [root] = asked["block_device_mapping_v2"]
        assert (root["volume_size"], root["delete_on_termination"]) == (25, True)

    def test_a_refusal_that_quotes_the_password_is_told_without_it(
        self, city: openstack_lab.Tested, project_id: str
    ) -> None:
        def spoil(body: dict[str, Any]) -> None:
            body["server"]["adminPass"] = [body["server"]["adminPass"]]  # Nova's answer quotes it

        city.proxies["compute"].alter_next(CREATES, spoil)
        with pytest.raises(Permanent) as caught:
            create(city.cloud, project_id, "boot", Options(admin_password="Bd-4!x9Q"))
        assert "Bd-4!x9Q" not in json.dumps(caught.value.facts, ensure_ascii=False)
        assert "Bd-4!x9Q" not in caught.value.message("zh") + caught.value.message("en")
        assert caught.value.__suppress_context__

    def test_more_keys_and_groups_than_novas_own_quota_has_room_for(
        self, city: openstack_lab.Tested, project_id: str
    ) -> None:
        city.admin.compute.update_quota_set(project_id, key_pairs=0, server_groups=0, server_group_members=0)
        for key in (KEY, OTHER_KEY):
            name = Options(public_key=key).key_name
            with_key = city.another(ZONE)
            city.admin.compute.delete_keypair(name, ignore_missing=True)
            options = Options(public_key=key, group=Group(name=f"g-{name}"[:60], strict=False))
            server_id = create(with_key, project_id, f"key-{name}"[:60], options)
            assert city.admin.compute.get_server(server_id).key_name == name

    def test_workers_that_race_end_with_one_group(self, city: openstack_lab.Tested, project_id: str) -> None:
        options = Options(group=Group(name="raced", strict=False), public_key=KEY)
        workers = [city.another(ZONE) for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            each = pool.map(lambda n: create(workers[n], project_id, f"r-{n}", options), range(3))
            made = set(each)
        groups = [one for one in city.admin.compute.server_groups(all_projects=True)]
        assert [(one.name, set(one.member_ids)) for one in groups] == [("siji-raced", made)]

    def test_a_key_or_group_that_somebody_took_away_is_made_again(
        self, city: openstack_lab.Tested, project_id: str
    ) -> None:
        options = Options(group=Group(name="lost", strict=False), public_key=KEY)
        create(city.cloud, project_id, "before", options)
        city.admin.compute.delete_keypair(options.key_name)
        with pytest.raises(Permanent):
            create(city.cloud, project_id, "between", options)
        create(city.cloud, project_id, "after", options)


class TestSecurityGroups:
    def test_servers_have_the_zones_and_it_has_the_settings_rules(
        self, city: openstack_lab.Tested, project_id: str
    ) -> None:
        server_id = create(city.another(zone(SSH, PING)), project_id, "web")
        assert rules_of(city, project_id) == {
            ("ingress", "IPv4", "tcp", (22, 22), "10.0.0.0/8"),
            ("ingress", "IPv6", "ipv6-icmp", None, "fd00::/8"),
            *OUTWARD,
        }
        wait_until(lambda: bool(list(city.admin.network.ports(device_id=server_id))))
        [port] = city.admin.network.ports(device_id=server_id)
        [group_id] = port.security_group_ids
        assert city.admin.network.get_security_group(group_id).name == "siji-extranet"

    def test_follow_a_changed_template_and_leave_other_groups_alone(
        self, city: openstack_lab.Tested, project_id: str
    ) -> None:
        create(city.another(zone(SSH)), project_id, "one")
        theirs = city.admin.network.create_security_group(name="theirs", project_id=project_id)
        before = len(list(city.admin.network.security_group_rules(security_group_id=theirs.id)))
        create(city.another(zone(WEB, NAMES)), project_id, "two")
        assert rules_of(city, project_id) == {
            ("ingress", "IPv4", "tcp", (80, 443), "0.0.0.0/0"),
            ("egress", "IPv4", "udp", (53, 53), "10.8.0.2/32"),
        }
        assert len(list(city.admin.network.security_group_rules(security_group_id=theirs.id))) == before
        create(city.another(zone(WEB)), project_id, "three")
        assert rules_of(city, project_id) == {
            ("ingress", "IPv4", "tcp", (80, 443), "0.0.0.0/0"),
            *OUTWARD,
        }

    def test_without_rules_there_is_none_of_ours(self, city: openstack_lab.Tested, project_id: str) -> None:
        create(city.another(ZONE), project_id, "web")
        found = city.admin.network.security_groups(project_id=project_id)
        assert [one.name for one in found] == ["default"]

    def test_workers_that_race_end_with_one(self, city: openstack_lab.Tested, project_id: str) -> None:
        workers = [city.another(zone(SSH, WEB)) for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda n: create(workers[n], project_id, f"w-{n}"), range(3)))
        assert len(rules_of(city, project_id)) == 4
