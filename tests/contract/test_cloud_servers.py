"""The cloud contract, for each of `clouds.CLOUDS`: servers, their resize and their snapshots."""

from collections.abc import Callable
from typing import Any

import pytest

from infra.errors import Kind
from provisioning.cloud.driver import (
    Conflict,
    NotInCloud,
    OverQuota,
    Permanent,
    Retryable,
)
from provisioning.cloud.observed import ImageStatus, ServerStatus
from tests.contract.cloud_bench import (
    PATIENCE,
    UNKNOWN,
    Bench,
    assert_actionable,
    limits,
    used_by_kind,
)


class TestServers:
    def test_go_from_build_to_active_with_everything_that_was_asked(self, bench: Bench) -> None:
        accepted = bench.create("web-1", flavor="c4")
        assert (accepted.status, accepted.fault, accepted.tag) == (
            ServerStatus.build,
            None,
            bench.tag("web-1"),
        )
        server = bench.until(accepted.id, ServerStatus.active)
        assert (server.id, server.name, server.project_id) == (accepted.id, "web-1", bench.project_id)
        assert (server.flavor, server.vcpus, server.ram_mib, server.root_gib) == ("c4", 4, 4096, 20)
        assert (server.zone, server.fault) == (bench.subject.zone, None)
        assert len(server.addresses) == 1
        assert server.created_at.utcoffset() is not None

    def test_are_found_by_tag_at_once_and_never_by_anothers(self, bench: Bench) -> None:
        assert bench.cloud.find_server(bench.tag("web-1")) is None
        accepted = bench.create("web-1")
        found = bench.cloud.find_server(bench.tag("web-1"))
        assert found is not None
        assert found.id == accepted.id
        assert bench.cloud.find_server(bench.tag("web")) is None

    def test_have_room_on_a_host_once_they_run_and_none_when_they_are_gone(self, bench: Bench) -> None:
        server = bench.running()
        assert bench.cloud.is_placed(server.id)
        bench.cloud.delete_server(server.id)
        bench.until_server_gone(server.id)
        for _ in range(PATIENCE):
            if not bench.cloud.is_placed(server.id):
                break
            bench.subject.wait()
        assert not bench.cloud.is_placed(server.id)
        assert not bench.cloud.is_placed(UNKNOWN)

    def test_take_the_longest_tag(self, bench: Bench) -> None:
        tag = bench.tag("x" * 60)[:60]
        asked: dict[str, Any] = {"project_id": bench.project_id, "name": "x", "flavor": "c2"}
        asked |= {"image": bench.subject.image, "zone": bench.subject.zone}
        made = bench.cloud.create_server(tag=tag, **asked)
        found = bench.cloud.find_server(tag)
        assert found is not None
        assert (found.id, found.tag) == (made, tag)

    def test_two_of_a_tag_are_two_servers_and_looking_it_up_says_so(self, bench: Bench) -> None:
        assert bench.create("twin").id != bench.create("twin").id
        with pytest.raises(Conflict):
            bench.cloud.find_server(bench.tag("twin"))

    def test_an_answer_lost_after_acceptance_leaves_one_that_the_tag_finds(self, bench: Bench) -> None:
        bench.subject.lose_next_answer("create_server")
        with pytest.raises(Retryable) as caught:
            bench.create("web-1")
        assert_actionable(caught.value, bench.cloud.region)
        found = bench.cloud.find_server(bench.tag("web-1"))
        assert found is not None
        assert bench.until(found.id, ServerStatus.active).tag == bench.tag("web-1")

    def test_one_that_cannot_be_built_ends_in_error_with_its_reason(self, bench: Bench) -> None:
        bench.subject.break_next("create_server")
        server = bench.until(bench.create().id, ServerStatus.error)
        assert server.fault
        bench.cloud.delete_server(server.id)
        bench.until_server_gone(server.id)

    def test_where_no_host_has_room_it_is_accepted_and_ends_in_error(self, small: Bench) -> None:
        first, *_ = [small.running(f"big-{number}", flavor="c16").id for number in range(4)]
        fifth = small.until(small.create("big-4", flavor="c16").id, ServerStatus.error)
        assert fifth.fault is not None
        assert "No valid host" in fifth.fault
        assert used_by_kind(small.cloud)["vcpus"] == 64
        small.cloud.delete_server(first)
        small.until_server_gone(first)
        small.running("big-5", flavor="c16")

    @pytest.mark.parametrize(
        "wrong",
        [{"name": ""}, {"name": "a\nb"}, {"name": "x" * 256}, {"tag": ""}, {"tag": "中文"},
         {"tag": "x" * 61}, {"zone": "moon"}, {"flavor": "none"}, {"image": "none"}, {"project_id": UNKNOWN}],
        ids=str,
    )  # fmt: skip
    def test_what_no_cloud_takes_is_refused_and_leaves_nothing(
        self, bench: Bench, wrong: dict[str, str]
    ) -> None:
        asked: dict[str, Any] = {"tag": bench.tag("x"), "project_id": bench.project_id, "name": "x"}
        asked |= {"flavor": "c2", "image": bench.subject.image, "zone": bench.subject.zone}
        with pytest.raises(Permanent) as caught:
            bench.cloud.create_server(**(asked | wrong))
        assert_actionable(caught.value, bench.cloud.region)
        assert bench.cloud.list_servers() == []

    def test_a_flavor_too_small_for_the_image_is_refused(self, bench: Bench) -> None:
        bench.cloud.ensure_flavor(name="tiny", vcpus=1, ram_mib=64, root_gib=1)
        with pytest.raises(Permanent):
            bench.create(flavor="tiny")

    def test_deleting_twice_is_fine_and_of_the_unknown_too(self, bench: Bench) -> None:
        server = bench.running()
        bench.cloud.delete_server(server.id)
        bench.cloud.delete_server(server.id)
        bench.until_server_gone(server.id)
        bench.cloud.delete_server(server.id)
        bench.cloud.delete_server(UNKNOWN)
        assert bench.cloud.find_server(bench.tag("web-1")) is None
        assert bench.cloud.list_servers() == []

    def test_can_be_deleted_while_building(self, bench: Bench) -> None:
        bench.cloud.delete_server(server_id := bench.create().id)
        bench.until_server_gone(server_id)
        assert used_by_kind(bench.cloud)["vcpus"] == 0

    def test_stop_and_start_can_be_repeated_and_keep_the_allocation(self, bench: Bench) -> None:
        server = bench.running()
        for _ in range(2):
            bench.cloud.stop_server(server.id)
            bench.until(server.id, ServerStatus.shutoff)
        assert used_by_kind(bench.cloud)["vcpus"] == 2
        for _ in range(2):
            bench.cloud.start_server(server.id)
            bench.until(server.id, ServerStatus.active)

    def test_what_is_building_is_left_alone_until_it_is_built(self, bench: Bench) -> None:
        server = bench.create()
        with pytest.raises(Conflict) as caught:
            bench.cloud.stop_server(server.id)
        assert_actionable(caught.value, bench.cloud.region)
        calls: list[Callable[[], None]] = [
            lambda: bench.cloud.resize_server(server.id, flavor="c4"),
            lambda: bench.cloud.reboot_server(server.id, hard=False),
            lambda: bench.cloud.shelve_server(server.id),
            lambda: bench.cloud.unshelve_server(server.id),
            lambda: bench.cloud.rebuild_server(server.id, image=bench.subject.image),
            lambda: bench.cloud.migrate_server(server.id, live=False),
        ]
        for call in calls:
            try:
                call()
            except Conflict:
                continue
            assert (
                bench.cloud.get_server(server.id).status is not ServerStatus.build
            )  # it was built meanwhile
            break

    def test_the_unknown_is_not_found_and_that_is_permanent(self, bench: Bench) -> None:
        cloud = bench.cloud
        calls: list[Callable[[], object]] = [
            lambda: cloud.get_server(UNKNOWN),
            lambda: cloud.stop_server(UNKNOWN),
            lambda: cloud.start_server(UNKNOWN),
            lambda: cloud.resize_server(UNKNOWN, flavor="c4"),
            lambda: cloud.confirm_resize(UNKNOWN),
            lambda: cloud.revert_resize(UNKNOWN),
            lambda: cloud.snapshot_server(UNKNOWN, tag="t", name="n"),
            lambda: cloud.reboot_server(UNKNOWN, hard=True),
            lambda: cloud.shelve_server(UNKNOWN),
            lambda: cloud.unshelve_server(UNKNOWN),
            lambda: cloud.rebuild_server(UNKNOWN, image=bench.subject.image),
            lambda: cloud.console_url(UNKNOWN),
            lambda: cloud.count_reboots(UNKNOWN),
            lambda: cloud.migrate_server(UNKNOWN, live=True),
            lambda: cloud.set_host_enabled("no-such-host", enabled=True, reason=""),
        ]
        for call in calls:
            with pytest.raises(NotInCloud) as caught:
                call()
            assert isinstance(caught.value, Permanent)
            assert caught.value.kind is Kind.not_found
            assert_actionable(caught.value, cloud.region)


