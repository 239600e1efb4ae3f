"""A host is emptied and given back on each of `clouds.CLOUDS`, by the very rounds that workers do."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from infra.database import transaction
from provisioning.cloud.observed import Server, ServerStatus
from provisioning.cloud.options import NO_OPTIONS, Group, Options
from provisioning.models import Maintenance, Region
from provisioning.queries import get_maintenance, moves_of
from provisioning.service.maintenances import end_maintenance, overrule_maintenance, plan_maintenance
from provisioning.service.rounds import tend_maintenance
from tests.contract.cloud_bench import PATIENCE, Bench

AT = datetime(2026, 3, 2, 1, tzinfo=UTC)


class Office:
    """Plans, and has the workers do rounds, one after another."""

    def __init__(self, bench: Bench, engine: Engine) -> None:
        self.bench, self.engine, self.at = bench, engine, AT
        with transaction(engine) as session:
            session.add(Region(name=bench.cloud.region, opened_at=AT))

    def plan(self, host: str, *, live: bool) -> int:
        """A maintenance whose window is open for a year."""
        with transaction(self.engine) as session:
            made = plan_maintenance(
                session,
                region=self.bench.cloud.region,
                host=host,
                live=live,
                reason="更换内存",
                from_at=AT,
                until_at=AT + timedelta(days=365),
                at=AT,
                actor="person:1",
            )
            overrule_maintenance(session, maintenance_id=made.id, reason="内存故障", at=AT, actor="person:1")
            return made.id

    def round(self, number: int) -> Maintenance:
        """The maintenance after one more round."""
        self.at += timedelta(seconds=10)
        tend_maintenance(self.engine, self.bench.cloud, maintenance_id=number, at=self.at)
        self.bench.subject.wait()
        with transaction(self.engine) as session:
            return get_maintenance(session, number)

    def until(self, number: int, state: str) -> Maintenance:
        """Rounds until it is in that state."""
        for _ in range(PATIENCE):
            if (found := self.round(number)).state == state:
                return found
        raise AssertionError(f"it is {found.state}, {found.left} left, {found.fault}")

    def end(self, number: int) -> None:
        """Give the host back."""
        with transaction(self.engine) as session:
            end_maintenance(session, maintenance_id=number, at=self.at, actor="person:1")
        self.until(number, "ended")


@pytest.fixture
def office(bench: Bench, sqlite_database: Engine) -> Office:
    return Office(bench, sqlite_database)


def on_one_host(bench: Bench) -> list[Server]:
    """Two servers that run and one that is stopped, side by side."""
    host, *others = [one.name for one in bench.cloud.list_hosts()]
    for name in others:
        bench.cloud.set_host_enabled(name, enabled=False, reason="x")
    made = [bench.running("web-1"), bench.running("web-2"), bench.stopped("web-3")]
    for name in others:
        bench.cloud.set_host_enabled(name, enabled=True, reason="")
    assert {one.host for one in made} == {host}
    return made


@pytest.mark.parametrize("live", [True, False])
def test_all_leave_as_they_were_and_the_host_is_given_back(bench: Bench, office: Office, live: bool) -> None:
    made = on_one_host(bench)
    host = made[0].host or ""
    number = office.plan(host, live=live)
    office.until(number, "drained")
    shut = {one.name: one.reason for one in bench.cloud.list_hosts() if not one.enabled}
    assert shut == {host: "更换内存"}
    now = {one.id: one for one in bench.cloud.list_servers(project_id=bench.project_id)}
    assert [now[one.id].status for one in made] == [
        ServerStatus.active,
        ServerStatus.active,
        ServerStatus.shutoff,
    ]
    assert all(one.host not in (None, host) and one.task is None for one in now.values())
    with transaction(office.engine) as session:
        moved = {one.cloud_id: (one.to_host, one.tries) for one in moves_of(session, number)}
    assert moved == {one.id: (one.host, 1) for one in now.values()}
    office.end(number)
    assert all(one.enabled for one in bench.cloud.list_hosts())


def test_anti_affinity_keeps_a_server_where_no_other_host_may_take_it(bench: Bench, office: Office) -> None:
    hosts = [one.name for one in bench.cloud.list_hosts()]
    strict = Options(group=Group(name=bench.tag("db"), strict=True))
    made = [bench.running(f"db-{name}", options=strict) for name in hosts]
    other = bench.running("web", options=NO_OPTIONS)
    number = office.plan(made[0].host or "", live=True)
    for _ in range(PATIENCE):
        if (found := office.round(number)).fault is not None:
            break
    assert found.fault is not None
    assert made[0].name in found.fault["en"]
    assert "anti-affinity" in found.fault["en"]
    assert (found.state, found.left) == ("draining", 1)
    now = {one.id: one.host for one in bench.cloud.list_servers(project_id=bench.project_id)}
    assert now.pop(other.id) != made[0].host
    assert now == {one.id: one.host for one in made}
    bench.cloud.delete_server(made[1].id)
    office.until(number, "drained")
    assert bench.cloud.get_server(made[0].id).host == made[1].host
    office.end(number)
