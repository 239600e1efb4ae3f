"""Hosts taken out of service: who is asked and told, what is moved, and what a killed worker leaves."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from approval.models import Notice
from infra.database import reading, transaction
from infra.errors import NotFound
from infra.journal import JournalEntry
from provisioning.cloud.driver import Retryable
from provisioning.cloud.observed import Host, ServerStatus
from provisioning.cloud.observed import Server as Seen
from provisioning.cloud.options import Group, Options
from provisioning.cloud.simulated import Fault, SimulatedCloud, SimulatedRegion, Sizes
from provisioning.errors import (
    MaintenanceElsewhere,
    MaintenanceInvalid,
    MaintenanceState,
    MaintenanceUnderWay,
    NoSuchRegion,
    ReasonMissing,
)
from provisioning.models import Maintenance, MaintenanceMeets, MaintenanceMove, Server
from provisioning.queries import get_maintenance, list_maintenances, meets_of, moves_of
from provisioning.quota import Limits
from provisioning.service.asking import LineAsked
from provisioning.service.audits import audit_region
from provisioning.service.maintenances import (
    answer_maintenance,
    end_maintenance,
    overrule_maintenance,
    plan_maintenance,
)
from provisioning.service.rounds import ROUND_LASTS, list_maintenances_to_tend, tend_maintenance
from provisioning.service.servers import stop_server
from tests.yard import FLAVOR, IMAGE, REGION, Yard, make_yard

HOST = "compute-01"
OFFICE = "person:1"
THREE_HOSTS = Sizes(hosts=3, host_cores=512, host_ram_mib=8_388_608, host_root_gib=61_440)
ROUNDS_AT_MOST = 40


@pytest.fixture(params=["database", "sqlite_database"])
def yard(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Yard:
    SimulatedRegion(tmp_path / "yard.sqlite", sizes=THREE_HOSTS).store.close()
    engine: Engine = request.getfixturevalue(request.param)
    return make_yard(engine, tmp_path, at=at, latency_s=2.0)


def built(yard: Yard, count: int = 3) -> list[Server]:
    """Servers of the town's, all on HOST."""
    others = [one.name for one in yard.cloud.list_hosts() if one.name != HOST]
    for name in others:
        yard.cloud.set_host_enabled(name, enabled=False, reason="x")
    asked = yard.ask(LineAsked(count=count, flavor=FLAVOR, image=IMAGE))
    yard.work()
    for name in others:
        yard.cloud.set_host_enabled(name, enabled=True, reason="")
    made = list(yard.servers(asked))
    assert {hosts(yard)[one.cloud_id or ""] for one in made} == {HOST}
    return made


def hosts(yard: Yard) -> dict[str, str | None]:
    return {one.id: one.host for one in yard.cloud.list_servers()}


def host(yard: Yard) -> Host:
    [found] = [one for one in yard.cloud.list_hosts() if one.name == HOST]
    return found


def plan(yard: Yard, *, live: bool = True, in_hours: float = 0, **how: Any) -> int:
    begins = yard.at + timedelta(hours=in_hours)
    wanted: dict[str, Any] = {"region": REGION, "host": HOST, "live": live, "reason": "更换内存"}
    wanted |= {"from_at": begins, "until_at": begins + timedelta(hours=2), **how}
    with transaction(yard.engine) as session:
        return plan_maintenance(session, **wanted, at=yard.at, actor=OFFICE).id


def answer(yard: Yard, number: int, given: Any, reason: str = "") -> None:
    who: dict[str, Any] = {"bureau_id": yard.hall.town, "actor": "person:9", "at": yard.at}
    with transaction(yard.engine) as session:
        answer_maintenance(session, maintenance_id=number, answer=given, reason=reason, **who)


def overrule(yard: Yard, number: int, reason: str = "内存故障告警") -> None:
    with transaction(yard.engine) as session:
        overrule_maintenance(session, maintenance_id=number, reason=reason, at=yard.at, actor=OFFICE)


def end(yard: Yard, number: int) -> None:
    with transaction(yard.engine) as session:
        end_maintenance(session, maintenance_id=number, at=yard.at, actor=OFFICE)


def tend(yard: Yard, cloud: Any = None) -> None:
    """What the beat has done each minute."""
    with reading(yard.engine) as session:
        due = list_maintenances_to_tend(session, at=yard.at)
    for number, _ in due:
        tend_maintenance(yard.engine, cloud or yard.cloud, maintenance_id=number, at=yard.at)
    yard.later(minutes=1)


def until(yard: Yard, number: int, state: str) -> Maintenance:
    for _ in range(ROUNDS_AT_MOST):
        if (found := row(yard, number)).state == state:
            return found
        tend(yard)
    raise AssertionError(f"it is {found.state}, {found.fault}, {hosts(yard)}")


def row(yard: Yard, number: int) -> Maintenance:
    with reading(yard.engine) as session:
        return get_maintenance(session, number)


