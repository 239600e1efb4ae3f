"""A resize that the cloud did not carry through: what is held is never less than what the cloud shows."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, select

from approval.models import Notice
from infra.database import reading, transaction
from provisioning.cloud.driver import Conflict
from provisioning.cloud.observed import ServerStatus
from provisioning.cloud.simulated import Fault, SimulatedCloud
from provisioning.errors import ServerState
from provisioning.models import PushedQuota, RegionFlavor, RequestLine, Server
from provisioning.quota import Limits
from provisioning.service.asking import LineAsked
from provisioning.service.servers import provision_server, release_server, stop_server
from tests.yard import BIGGER, FLAVOR, LINE, REGION, ROOM, Yard, make_yard

ONE = replace(LINE, count=1)


@pytest.fixture
def yard(database: Engine, tmp_path: Path, at: datetime) -> Yard:
    return make_yard(database, tmp_path, at=at)


@pytest.fixture
def slow_yard(database: Engine, tmp_path: Path, at: datetime) -> Yard:
    """One whose cloud takes five seconds for everything."""
    return make_yard(database, tmp_path, at=at, latency_s=5.0)


def built(yard: Yard) -> int:
    """The id of a server that runs."""
    asked = yard.ask(ONE)
    yard.work()
    server = yard.server(asked)
    assert server.state == "active"
    return server.id


def resized(yard: Yard, server_id: int) -> int:
    """The id of the request to make it bigger, approved by all."""
    return yard.ask(LineAsked(flavor=BIGGER, target_id=server_id), kind="resize")


def row(yard: Yard, server_id: int) -> Server:
    """As the records have it."""
    with reading(yard.engine) as session:
        return session.get_one(Server, server_id)


def visited(yard: Yard, server_id: int) -> Server:
    """After one more visit, as soon as it is due."""
    yard.at = row(yard, server_id).next_try_at or yard.at
    provision_server(yard.engine, yard.cloud, server_id=server_id, now=lambda: yard.at)
    return row(yard, server_id)


def line_states(yard: Yard, request_id: int) -> list[str]:
    """Of its lines."""
    with reading(yard.engine) as session:
        query = select(RequestLine.state).where(RequestLine.request_id == request_id)
        return list(session.scalars(query))


def in_cloud(yard: Yard) -> tuple[str, str, int]:
    """The status, flavor and vCPU of the only server there."""
    [server] = yard.cloud.list_servers()
    return server.status, server.flavor, server.vcpus


def test_a_confirmation_that_is_refused_is_reverted_in_the_cloud_and_only_then_in_the_records(
    slow_yard: Yard,
) -> None:
    yard = slow_yard
    server_id = built(yard)
    yard.region.inject(Fault.refused, operation="confirm_resize")
    asked = resized(yard, server_id)
    states = []
    while row(yard, server_id).state != "active":
        states.append(visited(yard, server_id).state)
        assert yard.held()["vcpus"] >= in_cloud(yard)[2]
    assert set(states) == {"resizing", "reverting", "active"}
    assert in_cloud(yard) == (ServerStatus.active, FLAVOR, 2)
    server = row(yard, server_id)
    assert (server.flavor, server.wanted_flavor, server.amounts["vcpus"]) == (FLAVOR, None, 2)
    assert server.fault is not None
    assert "confirm_resize" in server.fault["en"]
    assert (line_states(yard, asked), yard.request(asked).state) == (["failed"], "failed")
    assert yard.held()["vcpus"] == 2
    yard.check()


def test_a_second_asking_that_the_cloud_works_on_starts_the_count_of_failures_anew(slow_yard: Yard) -> None:
    yard = slow_yard
    server_id = built(yard)
    yard.region.inject(Fault.ends_in_error, operation="resize_server")
    resized(yard, server_id)
    while row(yard, server_id).asked < 2:
        visited(yard, server_id)
    yard.region.inject(Fault.down, operation="find_server")
    assert visited(yard, server_id).attempts == 1
    assert (visited(yard, server_id).attempts, row(yard, server_id).asked) == (0, 2)


def test_what_the_cloud_will_not_revert_stays_held_and_the_office_is_told(yard: Yard) -> None:
    server_id = built(yard)
    yard.region.inject(Fault.refused, operation="confirm_resize")
    yard.region.inject(Fault.refused, operation="revert_resize", count=None)
    asked = resized(yard, server_id)
    yard.work(rounds=60)
    assert row(yard, server_id).state == "reverting"
    assert in_cloud(yard)[0] == ServerStatus.verify_resize
    assert (yard.held()["vcpus"], yard.request(asked).state) == (4, "provisioning")
    with reading(yard.engine) as session:
        told = session.scalars(select(Notice).where(Notice.code == "server_stuck")).all()
        assert [(notice.role, notice.bureau_id) for notice in told] == [("operator", yard.hall.city)]
        assert "revert_resize" in told[0].facts["fault_en"]
    yard.region.lift()
    yard.later(minutes=5)
    yard.work()
    assert (row(yard, server_id).state, yard.held()["vcpus"]) == ("active", 2)
    assert in_cloud(yard) == (ServerStatus.active, FLAVOR, 2)
    yard.check()


def test_a_resize_that_somebody_confirmed_in_the_cloud_after_all_is_held(slow_yard: Yard) -> None:
    yard = slow_yard
    server_id = built(yard)
    asked = resized(yard, server_id)
    while in_cloud(yard)[0] != ServerStatus.verify_resize:
        visited(yard, server_id)
        yard.later(seconds=5)
    yard.region.inject(Fault.refused, operation="confirm_resize")
    yard.region.inject(Fault.down, operation="revert_resize")
    assert visited(yard, server_id).state == "reverting"
    yard.cloud.confirm_resize(row(yard, server_id).cloud_id or "")
    yard.work()
    server = row(yard, server_id)
    assert (server.state, server.flavor, server.fault) == ("active", BIGGER, None)
    assert in_cloud(yard) == (ServerStatus.active, BIGGER, 4)
    assert (line_states(yard, asked), yard.held()["vcpus"]) == (["done"], 4)
    yard.check()


class Contended(SimulatedCloud):
    """Somebody else confirms at the same moment, and comes first."""

    def confirm_resize(self, server_id: str) -> None:
        super().confirm_resize(server_id)
        super().confirm_resize(server_id)


def test_outages_use_up_no_patience_with_a_conflict(yard: Yard) -> None:
    server_id = built(yard)
    yard.region.inject(Fault.down, operation="confirm_resize", count=12)
    yard.cloud = Contended(yard.region.store, region=REGION, now=lambda: yard.at)
    asked = resized(yard, server_id)
    yard.work(rounds=90)
    assert yard.region.pending() == 0
    assert in_cloud(yard) == (ServerStatus.active, BIGGER, 4)
    assert (row(yard, server_id).flavor, yard.held()["vcpus"]) == (BIGGER, 4)
    assert line_states(yard, asked) == ["done"]
    with pytest.raises(Conflict):
        yard.cloud.confirm_resize(row(yard, server_id).cloud_id or "")
    yard.check()


@pytest.mark.parametrize("kind", ["servers", "resize"])
def test_outages_use_up_no_patience_with_a_quota_that_somebody_lowered(yard: Yard, kind: str) -> None:
    server_id = built(yard)
    with reading(yard.engine) as session:
        project_id = session.scalars(select(PushedQuota.project)).one()
    assert project_id is not None
    yard.cloud.set_quota(project_id, Limits.of(servers=1, vcpus=2))
    call = {"servers": "create_server", "resize": "resize_server"}[kind]
    yard.region.inject(Fault.down, operation=call, count=5)
    asked = yard.ask(ONE) if kind == "servers" else resized(yard, server_id)
    yard.work(rounds=60)
    assert yard.region.pending() == 0
    assert yard.request(asked).state == "confirming"
    assert yard.cloud.get_quota(project_id)["servers"] == ROOM["servers"]
    assert yard.held()["vcpus"] == 4
    yard.check()


def test_a_server_that_returns_to_its_old_flavor_each_time_says_so_in_both_languages(yard: Yard) -> None:
    server_id = built(yard)
    yard.region.inject(Fault.ends_in_error, operation="resize_server", count=None)
    asked = resized(yard, server_id)
    yard.work()
    assert line_states(yard, asked) == ["failed"]
    assert row(yard, server_id).fault == {
        "zh": "云服务器每次变更后都恢复为原规格",
        "en": "it returned to its old flavor each time",
    }


def test_a_flavor_that_was_withdrawn_during_the_resize_is_held_as_it_was_claimed(yard: Yard) -> None:
    server_id = built(yard)
    asked = resized(yard, server_id)
    with transaction(yard.engine) as session:
        session.execute(delete(RegionFlavor).where(RegionFlavor.name == BIGGER))
    yard.work()
    server = row(yard, server_id)
    assert (server.flavor, server.amounts["vcpus"], server.amounts["ram_mib"]) == (BIGGER, 4, 8192)
    assert (line_states(yard, asked), yard.held()["vcpus"]) == (["done"], 4)
    yard.check()


def test_a_stopped_server_that_was_resized_is_still_stopped(yard: Yard) -> None:
    server_id = built(yard)
    with transaction(yard.engine) as session:
        stop_server(session, server_id=server_id, at=yard.at, actor="person:1")
    yard.work()
    resized(yard, server_id)
    yard.work()
    assert (row(yard, server_id).state, row(yard, server_id).flavor) == ("stopped", BIGGER)
    assert in_cloud(yard) == (ServerStatus.shutoff, BIGGER, 4)


def test_a_server_that_went_while_it_was_resized_leaves_nothing_held(yard: Yard) -> None:
    asked = yard.ask(replace(ONE, volume_gib=0))
    yard.work()
    server = yard.server(asked)
    yard.cloud.delete_server(server.cloud_id or "")
    longer = resized(yard, server.id)
    yard.work()
    assert (row(yard, server.id).state, row(yard, server.id).wanted_flavor) == ("released", None)
    assert (line_states(yard, longer), yard.request(longer).state) == (["failed"], "failed")
    assert yard.held()["vcpus"] == 0
    with pytest.raises(ServerState, match="released"), transaction(yard.engine) as session:
        release_server(session, server_id=server.id, at=yard.at, actor="person:1")
    yard.check()
