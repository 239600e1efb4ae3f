"""Servers that were there before Siji become a bureau's by a request: recorded, counted, tagged."""

from pathlib import Path

import pytest
from sqlalchemy import select

from identity.service.systems import transfer_system
from infra.database import reading, transaction
from provisioning.cloud.simulated import Fault
from provisioning.errors import QuotaExceeded, RequestInvalid, RequestOutdated
from provisioning.models import Lease, PushedQuota, RequestLine, Server
from provisioning.quota import Limits, Resources
from provisioning.service.asking import LineAsked
from provisioning.service.fences import push_quota
from provisioning.service.grants import grant_quota
from provisioning.service.looking import look_at_request
from provisioning.service.recount import recount
from provisioning.service.servers import release_server
from provisioning.service.tree import QuotaGuard
from tests.service.adopting import DISK, SIZE, UNKNOWN, adopt, adoption, build, volumes_of
from tests.yard import BIGGER, FLAVOR, IMAGE, REGION, Yard, make_spring_yard


@pytest.fixture(params=["database", "sqlite_database"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Yard:
    return make_spring_yard(request.getfixturevalue(request.param), tmp_path)


def test_what_was_there_is_recorded_counted_tagged_and_leased(yard: Yard) -> None:
    ids = build(yard, "oa-web", "oa-db")
    request_id = adopt(yard, *ids)
    assert yard.request(request_id).state == "provisioning"
    assert {server.state for server in yard.servers(request_id)} == {"adopting"}
    assert yard.held() == SIZE + SIZE + DISK + DISK
    yard.work()
    assert yard.request(request_id).state == "confirming"
    servers = yard.servers(request_id)
    assert [(one.name, one.cloud_id, one.state) for one in servers] == [
        ("oa-web", ids[0], "active"),
        ("oa-db", ids[1], "active"),
    ]
    for server in servers:
        there = yard.cloud.find_server(server.tag)
        assert there is not None
        assert (there.id, server.flavor, server.image, server.amounts) == (
            server.cloud_id,
            FLAVOR,
            IMAGE,
            SIZE,
        )
        [disk] = volumes_of(yard, server)
        seen = yard.cloud.find_volume(disk.tag)
        assert seen is not None
        assert (disk.state, disk.size_gib, seen.id, seen.server_id) == ("active", 30, disk.cloud_id, there.id)
    with reading(yard.engine) as session:
        assert list(session.scalars(select(Lease.end_on))) == [yard.end_on] * 2
    yard.check()


def test_a_stopped_server_stays_stopped(yard: Yard) -> None:
    [one] = build(yard, "off")
    yard.cloud.stop_server(one)
    request_id = adopt(yard, one)
    yard.work()
    assert yard.server(request_id).state == "stopped"


def test_an_adopted_server_lives_on_like_any_other(yard: Yard) -> None:
    [one] = build(yard, "oa")
    request_id = adopt(yard, one)
    yard.work()
    server = yard.server(request_id)
    yard.ask(LineAsked(target_id=server.id, flavor=BIGGER), kind="resize", end_on=None)
    yard.work()
    yard.ask(LineAsked(target_id=server.id, volume_gib=7), kind="volumes", end_on=None)
    yard.work()
    assert yard.cloud.get_server(one).flavor == BIGGER
    assert len(yard.cloud.list_volumes()) == 2
    with transaction(yard.engine) as session:
        release_server(session, server_id=server.id, at=yard.at, actor="person:1")
    yard.work()
    assert (yard.cloud.list_servers(), yard.cloud.list_volumes()) == ([], [])
    assert yard.held() == Resources()
    yard.check()


class TestProjects:
    def test_one_in_which_all_is_the_bureaus_becomes_its_own(self, yard: Yard) -> None:
        project = yard.region.make_project(name="old-town")
        first, second = build(yard, "a", "b", project=project)
        adopt(yard, first)
        yard.work()
        with reading(yard.engine) as session:
            assert list(session.scalars(select(Server.project))) == [project]
            assert session.scalar(select(PushedQuota.id)) is None
        adopt(yard, second)
        yard.work()
        with reading(yard.engine) as session:
            assert list(session.scalars(select(Server.project))) == [None, None]
        assert yard.project_of(yard.hall.town) == project
        [seen] = yard.cloud.list_projects()
        assert (seen.id, seen.name, seen.bureau_code) == (project, "old-town", "H-1-1")
        push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.town, at=yard.at)
        assert yard.cloud.get_quota(project)["servers"] == 300
        built = yard.ask(LineAsked(flavor=FLAVOR, image=IMAGE))
        yard.work()
        assert yard.cloud.get_server(yard.server(built).cloud_id or "").project_id == project

    def test_one_that_is_shared_stays_nobodys_and_is_not_fenced(self, yard: Yard) -> None:
        project = yard.region.make_project(name="old-shared")
        mine, _other = build(yard, "a", "b", project=project)
        request_id = adopt(yard, mine)
        yard.work()
        assert yard.server(request_id).project == project
        assert yard.cloud.list_projects() == []
        assert yard.cloud.get_quota(project)["servers"] is None
        built = yard.ask(LineAsked(flavor=FLAVOR, image=IMAGE))
        yard.work()
        own = yard.project_of(yard.hall.town)
        assert own != project
        assert yard.cloud.get_quota(own)["servers"] == 300
        assert yard.server(built).state == "active"

    def test_one_of_another_bureau_has_it_as_a_guest(self, yard: Yard) -> None:
        theirs = push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.county, at=yard.at)
        [one] = build(yard, "a", project=theirs)
        push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.county, at=yard.at)
        request_id = adopt(yard, one)
        yard.work()
        assert yard.server(request_id).project_bureau_id == yard.hall.county
        push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.county, at=yard.at)
        assert yard.cloud.get_quota(theirs)["servers"] == 301

    def test_a_second_one_of_the_bureau_stays_nobodys(self, yard: Yard) -> None:
        own = push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.town, at=yard.at)
        [one] = build(yard, "a")
        request_id = adopt(yard, one)
        yard.work()
        assert (yard.server(request_id).state, yard.project_of(yard.hall.town)) == ("active", own)
        assert yard.server(request_id).project == yard.cloud.get_server(one).project_id


