"""Adoption by a case: looking, claiming, tagging; what changed since, what was recorded already, races."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from identity.service.systems import transfer_system
from infra.database import reading, transaction
from provisioning.cloud.simulated import Fault
from provisioning.errors import QuotaExceeded, RequestInvalid, RequestOutdated, ServerRecorded
from provisioning.models import Lease, PushedQuota, RequestLine, Server, Volume
from provisioning.quota import Limits, Resources
from provisioning.service.adoption import look_at_request
from provisioning.service.asking import LineAsked
from provisioning.service.fences import push_quota
from provisioning.service.grants import grant_quota
from provisioning.service.recount import recount
from provisioning.service.servers import give_up_server, release_server, retry_server
from provisioning.service.tree import QuotaGuard
from tests.yard import BIGGER, FLAVOR, IMAGE, REGION, Yard, make_spring_yard

SIZE = Resources.of(servers=1, vcpus=2, ram_mib=4096, root_gib=40)
DISK = Resources.of(volumes=1, volume_gib=30)
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(params=["database", "sqlite_database"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Yard:
    return make_spring_yard(request.getfixturevalue(request.param), tmp_path)


def build(yard: Yard, *names: str, project: str | None = None, disks: int = 1) -> list[str]:
    """Servers with a volume each that another maker made, in a project of nobody; their ids."""
    project = project or yard.region.make_project(name=f"old-{names[0]}")
    yard.cloud.set_quota(project, Limits.unlimited())
    made = []
    for name in names:
        server = yard.cloud.create_server(
            tag="x", project_id=project, name=name, flavor=FLAVOR, image=IMAGE, zone="extranet"
        )
        for number in range(disks):
            volume = yard.cloud.create_volume(
                tag="x", project_id=project, name=f"{name}-{number}", size_gib=30
            )
            yard.cloud.attach_volume(volume.id, server_id=server.id)
        yard.region.take_tags_off()
        made.append(server.id)
    return made


def adoption(yard: Yard, *ids: str) -> int:
    request_id = yard.draft(*[LineAsked(cloud_id=one) for one in ids], kind="adoption")
    look_at_request(yard.engine, yard.cloud, request_id=request_id, at=yard.at)
    return request_id


def adopt(yard: Yard, *ids: str) -> int:
    request_id = adoption(yard, *ids)
    yard.submit(request_id)
    yard.approve(request_id)
    return request_id


def volumes_of(yard: Yard, server: Server) -> list[Volume]:
    with reading(yard.engine) as session:
        return list(session.scalars(select(Volume).where(Volume.server_id == server.id).order_by(Volume.id)))


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
        server = yard.cloud.create_server(
            tag="x", project_id=project, name="web", flavor=FLAVOR, image=IMAGE, zone="internet"
        )
        with pytest.raises(RequestInvalid, match="zone internet"):
            yard.submit(adoption(yard, server.id))

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


class TestFailedAdoptions:
    """Whatever they find, nothing in the cloud is deleted, nothing is held, and it can be retried."""

    def fail(self, yard: Yard, request_id: int) -> Server:
        there = yard.cloud.list_servers(), yard.cloud.list_volumes()
        yard.work()
        failed = yard.server(request_id)
        assert (failed.state, failed.cloud_id) == ("failed", None)
        assert (yard.cloud.list_servers(), yard.cloud.list_volumes()) == there
        assert yard.held() == Resources()
        assert yard.request(request_id).state == "provisioning"
        assert yard.told("server_not_adopted") == [(yard.hall.applicant, None)]
        with reading(yard.engine) as session:
            assert set(session.scalars(select(Volume.cloud_id))) <= {None}
        return failed

    def test_one_that_is_gone(self, yard: Yard) -> None:
        [one] = build(yard, "oa")
        request_id = adopt(yard, one)
        yard.cloud.delete_server(one)
        assert yard.cloud.list_servers() == []
        failed = self.fail(yard, request_id)
        assert failed.fault is not None
        assert one in failed.fault["zh"]
        with transaction(yard.engine) as session:
            give_up_server(session, server_id=failed.id, at=yard.at, actor="person:1")
        assert yard.request(request_id).state == "failed"
        yard.check()

    def test_one_of_another_size_is_retried_once_it_has_its_old_size(self, yard: Yard) -> None:
        [one] = build(yard, "oa")
        request_id = adopt(yard, one)
        self.resize(yard, one, BIGGER)
        failed = self.fail(yard, request_id)
        assert failed.fault is not None
        assert "4 vCPU" in failed.fault["en"]
        self.resize(yard, one, FLAVOR)
        with transaction(yard.engine) as session:
            retry_server(session, server_id=failed.id, at=yard.at, actor="person:1")
        assert yard.held() == SIZE + DISK
        yard.work()
        assert yard.server(request_id).state == "active"
        assert [one.state for one in volumes_of(yard, failed)] == ["active"]
        assert len(yard.cloud.list_servers()) == 1
        yard.check()

    def test_one_with_another_volume(self, yard: Yard) -> None:
        [one] = build(yard, "oa")
        request_id = adopt(yard, one)
        project = yard.cloud.get_server(one).project_id
        more = yard.cloud.create_volume(tag="y", project_id=project, name="more", size_gib=1)
        yard.cloud.attach_volume(more.id, server_id=one)
        failed = self.fail(yard, request_id)
        assert failed.fault is not None
        assert "2 × 31 GiB" in failed.fault["en"]

    def test_one_that_the_cloud_forbids_to_label(self, yard: Yard) -> None:
        [one] = build(yard, "oa")
        yard.region.inject(Fault.refused, operation="label_server")
        self.fail(yard, adopt(yard, one))

    def resize(self, yard: Yard, cloud_id: str, flavor: str) -> None:
        yard.cloud.resize_server(cloud_id, flavor=flavor)
        yard.cloud.confirm_resize(cloud_id)


@pytest.mark.parametrize("call", ["adopt_project", "label_server", "label_volume", "get_server"])
@pytest.mark.parametrize("fault", [Fault.down, Fault.timed_out_but_done])
def test_a_call_without_an_answer_is_made_good(yard: Yard, call: str, fault: Fault) -> None:
    [one] = build(yard, "oa")
    request_id = adopt(yard, one)
    yard.region.inject(fault, operation=call)
    yard.work()
    assert yard.region.pending() == 0
    assert yard.server(request_id).state == "active"
    yard.check()


class TestTheSameServerTwice:
    def test_a_recorded_one_is_refused_by_name(self, yard: Yard) -> None:
        [one] = build(yard, "oa")
        first = adopt(yard, one)
        for _ in range(2):
            with pytest.raises(RequestInvalid, match="recorded already as server oa"):
                yard.draft(LineAsked(cloud_id=one), kind="adoption")
            yard.work()
        assert yard.server(first).state == "active"

    def test_one_that_siji_builds_is_refused_by_its_tag_before_its_id_is_known(self, yard: Yard) -> None:
        built = yard.ask(LineAsked(flavor=FLAVOR, image=IMAGE))
        project = push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.town, at=yard.at)
        server = yard.cloud.create_server(
            tag=yard.server(built).tag,
            project_id=project,
            name="x",
            flavor=FLAVOR,
            image=IMAGE,
            zone="extranet",
        )
        with pytest.raises(RequestInvalid, match="bears the tag"):
            yard.submit(adoption(yard, server.id))

    def test_one_that_another_request_asks_for_is_refused_with_its_number(self, yard: Yard) -> None:
        [one] = build(yard, "oa")
        late, first = adoption(yard, one), adoption(yard, one)
        yard.submit(first)
        with pytest.raises(RequestInvalid, match=f"by request {first}"):
            yard.submit(late)

    def test_of_two_that_are_verified_one_wins(self, yard: Yard) -> None:
        [one] = build(yard, "oa")
        first, second = adoption(yard, one), adoption(yard, one)
        self.submit_both(yard, first, second)
        yard.approve(first)
        with pytest.raises(RequestOutdated, match="recorded already as server oa"):
            yard.approve(second)
        yard.work()
        assert (yard.server(first).state, yard.servers(second)) == ("active", [])
        assert yard.held() == SIZE + DISK

    def test_of_two_that_are_verified_at_one_instant_one_wins(self, yard: Yard) -> None:
        [one] = build(yard, "oa", disks=2)
        rivals = adoption(yard, one), adoption(yard, one)
        self.submit_both(yard, *rivals)
        for request_id in rivals:
            while yard.decide(request_id).next_step != "verify":
                pass

        def verify(request_id: int) -> str:
            try:
                return "won" if yard.decide(request_id).approved else "?"
            except (RequestOutdated, ServerRecorded):
                return "lost"

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(verify, rivals)) == ["lost", "won"]
        yard.work()
        assert sum(len(yard.servers(request_id)) for request_id in rivals) == 1
        assert yard.held() == SIZE + DISK + DISK
        yard.check()

    def submit_both(self, yard: Yard, first: int, second: int) -> None:
        """As if they had been handed in at one instant, when neither saw the other."""
        yard.submit(first)
        with transaction(yard.engine) as session:
            lines = session.scalars(select(RequestLine).where(RequestLine.request_id == first)).all()
            ids = [line.cloud_id for line in lines]
            for line in lines:
                line.cloud_id = None
        yard.submit(second)
        with transaction(yard.engine) as session:
            for line, cloud_id in zip(lines, ids, strict=True):
                session.get_one(RequestLine, line.id).cloud_id = cloud_id


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
