"""Hosts taken out of service: who plans it, who is asked and told, when it begins and ends."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.database import reading, transaction
from infra.errors import NotFound
from provisioning.cloud.observed import ServerStatus
from provisioning.cloud.simulated import SimulatedRegion
from provisioning.errors import (
    MaintenanceElsewhere,
    MaintenanceInvalid,
    MaintenanceState,
    MaintenanceUnderWay,
    NoSuchRegion,
    ReasonMissing,
)
from provisioning.queries import list_maintenances
from provisioning.service.rounds import list_maintenances_to_tend
from provisioning.service.servers import stop_server
from tests.service.emptying import (
    HOST,
    THREE_HOSTS,
    acts,
    answer,
    audit,
    built,
    end,
    host,
    hosts,
    met,
    moves,
    overrule,
    plan,
    row,
    tend,
    until,
)
from tests.yard import Yard, make_yard


@pytest.fixture(params=["database", "sqlite_database"])
def yard(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Yard:
    SimulatedRegion(tmp_path / "yard.sqlite", sizes=THREE_HOSTS).store.close()
    engine: Engine = request.getfixturevalue(request.param)
    return make_yard(engine, tmp_path, at=at, latency_s=2.0)


def test_live_from_plan_to_end(yard: Yard) -> None:
    servers = built(yard, 6)
    with transaction(yard.engine) as session:
        stop_server(session, server_id=servers[0].id, at=yard.at, actor="person:9")
    yard.work()
    yard.later(seconds=5)
    number = plan(yard, in_hours=1)
    tend(yard)
    found = row(yard, number)
    assert (found.state, found.left, found.fault, host(yard).enabled) == ("planned", 6, None, True)
    [town] = met(yard, number)
    assert (town.bureau_id, town.servers) == (yard.hall.town, sorted(one.name for one in servers))
    for _ in range(30):
        tend(yard)
    assert len(yard.told("maintenance_planned")) == 1
    yard.later(minutes=30)
    tend(yard)
    assert (row(yard, number).state, host(yard).enabled, host(yard).reason) == ("draining", False, "更换内存")
    moving = [one for one in moves(yard, number) if one.ended_at is None]
    assert len(moving) == 4
    found = until(yard, number, "drained")
    assert (found.left, found.fault) == (0, None)
    assert HOST not in hosts(yard).values()
    states = {one.id: one.status for one in yard.cloud.list_servers()}
    assert states.pop(servers[0].cloud_id or "") == ServerStatus.shutoff
    assert set(states.values()) == {ServerStatus.active}
    assert yard.told("maintenance_drained") == [("operator", yard.hall.city)]
    assert audit(yard) == []
    end(yard, number)
    assert until(yard, number, "ended").ended_at is not None
    assert (host(yard).enabled, host(yard).reason) == (True, None)
    assert acts(yard, number) == ["plan", "begin", "drained", "end", "ended"]
    arrived = {one.cloud_id: one.to_host for one in moves(yard, number)}
    assert arrived == hosts(yard)


def test_cold_waits_for_consent_and_the_office_is_told_once(yard: Yard) -> None:
    [server] = built(yard, 1)
    number = plan(yard, live=False)
    tend(yard)
    tend(yard)
    found = row(yard, number)
    assert (found.state, host(yard).enabled) == ("planned", True)
    assert found.fault is not None
    assert yard.told("maintenance_not_agreed") == [("operator", yard.hall.city)]
    answer(yard, number, "objected", "正在办理高考报名")
    tend(yard)
    assert row(yard, number).state == "planned"
    assert yard.told("maintenance_objected") == [("operator", yard.hall.city)]
    answer(yard, number, "agreed")
    answer(yard, number, "agreed")
    until(yard, number, "drained")
    seen = yard.cloud.get_server(server.cloud_id or "")
    assert (seen.status, seen.host == HOST) == (ServerStatus.active, False)
    assert len(yard.told("maintenance_not_agreed")) == 1
    assert acts(yard, number) == ["plan", "object", "agree", "begin", "drained"]
    with pytest.raises(MaintenanceState):
        answer(yard, number, "objected", "晚了")


def test_the_office_overrules(yard: Yard) -> None:
    built(yard, 1)
    number = plan(yard, live=False)
    tend(yard)
    answer(yard, number, "objected", "不同意")
    with pytest.raises(ReasonMissing):
        overrule(yard, number, " ")
    overrule(yard, number)
    overrule(yard, number)
    found = until(yard, number, "drained")
    assert found.overruled == "内存故障告警"
    assert acts(yard, number) == ["plan", "object", "overrule", "begin", "drained"]


def test_an_answer_lapses_when_further_servers_come_up(yard: Yard) -> None:
    built(yard, 1)
    number = plan(yard, live=False, in_hours=2)
    tend(yard)
    answer(yard, number, "agreed")
    further = built(yard, 1)
    yard.later(minutes=10)
    tend(yard)
    [town] = met(yard, number)
    assert (town.answer, len(town.servers)) == (None, 2)
    assert further[0].name in town.servers
    assert len(yard.told("maintenance_planned")) == 2
    for one in yard.cloud.list_servers():
        yard.cloud.migrate_server(one.id, live=True)
    yard.later(minutes=10)
    tend(yard)
    [town] = met(yard, number)
    assert town.servers == []
    with pytest.raises(MaintenanceElsewhere):
        answer(yard, number, "agreed")
    yard.later(hours=2)
    until(yard, number, "drained")


def test_an_unknown_host_is_told_once_and_can_be_cancelled(yard: Yard) -> None:
    number = plan(yard, host="compute-99")
    for _ in range(3):
        tend(yard)
    found = row(yard, number)
    assert (found.state, found.fault is None) == ("planned", False)
    assert yard.told("maintenance_host_unknown") == [("operator", yard.hall.city)]
    end(yard, number)
    assert row(yard, number).state == "cancelled"


def test_cancelling_touches_no_host_and_is_told(yard: Yard) -> None:
    built(yard, 1)
    number = plan(yard, in_hours=1)
    tend(yard)
    end(yard, number)
    end(yard, number)
    yard.later(hours=1)
    tend(yard)
    found = row(yard, number)
    assert (found.state, host(yard).enabled, acts(yard, number)) == ("cancelled", True, ["plan", "cancel"])
    assert len(yard.told("maintenance_cancelled")) == 1
    plan(yard)


def test_past_its_window_it_does_not_begin(yard: Yard) -> None:
    built(yard, 1)
    number = plan(yard, live=False)
    tend(yard)
    yard.later(hours=2)
    answer(yard, number, "agreed")
    tend(yard)
    found = row(yard, number)
    assert (found.state, host(yard).enabled) == ("planned", True)
    assert found.fault is not None
    assert yard.told("maintenance_missed") == [("operator", yard.hall.city)]
    with reading(yard.engine) as session:
        assert list_maintenances_to_tend(session, at=yard.at) == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"host": " "}, "host"),
        ({"host": "h" * 256}, "host"),
        ({"reason": ""}, "reason"),
        ({"reason": "因" * 256}, "reason"),
        ({"in_hours": -1}, "from_at"),
        ({"until_at": datetime.fromisoformat("2026-01-01T00:00:00+00:00")}, "until_at"),
        ({"until_at": datetime.fromisoformat("9999-12-31T23:00:00+00:00")}, "until_at"),
    ],
)
def test_plans_that_cannot_be(yard: Yard, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(MaintenanceInvalid) as caught:
        plan(yard, **wrong)
    assert caught.value.facts["field"] == field


def test_a_host_is_in_one_at_a_time(yard: Yard) -> None:
    number = plan(yard)
    with pytest.raises(MaintenanceUnderWay) as caught:
        plan(yard)
    assert caught.value.facts["maintenance_id"] == number
    plan(yard, host="compute-02")
    with pytest.raises(NoSuchRegion):
        plan(yard, region="nowhere")
    with pytest.raises(NotFound):
        end(yard, 999)
    with pytest.raises(ReasonMissing):
        answer(yard, number, "objected", " ")


def test_listings(yard: Yard) -> None:
    built(yard, 1)
    number = plan(yard)
    other = plan(yard, host="compute-02")
    tend(yard)
    with reading(yard.engine) as session:

        def ids(**which: Any) -> list[int]:
            return [one.id for one in list_maintenances(session, **which)]

        assert ids() == [number, other]
        assert ids(region="nowhere") == []
        assert ids(host="compute-02") == [other]
        assert ids(bureau_ids=[yard.hall.town]) == [number]
        assert ids(bureau_ids=[yard.hall.county]) == []
        assert ids(states=["ended"]) == []
        assert ids(after_id=number, limit=1) == [other]
