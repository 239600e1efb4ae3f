"""The cloud contract, for each of `clouds.CLOUDS`: volumes and public addresses."""

from dataclasses import replace

import pytest

from provisioning.cloud.driver import (
    Conflict,
    NotInCloud,
    OverQuota,
    Permanent,
    Retryable,
)
from provisioning.cloud.observed import VolumeStatus
from tests.contract.cloud_bench import (
    UNKNOWN,
    UNLIMITED,
    Bench,
    assert_actionable,
    limits,
    used_by_kind,
)


class TestVolumes:
    def test_are_created_attached_detached_and_deleted(self, bench: Bench) -> None:
        server, accepted = bench.running(), bench.volume(size_gib=12)
        assert (accepted.status, accepted.tag) == (VolumeStatus.creating, bench.tag("data-1"))
        found = bench.cloud.find_volume(bench.tag("data-1"))
        assert found is not None
        assert found.id == accepted.id
        volume = bench.until_volume(accepted.id, VolumeStatus.available)
        assert (volume.size_gib, volume.server_id, volume.project_id) == (12, None, bench.project_id)
        bench.cloud.attach_volume(volume, server=server)
        assert bench.until_volume(volume.id, VolumeStatus.in_use).server_id == server.id
        bench.cloud.detach_volume(volume.id)
        assert bench.until_volume(volume.id, VolumeStatus.available).server_id is None
        bench.cloud.delete_volume(volume.id)
        bench.until_volume_gone(volume.id)
        assert bench.cloud.find_volume(bench.tag("data-1")) is None

    def test_an_answer_lost_after_acceptance_leaves_one_that_the_tag_finds(self, bench: Bench) -> None:
        bench.subject.lose_next_answer("create_volume")
        with pytest.raises(Retryable):
            bench.volume()
        found = bench.cloud.find_volume(bench.tag("data-1"))
        assert found is not None
        bench.until_volume(found.id, VolumeStatus.available)
        assert len(bench.cloud.list_volumes()) == 1

    def test_each_step_can_be_repeated(self, bench: Bench) -> None:
        server, volume = bench.running(), bench.available()
        for _ in range(2):
            bench.cloud.attach_volume(volume, server=server)
        bench.until_volume(volume.id, VolumeStatus.in_use)
        bench.cloud.attach_volume(volume, server=server)
        assert bench.cloud.get_volume(volume.id).status is VolumeStatus.in_use
        for _ in range(2):
            bench.cloud.detach_volume(volume.id)
            bench.until_volume(volume.id, VolumeStatus.available)
        bench.cloud.delete_volume(volume.id)
        bench.cloud.delete_volume(volume.id)
        bench.until_volume_gone(volume.id)
        bench.cloud.delete_volume(volume.id)
        bench.cloud.delete_volume(UNKNOWN)

    def test_attached_to_another_server_or_still_attached_is_a_conflict(self, bench: Bench) -> None:
        one, two, volume = bench.running("one"), bench.running("two"), bench.available()
        bench.cloud.attach_volume(volume, server=one)
        bench.until_volume(volume.id, VolumeStatus.in_use)
        with pytest.raises(Conflict):
            bench.cloud.attach_volume(volume, server=two)
        with pytest.raises(Conflict):
            bench.cloud.delete_volume(volume.id)
        assert bench.cloud.get_volume(volume.id).server_id == one.id

    def test_grow_while_available_and_in_use_and_keep_their_status(self, bench: Bench) -> None:
        server, volume = bench.running(), bench.available(size_gib=10)
        for size_gib, status in ((12, VolumeStatus.available), (15, VolumeStatus.in_use)):
            bench.cloud.extend_volume(volume.id, size_gib=size_gib)
            grown = bench.until_volume(volume.id, status)
            assert grown.size_gib == size_gib
            bench.cloud.extend_volume(volume.id, size_gib=size_gib)
            bench.cloud.attach_volume(volume, server=server)
            bench.until_volume(volume.id, VolumeStatus.in_use)
        assert bench.cloud.get_volume(volume.id).server_id == server.id
        assert used_by_kind(bench.cloud)["volume_gib"] == 15
        with pytest.raises(Permanent) as caught:
            bench.cloud.extend_volume(volume.id, size_gib=14)
        assert_actionable(caught.value, bench.cloud.region)

    def test_grow_within_the_quota_only(self, bench: Bench) -> None:
        volume = bench.available(size_gib=10)
        bench.cloud.set_quota(bench.project_id, limits(volume_gib=12))
        with pytest.raises(OverQuota) as caught:
            bench.cloud.extend_volume(volume.id, size_gib=13)
        assert caught.value.facts["shortfalls"] == [
            {"dimension": "volume_gib", "limit": 12, "used": 10, "asked": 3}
        ]
        assert bench.cloud.get_volume(volume.id).status is VolumeStatus.available
        bench.cloud.extend_volume(volume.id, size_gib=12)
        assert bench.until_volume(volume.id, VolumeStatus.available).size_gib == 12

    def test_do_not_grow_while_something_else_is_under_way(self, bench: Bench) -> None:
        with pytest.raises(Conflict) as caught:
            bench.cloud.extend_volume(bench.volume(size_gib=10).id, size_gib=11)
        assert_actionable(caught.value, bench.cloud.region)

    def test_keep_their_size_where_the_pool_has_no_room(self, small: Bench) -> None:
        volume = small.available(size_gib=1_000)
        small.cloud.extend_volume(volume.id, size_gib=2_001)
        assert small.until_volume(volume.id, VolumeStatus.available).size_gib == 1_000
        assert used_by_kind(small.cloud)["volume_gib"] == 1_000

    def test_of_another_project_is_refused(self, bench: Bench) -> None:
        other = bench.cloud.ensure_project(bureau_code="130602", name="siji-130602", description="竞秀区")
        bench.cloud.set_quota(other, UNLIMITED)
        volume = bench.volume(project_id=other)
        bench.until_volume(volume.id, VolumeStatus.available)
        with pytest.raises(Permanent):
            bench.cloud.attach_volume(volume, server=bench.running())

    def test_stay_when_their_server_is_deleted(self, bench: Bench) -> None:
        server, volume = bench.running(), bench.available()
        bench.cloud.attach_volume(volume, server=server)
        bench.until_volume(volume.id, VolumeStatus.in_use)
        bench.cloud.delete_server(server.id)
        bench.until_server_gone(server.id)
        assert bench.until_volume(volume.id, VolumeStatus.available).server_id is None

    def test_where_no_pool_has_room_it_is_accepted_and_ends_in_error(self, small: Bench) -> None:
        small.available("most", size_gib=1_900)
        volume = small.until_volume(small.volume("rest", size_gib=101).id, VolumeStatus.error)
        assert used_by_kind(small.cloud)["volume_gib"] == 1_900
        small.cloud.delete_volume(volume.id)
        small.until_volume_gone(volume.id)
        small.available("just", size_gib=100)

    def test_the_unknown_is_not_found(self, bench: Bench) -> None:
        server, volume = bench.running(), bench.available()
        for call in (
            lambda: bench.cloud.get_volume(UNKNOWN),
            lambda: bench.cloud.detach_volume(UNKNOWN),
            lambda: bench.cloud.extend_volume(UNKNOWN, size_gib=11),
            lambda: bench.cloud.attach_volume(replace(volume, id=UNKNOWN), server=server),
            lambda: bench.cloud.attach_volume(volume, server=replace(server, id=UNKNOWN)),
        ):
            with pytest.raises(NotInCloud):
                call()