def met(yard: Yard, number: int) -> list[MaintenanceMeets]:
    with reading(yard.engine) as session:
        return list(meets_of(session, number))


def moves(yard: Yard, number: int) -> list[MaintenanceMove]:
    with reading(yard.engine) as session:
        return list(moves_of(session, number))


def audit(yard: Yard) -> list[str]:
    found = audit_region(yard.engine, yard.cloud, scope="servers", at=yard.at)
    return [one.kind.value for one in found or []]


def acts(yard: Yard, number: int) -> list[str]:
    with reading(yard.engine) as session:
        query = select(JournalEntry.act).where(JournalEntry.subject == f"maintenance:{number}")
        return [act.removeprefix("maintenance.") for act in session.scalars(query.order_by(JournalEntry.id))]


def by_hand(yard: Yard, name: str, options: Options | None = None) -> Seen:
    """An unrecorded server, on whichever host the cloud chooses."""
    project = yard.cloud.ensure_project(bureau_code="stray", name="stray", description="x")
    yard.cloud.set_quota(project, Limits.unlimited())
    made = yard.cloud.create_server(
        tag=name,
        project_id=project,
        name=name,
        flavor=FLAVOR,
        image=IMAGE,
        zone="extranet",
        options=options or Options(),
    )
    yard.later(seconds=5)
    return yard.cloud.get_server(made.id)


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


def test_on_its_way_it_is_no_finding(yard: Yard) -> None:
    built(yard, 2)
    plan(yard, live=False)
    tend(yard)
    answer(yard, 1, "agreed")
    tend(yard)
    statuses = {one.status for one in yard.cloud.list_servers()}
    assert statuses == {ServerStatus.verify_resize}
    assert audit(yard) == []
    until(yard, 1, "drained")
    assert audit(yard) == []
    [server, _] = yard.cloud.list_servers()
    yard.cloud.stop_server(server.id)
    yard.later(seconds=5)
    assert audit(yard) == ["server_status"]


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


def test_where_there_is_no_room_it_says_which_stay_and_why(yard: Yard) -> None:
    [server] = built(yard, 1)
    for name in ("compute-02", "compute-03"):
        yard.cloud.set_host_enabled(name, enabled=False, reason="x")
    number = plan(yard)
    for _ in range(6):
        tend(yard)
    found = row(yard, number)
    assert (found.state, found.left) == ("draining", 1)
    assert found.fault is not None
    assert server.name in found.fault["zh"]
    assert "no other host has room" in found.fault["en"]
    yard.later(hours=2)
    tend(yard)
    tend(yard)
    assert yard.told("maintenance_late") == [("operator", yard.hall.city)]
    yard.cloud.set_host_enabled("compute-02", enabled=True, reason="")
    found = until(yard, number, "drained")
    assert found.fault is None
    assert set(hosts(yard).values()) == {"compute-02"}


def test_anti_affinity_holds_while_a_host_is_emptied(yard: Yard) -> None:
    strict = Options(group=Group(name="db", strict=True))
    made = [by_hand(yard, f"db-{name}", strict) for name in range(3)]
    assert len({one.host for one in made}) == 3
    number = plan(yard)
    for _ in range(6):
        tend(yard)
    found = row(yard, number)
    [there] = [one for one in made if one.host == HOST]
    assert (found.state, found.left) == ("draining", 1)
    assert found.fault is not None
    assert there.name in found.fault["zh"]
    assert hosts(yard) == {one.id: one.host for one in made}
    [gone] = [one for one in made if one.host == "compute-02"]
    yard.cloud.delete_server(gone.id)
    until(yard, number, "drained")
    assert hosts(yard)[there.id] == "compute-02"


def test_unrecorded_servers_are_moved_and_confirmed_too(yard: Yard) -> None:
    made = [by_hand(yard, f"stray-{name}") for name in range(3)]
    number = plan(yard, live=False)
    until(yard, number, "drained")
    assert met(yard, number) == []
    assert {one.status for one in yard.cloud.list_servers()} == {ServerStatus.active}
    assert HOST not in hosts(yard).values()
    assert {one.name for one in moves(yard, number)} == {one.name for one in made if one.host == HOST}


def test_what_somebody_else_resizes_is_not_confirmed(yard: Yard) -> None:
    made = by_hand(yard, "stray")
    yard.cloud.resize_server(made.id, flavor="yard-c4")
    yard.later(seconds=5)
    seen = yard.cloud.get_server(made.id)
    number = plan(yard, live=False, host=seen.host)
    for _ in range(3):
        tend(yard)
    assert yard.cloud.get_server(made.id).status == ServerStatus.verify_resize
    assert (row(yard, number).state, moves(yard, number)) == ("draining", [])