class TestLooking:
    def test_warns_of_quota_at_submission_and_refuses_at_the_last_step(self, yard: Yard) -> None:
        small = Limits.of(servers=1, vcpus=1, ram_mib=4096, root_gib=40, volumes=1, volume_gib=30)
        with transaction(yard.engine) as session:
            grant_quota(
                session, region=REGION, bureau_id=yard.hall.town, limit=small, at=yard.at, actor="person:1"
            )
        [one] = build(yard, "oa")
        request_id = adoption(yard, one)
        assert [short["dimension"] for short in yard.submit(request_id)] == ["vcpus"]
        with pytest.raises(QuotaExceeded):
            yard.approve(request_id)
        assert yard.servers(request_id) == []

    def test_nothing_is_decided_before_somebody_looked(self, yard: Yard) -> None:
        [one] = build(yard, "oa")
        request_id = yard.draft(LineAsked(cloud_id=one), kind="adoption")
        assert yard.submit(request_id) == []
        with pytest.raises(RequestOutdated, match="has not been asked about"):
            yard.approve(request_id)
        look_at_request(yard.engine, yard.cloud, request_id=request_id, at=yard.at)
        yard.approve(request_id)
        yard.work()
        assert yard.server(request_id).state == "active"

    def test_one_that_is_not_there_is_told_by_its_line(self, yard: Yard) -> None:
        [one] = build(yard, "oa")
        request_id = adoption(yard, one, UNKNOWN)
        with pytest.raises(RequestInvalid) as refused:
            yard.submit(request_id)
        assert refused.value.facts["line"] == 2
        assert UNKNOWN in refused.value.message("en")
        assert "yard" in refused.value.message("zh")

    def test_an_outage_leaves_it_to_be_done_again(self, yard: Yard) -> None:
        [one] = build(yard, "oa")
        request_id = yard.draft(LineAsked(cloud_id=one), kind="adoption")
        yard.region.inject(Fault.down, operation="list_volumes")
        with pytest.raises(Exception, match="503"):
            look_at_request(yard.engine, yard.cloud, request_id=request_id, at=yard.at)
        with reading(yard.engine) as session:
            assert session.scalars(select(RequestLine.seen)).one() is None

    def test_the_wrong_zone_is_refused(self, yard: Yard) -> None:
        project = yard.region.make_project(name="old-outside")
        yard.cloud.set_quota(project, Limits.unlimited())
        server_id = yard.cloud.create_server(
            tag="x", project_id=project, name="web", flavor=FLAVOR, image=IMAGE, zone="internet"
        )
        with pytest.raises(RequestInvalid, match="zone internet"):
            yard.submit(adoption(yard, server_id))

    @pytest.mark.parametrize(
        "line",
        [
            LineAsked(cloud_id="../v2"),
            LineAsked(cloud_id=""),
            LineAsked(cloud_id="x" * 65),
            LineAsked(cloud_id="１２３"),
            LineAsked(cloud_id=UNKNOWN, count=2),
            LineAsked(cloud_id=UNKNOWN, flavor=FLAVOR),
            LineAsked(cloud_id=UNKNOWN, volume_gib=1),
            LineAsked(cloud_id=UNKNOWN, target_id=1),
            LineAsked(flavor=FLAVOR, image=IMAGE),
        ],
    )
    def test_a_line_names_an_id_and_nothing_else(self, yard: Yard, line: LineAsked) -> None:
        with pytest.raises(RequestInvalid) as refused:
            yard.draft(line, kind="adoption")
        assert refused.value.facts["line"] == 1

    def test_no_other_kind_names_one_and_no_id_stands_twice(self, yard: Yard) -> None:
        with pytest.raises(RequestInvalid):
            yard.draft(LineAsked(flavor=FLAVOR, image=IMAGE, cloud_id=UNKNOWN))
        with pytest.raises(RequestInvalid, match="in more than one line"):
            yard.draft(LineAsked(cloud_id=UNKNOWN), LineAsked(cloud_id=UNKNOWN), kind="adoption")


def test_a_system_that_changes_hands_takes_a_server_in_nobodys_project_along(yard: Yard) -> None:
    project = yard.region.make_project(name="old-shared")
    mine, _other = build(yard, "a", "b", project=project)
    request_id = adopt(yard, mine)
    yard.work()
    room = Limits.of(servers=9, vcpus=9, ram_mib=9000, root_gib=90, volumes=9, volume_gib=90)
    with transaction(yard.engine) as session:
        grant_quota(
            session, region=REGION, bureau_id=yard.hall.provider, limit=room, at=yard.at, actor="person:1"
        )
        transfer_system(
            session,
            system_id=yard.system_id,
            bureau_id=yard.hall.provider,
            at=yard.at,
            actor="person:1",
            guards=[QuotaGuard()],
        )
    server = yard.server(request_id)
    assert (server.bureau_id, server.project, server.project_bureau_id) == (yard.hall.provider, project, None)
    with reading(yard.engine) as session:
        assert recount(session) == []
