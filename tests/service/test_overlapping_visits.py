"""Visits of servers side by side, and the quotas that they push before they build."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select

from infra.database import reading, transaction
from infra.turns import Turns
from provisioning.cloud.observed import PushedLimits
from provisioning.cloud.simulated import SimulatedCloud
from provisioning.models import PushedQuota
from provisioning.quota import Limits
from provisioning.service import servers
from provisioning.service.fences import list_stale_fences, push_quota
from provisioning.service.grants import grant_quota
from provisioning.service.servers import (
    provision_server,
    take_server,
)
from provisioning.service.settling import settle_visit
from provisioning.service.states import RULES
from tests.yard import LINE, REGION, ROOM, Yard, make_yard

ONE = replace(LINE, count=1)


@pytest.fixture
def yard(database: Engine, tmp_path: Path, at: datetime) -> Yard:
    return make_yard(database, tmp_path, at=at)


def of(kind: type[SimulatedCloud], yard: Yard) -> SimulatedCloud:
    """The yard's region, seen through another driver."""
    return kind(yard.region.store, region=REGION, now=lambda: yard.at)


def test_no_transaction_is_open_while_the_cloud_is_called(yard: Yard) -> None:
    asked = yard.ask(ONE)
    open_now: set[int] = set()
    event.listen(yard.engine, "begin", lambda connection: open_now.add(id(connection)))
    for end in ("commit", "rollback"):
        event.listen(yard.engine, end, lambda connection: open_now.discard(id(connection)))
    seen: list[int] = []

    class Watched(SimulatedCloud):
        def __getattribute__(self, name: str) -> Any:
            if name != "region" and not name.startswith("_"):  # its name asks the cloud nothing
                seen.append(len(open_now))
            return super().__getattribute__(name)

    cloud = of(Watched, yard)
    for _ in range(3):
        provision_server(yard.engine, cloud, server_id=yard.server(asked).id, now=lambda: yard.at)
        yard.later(seconds=31)
    assert yard.server(asked).state == "active"
    assert len(seen) > 5
    assert set(seen) == {0}


def test_of_two_visits_at_once_only_one_calls_and_a_late_one_settles_nothing(yard: Yard) -> None:
    asked = yard.ask(ONE)
    server_id = yard.server(asked).id
    with transaction(yard.engine) as session:
        first = take_server(session, server_id=server_id, at=yard.at)
    with transaction(yard.engine) as session:
        assert take_server(session, server_id=server_id, at=yard.at) is None
    assert first is not None
    project_id = push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.town, at=yard.at)
    late = RULES[first.state].visit(yard.cloud, replace(first, project_id=project_id))
    yard.work()
    yard.later(seconds=31)
    before = yard.server(asked)
    with transaction(yard.engine) as session:
        assert settle_visit(session, first, late, at=yard.at) is False
    assert yard.server(asked).revision == before.revision
    assert len(yard.cloud.list_servers()) == 1
    yard.check()


def test_servers_that_begin_together_push_their_bureaus_quota_once(yard: Yard) -> None:
    asked = yard.ask(replace(LINE, count=6))
    pushed: list[str] = []

    class Slow(SimulatedCloud):
        def set_quota(self, project_id: str, limits: Limits) -> PushedLimits:
            pushed.append(project_id)
            time.sleep(0.5)
            return super().set_quota(project_id, limits)

    cloud = of(Slow, yard)

    def visit(server_id: int) -> None:
        provision_server(yard.engine, cloud, server_id=server_id, now=lambda: yard.at)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(visit, [server.id for server in yard.servers(asked)]))
    assert pushed == [yard.project_of(yard.hall.town)]
    assert len(yard.cloud.list_servers()) == 6
    yard.work()
    yard.check()


def test_a_visit_that_lost_its_time_to_a_slow_quota_makes_nothing(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = yard.ask(ONE)
    server_id = yard.server(asked).id
    made: list[str] = []

    class Watched(SimulatedCloud):
        def create_server(self, **asked: Any) -> str:
            made.append(asked["tag"])
            return super().create_server(**asked)

    class Slow(Watched):
        def set_quota(self, project_id: str, limits: Limits) -> PushedLimits:
            yard.later(seconds=31)
            monkeypatch.setattr(servers, "PUSHING", Turns())  # as another process has it
            provision_server(yard.engine, of(Watched, yard), server_id=server_id, now=lambda: yard.at)
            return super().set_quota(project_id, limits)

    provision_server(yard.engine, of(Slow, yard), server_id=server_id, now=lambda: yard.at)
    assert made == [yard.server(asked).tag]
    yard.work()
    assert (yard.server(asked).state, len(yard.cloud.list_servers())) == ("active", 1)
    yard.check()


def test_a_push_that_another_one_overlapped_is_done_again(yard: Yard) -> None:
    yard.ask(ONE)
    yard.work()

    class Overlapped(SimulatedCloud):
        def set_quota(self, project_id: str, limits: Limits) -> PushedLimits:
            push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.town, at=yard.at + timedelta(seconds=1))
            return super().set_quota(project_id, limits)

    def stale() -> list[int]:
        with reading(yard.engine) as session:
            return list(list_stale_fences(session, region=REGION))

    assert stale() == []
    push_quota(yard.engine, of(Overlapped, yard), bureau_id=yard.hall.town, at=yard.at)
    assert stale() == [yard.hall.town]
    push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.town, at=yard.at)
    assert stale() == []


def test_two_servers_of_one_tag_become_one(yard: Yard) -> None:
    asked = yard.ask(ONE)
    row = yard.server(asked)
    project_id = push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.town, at=yard.at)
    for _ in range(2):
        yard.cloud.create_server(
            tag=row.tag,
            project_id=project_id,
            name=row.name,
            flavor=row.flavor,
            image=row.image,
            zone=row.zone,
        )
    yard.work()
    [server] = yard.cloud.list_servers()
    assert (yard.server(asked).state, yard.server(asked).cloud_id) == ("active", server.id)


def test_a_quota_that_somebody_lowered_in_the_cloud_is_pushed_again(yard: Yard) -> None:
    first = yard.ask(ONE)
    yard.work()
    with reading(yard.engine) as session:
        project_id = session.scalars(select(PushedQuota.project)).one()
    assert project_id is not None
    yard.cloud.set_quota(project_id, Limits.of(servers=1))
    second = yard.ask(ONE)
    yard.work()
    assert [yard.server(one).state for one in (first, second)] == ["active", "active"]
    assert yard.cloud.get_quota(project_id)["servers"] == ROOM["servers"]


def test_a_new_grant_makes_the_fence_stale_until_it_is_pushed(yard: Yard) -> None:
    yard.ask(ONE)
    yard.work()
    new = Limits.of(servers=9, vcpus=90, ram_mib=90_000, root_gib=900, volumes=9, volume_gib=900)
    with transaction(yard.engine) as session:
        assert list_stale_fences(session, region=REGION) == []
        grant_quota(session, region=REGION, bureau_id=yard.hall.town, limit=new, at=yard.at, actor="person:1")
    with reading(yard.engine) as session:
        assert list_stale_fences(session, region=REGION) == [yard.hall.town]
    project_id = push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.town, at=yard.at)
    assert yard.cloud.get_quota(project_id)["vcpus"] == 90
    with reading(yard.engine) as session:
        assert list_stale_fences(session, region=REGION) == []
