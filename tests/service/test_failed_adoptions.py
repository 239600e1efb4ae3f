"""Adoptions that fail, that nobody answers, and two of one server: nothing is deleted, one wins."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from infra.database import reading, transaction
from provisioning.cloud.simulated import Fault
from provisioning.errors import RequestInvalid, RequestOutdated, ServerRecorded
from provisioning.models import RequestLine, Server, Volume
from provisioning.quota import Resources
from provisioning.service.asking import LineAsked
from provisioning.service.fences import push_quota
from provisioning.service.servers import give_up_server, retry_server
from tests.service.adopting import DISK, SIZE, adopt, adoption, build, volumes_of
from tests.yard import BIGGER, FLAVOR, IMAGE, Yard, make_spring_yard


@pytest.fixture(params=["database", "sqlite_database"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Yard:
    return make_spring_yard(request.getfixturevalue(request.param), tmp_path)


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
        server = yard.cloud.get_server(one)
        more = yard.cloud.create_volume(tag="y", project_id=server.project_id, name="more", size_gib=1)
        yard.cloud.attach_volume(more, server=server)
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
        server_id = yard.cloud.create_server(
            tag=yard.server(built).tag,
            project_id=project,
            name="x",
            flavor=FLAVOR,
            image=IMAGE,
            zone="extranet",
        )
        with pytest.raises(RequestInvalid, match="bears the tag"):
            yard.submit(adoption(yard, server_id))

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