def test_one_that_people_work_on_waits(yard: Yard) -> None:
    [server] = built(yard, 1)
    number = plan(yard)
    with transaction(yard.engine) as session:
        stop_server(session, server_id=server.id, at=yard.at, actor="person:9")
    tend(yard)
    tend(yard)
    assert moves(yard, number) == []
    yard.work()
    until(yard, number, "drained")
    assert yard.cloud.get_server(server.cloud_id or "").status == ServerStatus.shutoff


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


def test_ended_amid_moves_what_is_on_its_way_arrives_first(yard: Yard) -> None:
    built(yard, 6)
    number = plan(yard, live=False)
    tend(yard)
    overrule(yard, number)
    tend(yard)
    end(yard, number)
    until(yard, number, "ended")
    assert host(yard).enabled
    assert {one.status for one in yard.cloud.list_servers()} == {ServerStatus.active}
    assert sorted(where == HOST for where in hosts(yard).values()) == [False] * 4 + [True] * 2
    assert audit(yard) == []


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


def test_a_cloud_that_does_not_answer_is_said_and_asked_again(yard: Yard) -> None:
    built(yard, 1)
    number = plan(yard)
    for call in ("list_servers", "set_host_enabled", "migrate_server"):
        yard.region.inject(Fault.down, operation=call)
        with pytest.raises(Retryable):
            tend(yard)
        found = row(yard, number)
        assert found.fault is not None
        assert call in found.fault["en"]
    until(yard, number, "drained")


def test_one_that_the_cloud_refuses_keeps_back_no_other(yard: Yard) -> None:
    built(yard, 2)
    number = plan(yard)
    yard.region.inject(Fault.refused, operation="migrate_server", count=1)
    tend(yard)
    one, two = moves(yard, number)
    assert {one.ended_at is None, two.ended_at is None} == {True, False}
    assert (one.tries, two.tries) == (1, 1)
    until(yard, number, "drained")
    assert [one.fault for one in moves(yard, number)] == [None, None]


class Killed(BaseException):
    """The process ended here."""


class Mortal:
    """The cloud, for a worker that is killed before or after its call number `dies_at`."""

    def __init__(self, cloud: SimulatedCloud, dies_at: int, *, after: bool) -> None:
        self.cloud, self.left, self.after = cloud, dies_at, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.cloud, name)
        return self._mortal(found) if callable(found) else found

    def _mortal(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def made(*given: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Killed
            answered = call(*given, **named)
            if self.left == 0:
                raise Killed
            return answered

        return made


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("after", [True, False])
def test_killed_at_any_call_it_is_done_again_and_nothing_twice(yard: Yard, live: bool, after: bool) -> None:
    servers = built(yard, 3)
    for dies_at in range(1, 40):
        number = plan(yard, live=live)
        tend(yard)
        if not live and row(yard, number).state == "planned":
            answer(yard, number, "agreed")
        mortal, died = Mortal(yard.cloud, dies_at, after=after), False
        for _ in range(ROUNDS_AT_MOST):
            try:
                tend(yard, mortal)
            except Killed:
                died = True
                yard.later(seconds=ROUND_LASTS.total_seconds())
            state = row(yard, number).state
            if state == "drained":
                assert HOST not in hosts(yard).values()
                end(yard, number)
            if state == "ended":
                break
        assert (state, host(yard).enabled) == ("ended", True)
        seen = yard.cloud.list_servers()
        assert {one.status for one in seen} == {ServerStatus.active}
        assert {one.id for one in seen} == {one.cloud_id for one in servers}
        assert audit(yard) == []
        assert acts(yard, number)[-1] == "ended"
        if not died:
            break
        return_home(yard)
    else:
        raise AssertionError("it never got through all its calls")
    with reading(yard.engine) as session:
        keys = list(session.scalars(select(Notice.key).where(Notice.subject_kind == "maintenance")))
    assert len(keys) == len(set(keys))


def return_home(yard: Yard) -> None:
    """Have all servers on HOST again."""
    for name in ("compute-02", "compute-03"):
        yard.cloud.set_host_enabled(name, enabled=False, reason="x")
    for one in yard.cloud.list_servers():
        if one.host != HOST:
            yard.cloud.migrate_server(one.id, live=True)
    yard.later(seconds=5)
    assert set(hosts(yard).values()) == {HOST}
    for name in ("compute-02", "compute-03"):
        yard.cloud.set_host_enabled(name, enabled=True, reason="")


def test_a_round_that_is_overtaken_writes_nothing_down(yard: Yard) -> None:
    built(yard, 1)
    number = plan(yard)
    listed, at = yard.cloud.list_servers, yard.at

    class Slow:
        region = yard.cloud.region
        list_hosts = staticmethod(yard.cloud.list_hosts)

        @staticmethod
        def list_servers() -> list[Seen]:
            found = listed()
            end(yard, number)
            return found

    tend_maintenance(yard.engine, Slow(), maintenance_id=number, at=at)  # type: ignore[arg-type]
    found = row(yard, number)
    assert (found.state, found.left, met(yard, number)) == ("cancelled", None, [])
