"""The cloud contract, for each of `clouds.CLOUDS`: hosts that are emptied, and anti-affinity between them."""

import pytest

from provisioning.cloud.driver import Conflict, Permanent
from provisioning.cloud.observed import ServerStatus, VolumeStatus
from provisioning.cloud.options import Group, Options
from tests.contract.cloud_bench import Bench, assert_actionable, used_by_kind


class TestHosts:
    def test_are_those_that_servers_are_on_and_up(self, bench: Bench) -> None:
        hosts = bench.cloud.list_hosts()
        assert [one.name for one in hosts] == sorted(one.name for one in hosts)
        assert {(one.enabled, one.up, one.reason) for one in hosts} == {(True, True, None)}
        assert bench.running().host in [one.name for one in hosts]
        assert bench.create("not-yet").host is None

    def test_that_are_not_enabled_take_no_server_until_they_are(self, small: Bench) -> None:
        kept, *others = [one.name for one in small.cloud.list_hosts()]
        for name in others:
            small.cloud.set_host_enabled(name, enabled=False, reason="更换内存")
            small.cloud.set_host_enabled(name, enabled=False, reason="更换内存条")
        told = {one.name: (one.enabled, one.reason) for one in small.cloud.list_hosts()}
        assert told == {kept: (True, None), **dict.fromkeys(others, (False, "更换内存条"))}
        assert {small.running(f"web-{number}").host for number in range(2)} == {kept}
        small.cloud.set_host_enabled(kept, enabled=False, reason="更换内存")
        small.until(small.create("nowhere").id, ServerStatus.error)
        small.cloud.set_host_enabled(others[0], enabled=True, reason="")
        assert small.running("again").host == others[0]

    @pytest.mark.parametrize("reason", ["", "因" * 256])
    def test_are_not_shut_without_a_reason_that_can_be_kept(self, bench: Bench, reason: str) -> None:
        name = bench.cloud.list_hosts()[0].name
        with pytest.raises(Permanent) as caught:
            bench.cloud.set_host_enabled(name, enabled=False, reason=reason)
        assert_actionable(caught.value, bench.cloud.region)
        assert all(one.enabled for one in bench.cloud.list_hosts())


class TestMigration:
    def test_live_moves_a_running_server_and_its_room(self, bench: Bench) -> None:
        server = bench.running()
        volume = bench.attached(server)
        bench.cloud.migrate_server(server.id, live=True)
        moved = bench.until(server.id, ServerStatus.active)
        assert moved.host not in (None, server.host)
        assert (moved.addresses, moved.flavor) == (server.addresses, server.flavor)
        assert bench.until_volume(volume.id, VolumeStatus.in_use).server_id == server.id
        assert used_by_kind(bench.cloud)["vcpus"] == 2

    def test_cold_waits_for_confirmation_and_holds_both_hosts_until_then(self, bench: Bench) -> None:
        server = bench.stopped()
        with pytest.raises(Conflict):
            bench.cloud.migrate_server(server.id, live=True)
        bench.cloud.migrate_server(server.id, live=False)
        waiting = bench.until(server.id, ServerStatus.verify_resize)
        assert waiting.host not in (None, server.host)
        assert (waiting.flavor, used_by_kind(bench.cloud)["vcpus"]) == ("c2", 4)
        bench.cloud.confirm_resize(server.id)
        assert bench.until(server.id, ServerStatus.shutoff).host == waiting.host
        assert used_by_kind(bench.cloud)["vcpus"] == 2

    def test_cold_can_be_reverted(self, bench: Bench) -> None:
        server = bench.running()
        bench.cloud.migrate_server(server.id, live=False)
        bench.until(server.id, ServerStatus.verify_resize)
        bench.cloud.revert_resize(server.id)
        assert bench.until(server.id, ServerStatus.active).host == server.host
        assert used_by_kind(bench.cloud)["vcpus"] == 2

    @pytest.mark.parametrize("live", [True, False])
    def test_where_no_other_host_takes_it_it_returns_to_what_it_was(self, bench: Bench, live: bool) -> None:
        server = bench.running()
        for one in bench.cloud.list_hosts():
            if one.name != server.host:
                bench.cloud.set_host_enabled(one.name, enabled=False, reason="检修")
        bench.cloud.migrate_server(server.id, live=live)
        assert bench.until(server.id, ServerStatus.active).host == server.host
        assert used_by_kind(bench.cloud)["vcpus"] == 2


class TestGroups:
    def test_strict_ones_have_a_server_a_host_and_no_more(self, small: Bench) -> None:
        hosts = {one.name for one in small.cloud.list_hosts()}
        options = Options(group=Group(name=small.tag("db"), strict=True))
        made = [small.running(f"db-{name}", options=options) for name in sorted(hosts)]
        assert {one.host for one in made} == hosts
        assert {one.group for one in small.cloud.list_servers()} == {small.tag("db")}
        small.until(small.create("one-too-many", options=options).id, ServerStatus.error)
        small.cloud.migrate_server(made[0].id, live=True)
        assert small.until(made[0].id, ServerStatus.active).host == made[0].host

    def test_others_share_a_host_when_all_have_one(self, small: Bench) -> None:
        hosts = {one.name for one in small.cloud.list_hosts()}
        options = Options(group=Group(name=small.tag("web"), strict=False))
        made = [small.running(f"web-{number}", options=options) for number in range(len(hosts) + 1)]
        assert {one.host for one in made} == hosts
        assert small.running("apart").group is None

    def test_of_the_other_policy_are_a_conflict(self, bench: Bench) -> None:
        bench.running(options=Options(group=Group(name=bench.tag("db"), strict=True)))
        with pytest.raises(Conflict) as caught:
            bench.create("two", options=Options(group=Group(name=bench.tag("db"), strict=False)))
        assert_actionable(caught.value, bench.cloud.region)
