"""The cloud contract, for each of `clouds.CLOUDS`: taking over what other makers made."""

import pytest

from provisioning.cloud.driver import Conflict, NotInCloud, Permanent
from provisioning.cloud.observed import ServerStatus, VolumeStatus
from tests.contract.cloud_bench import UNKNOWN, UNLIMITED, Bench, assert_actionable
from tests.contract.clouds import Subject


class TestProjectsOfOthers:
    def test_are_listed_only_when_asked_for_and_belong_to_nobody(self, subject: Subject) -> None:
        made = subject.make_project("old-civil-affairs")
        assert made not in {one.id for one in subject.cloud.list_projects()}
        found = {one.id: one for one in subject.cloud.list_projects(with_others=True)}
        assert (found[made].name, found[made].bureau_code) == ("old-civil-affairs", "")

    def test_become_a_bureaus_and_keep_their_names(self, subject: Subject) -> None:
        cloud, made = subject.cloud, subject.make_project("old-health")
        for _ in range(2):
            cloud.adopt_project(made, bureau_code="1306-wjw")
        [found] = [one for one in cloud.list_projects(with_others=True) if one.id == made]
        assert (found.name, found.bureau_code) == ("old-health", "1306-wjw")

    def test_have_room_for_what_is_made_for_their_bureau(self, bench: Bench) -> None:
        made = bench.subject.make_project("old-water")
        bench.cloud.adopt_project(made, bureau_code="1306-slj")
        held = bench.cloud.set_quota(made, UNLIMITED).limits
        assert held is not None
        assert held["servers"] is None
        assert bench.create(project_id=made).project_id == made

    def test_of_nobody_take_volumes_and_snapshots_of_siji(self, bench: Bench) -> None:
        made = bench.subject.make_project("old-shared")
        bench.cloud.adopt_project(made, bureau_code=None)
        bench.cloud.set_quota(made, UNLIMITED)
        assert bench.volume(project_id=made).project_id == made
        [found] = [one for one in bench.cloud.list_projects(with_others=True) if one.id == made]
        assert found.bureau_code == ""

    def test_of_another_bureau_are_a_conflict(self, bench: Bench) -> None:
        with pytest.raises(Conflict) as caught:
            bench.cloud.adopt_project(bench.project_id, bureau_code="130602")
        assert_actionable(caught.value, bench.cloud.region)

    def test_a_bureau_has_one(self, bench: Bench) -> None:
        second = bench.subject.make_project("old-second")
        with pytest.raises(Conflict):
            bench.cloud.adopt_project(second, bureau_code="1306-zhb")
        found = {one.id: one for one in bench.cloud.list_projects(with_others=True)}
        assert found[second].bureau_code == ""

    @pytest.mark.parametrize("code", [None, "1306-x"])
    def test_that_are_not_there_are_told(self, subject: Subject, code: str | None) -> None:
        with pytest.raises(NotInCloud):
            subject.cloud.adopt_project(UNKNOWN, bureau_code=code)


class TestLabels:
    def test_a_server_bears_the_new_tag_and_no_more_the_old_one(self, bench: Bench) -> None:
        server = bench.running("old")
        for _ in range(2):
            bench.cloud.label_server(server.id, tag=bench.tag("new"))
        found = bench.cloud.find_server(bench.tag("new"))
        assert found is not None
        assert (found.id, found.tag, found.name) == (server.id, bench.tag("new"), "old")
        assert bench.cloud.find_server(bench.tag("old")) is None
        assert [one.tag for one in bench.cloud.list_servers()] == [bench.tag("new")]

    def test_a_stopped_server_takes_one_too(self, bench: Bench) -> None:
        server = bench.running()
        bench.cloud.stop_server(server.id)
        bench.until(server.id, ServerStatus.shutoff)
        bench.cloud.label_server(server.id, tag=bench.tag("new"))
        assert bench.cloud.get_server(server.id).tag == bench.tag("new")

    def test_a_server_that_is_not_at_rest_takes_none(self, bench: Bench) -> None:
        bench.subject.break_next("create_server")
        server = bench.until(bench.create().id, ServerStatus.error)
        with pytest.raises(Conflict) as caught:
            bench.cloud.label_server(server.id, tag=bench.tag("new"))
        assert_actionable(caught.value, bench.cloud.region)
        assert bench.cloud.get_server(server.id).tag == bench.tag("web-1")

    def test_a_volume_bears_the_new_tag_and_no_more_the_old_one(self, bench: Bench) -> None:
        server, volume = bench.running(), bench.available("old")
        bench.cloud.attach_volume(volume, server=server)
        bench.until_volume(volume.id, VolumeStatus.in_use)
        for _ in range(2):
            bench.cloud.label_volume(volume.id, tag=bench.tag("new"))
        found = bench.cloud.find_volume(bench.tag("new"))
        assert found is not None
        assert (found.id, found.server_id, found.name) == (volume.id, server.id, "old")
        assert bench.cloud.find_volume(bench.tag("old")) is None

    def test_what_is_not_there_is_told_and_a_tag_that_no_cloud_takes_refused(self, bench: Bench) -> None:
        server, volume = bench.running(), bench.available()
        with pytest.raises(NotInCloud):
            bench.cloud.label_server(UNKNOWN, tag=bench.tag("new"))
        with pytest.raises(NotInCloud):
            bench.cloud.label_volume(UNKNOWN, tag=bench.tag("new"))
        for tag in ("", "x" * 61, "两个字"):
            with pytest.raises(Permanent):
                bench.cloud.label_server(server.id, tag=tag)
            with pytest.raises(Permanent):
                bench.cloud.label_volume(volume.id, tag=tag)