class TestAddresses:
    def test_an_answer_lost_after_acceptance_leaves_one_that_the_tag_finds(self, bench: Bench) -> None:
        bench.subject.lose_next_answer("create_address")
        with pytest.raises(Retryable):
            bench.cloud.create_address(tag=bench.tag("ip"), project_id=bench.project_id)
        assert bench.cloud.list_addresses() == [bench.cloud.find_address(bench.tag("ip"))]

    def test_are_taken_led_to_a_server_and_given_back(self, bench: Bench) -> None:
        server = bench.running()
        taken = bench.cloud.create_address(tag=bench.tag("ip"), project_id=bench.project_id)
        assert bench.cloud.find_address(bench.tag("ip")) == taken
        for _ in range(2):
            bench.cloud.associate_address(taken.id, server_id=server.id)
        assert [(each.address, each.server_id) for each in bench.cloud.list_addresses()] == [
            (taken.address, server.id)
        ]
        with pytest.raises(Conflict):
            bench.cloud.associate_address(taken.id, server_id=bench.running("two").id)
        bench.cloud.associate_address(taken.id, server_id=None)
        bench.cloud.delete_address(taken.id)
        bench.cloud.delete_address(taken.id)
        assert bench.cloud.find_address(bench.tag("ip")) is None
        with pytest.raises(NotInCloud):
            bench.cloud.associate_address(taken.id, server_id=server.id)

    def test_a_pool_used_up_refuses_and_takes_again_what_came_back(self, small: Bench) -> None:
        taken = [
            small.cloud.create_address(tag=small.tag(f"ip-{n}"), project_id=small.project_id)
            for n in range(3)
        ]
        assert len({each.address for each in taken}) == 3
        with pytest.raises(Permanent):
            small.cloud.create_address(tag=small.tag("ip-3"), project_id=small.project_id)
        small.cloud.delete_address(taken[1].id)
        again = small.cloud.create_address(tag=small.tag("ip-3"), project_id=small.project_id)
        assert again.address == taken[1].address