class TestResize:
    def test_waits_for_confirmation_and_holds_both_sizes_until_then(self, bench: Bench) -> None:
        server = bench.running()
        bench.cloud.resize_server(server.id, flavor="c4")
        waiting = bench.until(server.id, ServerStatus.verify_resize)
        assert (waiting.flavor, waiting.vcpus) == ("c4", 4)
        assert used_by_kind(bench.cloud)["vcpus"] == 6
        bench.cloud.confirm_resize(server.id)
        assert bench.until(server.id, ServerStatus.active).flavor == "c4"
        assert used_by_kind(bench.cloud)["vcpus"] == 4

    def test_reverts_to_the_old_size(self, bench: Bench) -> None:
        server = bench.running()
        bench.cloud.resize_server(server.id, flavor="c4")
        bench.until(server.id, ServerStatus.verify_resize)
        bench.cloud.revert_resize(server.id)
        assert bench.until(server.id, ServerStatus.active).vcpus == 2
        assert used_by_kind(bench.cloud)["vcpus"] == 2

    def test_of_a_stopped_server_leaves_it_stopped(self, bench: Bench) -> None:
        server = bench.running(flavor="c4")
        bench.cloud.stop_server(server.id)
        bench.until(server.id, ServerStatus.shutoff)
        bench.cloud.resize_server(server.id, flavor="c2")
        bench.until(server.id, ServerStatus.verify_resize)
        bench.cloud.confirm_resize(server.id)
        assert bench.until(server.id, ServerStatus.shutoff).flavor == "c2"

    def test_over_the_quota_is_refused_and_shrinking_is_not(self, bench: Bench) -> None:
        server = bench.running(flavor="c4")
        bench.cloud.set_quota(bench.project_id, limits(vcpus=4))
        with pytest.raises(OverQuota):
            bench.cloud.resize_server(server.id, flavor="c16")
        assert bench.cloud.get_server(server.id).status is ServerStatus.active
        bench.cloud.resize_server(server.id, flavor="c2")
        bench.until(server.id, ServerStatus.verify_resize)

    def test_without_room_it_is_accepted_and_returns_to_what_it_was(self, small: Bench) -> None:
        for number in range(3):
            small.running(f"big-{number}", flavor="c16")
        server = small.running("little", flavor="c2")
        small.cloud.resize_server(server.id, flavor="c16")
        assert small.until(server.id, ServerStatus.active).flavor == "c2"
        assert used_by_kind(small.cloud)["vcpus"] == 50

    def test_to_its_own_flavor_and_confirming_nothing_are_refused(self, bench: Bench) -> None:
        server = bench.running()
        with pytest.raises(Permanent):
            bench.cloud.resize_server(server.id, flavor="c2")
        with pytest.raises(Conflict):
            bench.cloud.confirm_resize(server.id)
        with pytest.raises(Conflict):
            bench.cloud.revert_resize(server.id)

    def test_can_be_deleted_in_the_middle(self, bench: Bench) -> None:
        server = bench.running()
        bench.cloud.resize_server(server.id, flavor="c4")
        bench.until(server.id, ServerStatus.verify_resize)
        bench.cloud.delete_server(server.id)
        bench.until_server_gone(server.id)
        assert used_by_kind(bench.cloud)["vcpus"] == 0


class TestSnapshots:
    def test_are_found_by_tag_at_once_become_active_and_outlive_the_server(self, bench: Bench) -> None:
        server = bench.running()
        made = bench.cloud.snapshot_server(server.id, tag=bench.tag("snap"), name="web-1 到期快照")
        found = bench.cloud.find_image(bench.tag("snap"))
        assert found is not None
        assert (found.id, found.name) == (made.id, "web-1 到期快照")
        for _ in range(PATIENCE):
            if found is not None and found.status is ImageStatus.active:
                break
            bench.subject.wait()
            found = bench.cloud.find_image(bench.tag("snap"))
        assert found is not None
        assert found.status is ImageStatus.active
        bench.cloud.delete_server(server.id)
        bench.until_server_gone(server.id)
        assert made.id in [image.id for image in bench.cloud.list_images()]
        bench.cloud.delete_image(made.id)
        bench.cloud.delete_image(made.id)
        assert bench.cloud.find_image(bench.tag("snap")) is None
