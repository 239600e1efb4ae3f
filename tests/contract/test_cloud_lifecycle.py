"""The cloud contract, for each of `clouds.CLOUDS`: reboots, shelving, rebuilding, screens."""

import pytest

from provisioning.cloud.driver import Conflict, Permanent
from provisioning.cloud.observed import ServerStatus, VolumeStatus
from tests.contract.cloud_bench import Bench, assert_actionable, used_by_kind


class TestReboot:
    def test_ends_where_it_began_and_can_be_repeated(self, bench: Bench) -> None:
        server = bench.running()
        for before, hard in enumerate((False, True)):
            assert bench.cloud.count_reboots(server.id) == before
            bench.cloud.reboot_server(server.id, hard=hard)
            assert bench.cloud.count_reboots(server.id) == before + 1
            assert bench.until(server.id, ServerStatus.active).host == server.host
        assert bench.cloud.count_reboots(server.id) == 2

    def test_of_a_stopped_server_is_hard_or_none(self, bench: Bench) -> None:
        server = bench.stopped()
        with pytest.raises(Conflict) as caught:
            bench.cloud.reboot_server(server.id, hard=False)
        assert_actionable(caught.value, bench.cloud.region)
        assert bench.cloud.count_reboots(server.id) == 0
        bench.cloud.reboot_server(server.id, hard=True)
        bench.until(server.id, ServerStatus.active)


class TestShelving:
    def test_leaves_the_host_and_comes_back_with_all_that_it_had(self, bench: Bench) -> None:
        server = bench.running()
        volume = bench.attached(server)
        for _ in range(2):
            bench.cloud.shelve_server(server.id)
            shelved = bench.until(server.id, ServerStatus.shelved)
        assert (shelved.host, shelved.flavor, shelved.tag) == (None, "c2", server.tag)
        assert used_by_kind(bench.cloud)["vcpus"] == 0
        assert bench.cloud.get_volume(volume.id).status in (VolumeStatus.in_use, VolumeStatus.attaching)
        for call in (
            lambda: bench.cloud.stop_server(server.id),
            lambda: bench.cloud.reboot_server(server.id, hard=True),
            lambda: bench.cloud.console_url(server.id),
            lambda: bench.cloud.migrate_server(server.id, live=True),
        ):
            with pytest.raises(Conflict):
                call()
        for _ in range(2):
            bench.cloud.unshelve_server(server.id)
            back = bench.until(server.id, ServerStatus.active)
        assert back.host is not None
        assert (back.addresses, back.image_id) == (server.addresses, server.image_id)
        assert bench.until_volume(volume.id, VolumeStatus.in_use).server_id == server.id
        assert used_by_kind(bench.cloud)["vcpus"] == 2

    def test_of_a_stopped_server_and_its_end_on_the_shelf(self, bench: Bench) -> None:
        server = bench.stopped()
        with pytest.raises(Conflict):
            bench.cloud.unshelve_server(server.id)
        bench.cloud.shelve_server(server.id)
        bench.until(server.id, ServerStatus.shelved)
        bench.cloud.delete_server(server.id)
        bench.until_server_gone(server.id)

    def test_stays_on_the_shelf_where_no_host_has_room(self, small: Bench) -> None:
        server = small.running("first", flavor="c16")
        small.cloud.shelve_server(server.id)
        small.until(server.id, ServerStatus.shelved)
        for number in range(4):
            small.running(f"big-{number}", flavor="c16")
        small.cloud.unshelve_server(server.id)
        assert small.until(server.id, ServerStatus.shelved).host is None


class TestRebuild:
    def test_changes_the_image_and_nothing_else(self, bench: Bench) -> None:
        server = bench.running()
        volume = bench.attached(server)
        images = {one.name: one.id for one in bench.cloud.list_images()}
        bench.cloud.rebuild_server(server.id, image=bench.subject.other_image)
        rebuilt = bench.until(server.id, ServerStatus.active)
        assert rebuilt.image_id == images[bench.subject.other_image] != server.image_id
        assert (rebuilt.id, rebuilt.tag, rebuilt.host) == (server.id, server.tag, server.host)
        assert rebuilt.addresses == server.addresses
        assert bench.until_volume(volume.id, VolumeStatus.in_use).server_id == server.id

    def test_of_a_stopped_server_leaves_it_stopped(self, bench: Bench) -> None:
        server = bench.stopped()
        bench.cloud.rebuild_server(server.id, image=bench.subject.image)
        assert bench.until(server.id, ServerStatus.shutoff).image_id == server.image_id

    def test_from_an_image_that_is_too_large_or_missing_is_refused(self, bench: Bench) -> None:
        server = bench.running()
        for image in (bench.subject.too_large_image, "none"):
            with pytest.raises(Permanent) as caught:
                bench.cloud.rebuild_server(server.id, image=image)
            assert_actionable(caught.value, bench.cloud.region)
        assert bench.cloud.get_server(server.id).status is ServerStatus.active


class TestConsole:
    def test_has_an_address_or_says_why_there_is_none(self, bench: Bench) -> None:
        server = bench.running()
        if bench.subject.console is None:
            with pytest.raises(Permanent) as caught:
                bench.cloud.console_url(server.id)
            assert_actionable(caught.value, bench.cloud.region)
            return
        one, other = bench.cloud.console_url(server.id), bench.cloud.console_url(server.id)
        assert one.startswith(bench.subject.console)
        assert "token" in one
        assert one != other
