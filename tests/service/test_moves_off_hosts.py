"""What is moved off a host and what stays; what a killed worker leaves."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from approval.models import Notice
from infra.database import reading, transaction
from provisioning.cloud.driver import Retryable
from provisioning.cloud.observed import Server as Seen
from provisioning.cloud.observed import ServerStatus
from provisioning.cloud.options import Group, Options
from provisioning.cloud.simulated import Fault, SimulatedCloud, SimulatedRegion
from provisioning.service.rounds import ROUND_LASTS, tend_maintenance
from provisioning.service.servers import stop_server
from tests.service.emptying import (
    HOST,
    ROUNDS_AT_MOST,
    THREE_HOSTS,
    acts,
    answer,
    audit,
    built,
    by_hand,
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


def test_a_round_that_is_overtaken_writes_nothing_down(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    built(yard, 1)
    number = plan(yard)
    listed, at = yard.cloud.list_servers, yard.at

    def list_slowly() -> list[Seen]:
        found = listed()
        end(yard, number)
        return found

    monkeypatch.setattr(yard.cloud, "list_servers", list_slowly)
    tend_maintenance(yard.engine, yard.cloud, maintenance_id=number, at=at)
    found = row(yard, number)
    assert (found.state, found.left, met(yard, number)) == ("cancelled", None, [])
