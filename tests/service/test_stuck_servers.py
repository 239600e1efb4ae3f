"""Servers that the cloud lost, broke or will not obey: none is stuck with its quota, and somebody is told."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine

from infra.clock import city_midnight
from infra.database import reading, transaction
from provisioning.cloud.simulated import Fault, SimulatedCloud
from provisioning.models import Server
from provisioning.pace import REFUSALS_BORNE
from provisioning.quota import Resources
from provisioning.service.asking import LineAsked
from provisioning.service.servers import (
    provision_server,
    reclaim_server,
    release_server,
    start_server,
    stop_server,
    take_server,
)
from provisioning.service.settling import settle_visit
from provisioning.service.states import RULES
from tests.yard import LINE, REGION, Yard, make_spring_yard

WITH_VOLUME = replace(LINE, count=1)
BARE = replace(WITH_VOLUME, volume_gib=0)


@pytest.fixture
def yard(database: Engine, tmp_path: Path) -> Yard:
    return make_spring_yard(database, tmp_path)


def built(yard: Yard, line: LineAsked = BARE) -> Server:
    """A server that runs."""
    asked = yard.ask(line)
    yard.work()
    server = yard.server(asked)
    assert server.state == "active"
    return server


def row(yard: Yard, server: Server) -> Server:
    """As the records have it now."""
    with reading(yard.engine) as session:
        return session.get_one(Server, server.id)


def stopped(yard: Yard, server: Server) -> None:
    """Somebody has it stopped."""
    with transaction(yard.engine) as session:
        stop_server(session, server_id=server.id, at=yard.at, actor="person:1")


def reclaimed(yard: Yard, server: Server) -> None:
    """The office takes it back."""
    with transaction(yard.engine) as session:
        reclaim_server(session, server_id=server.id, at=yard.at, actor="person:1", reason="闲置")


def break_all(yard: Yard) -> None:
    """Every server in the cloud is in ERROR."""
    with yard.region.store.writing() as db:
        db.execute("UPDATE servers SET status = 'ERROR', fault = 'the disk is gone'")


def days_pass(yard: Yard, days: int) -> None:
    """Each with its visits."""
    for _ in range(days):
        yard.later(days=1)
        yard.work(rounds=3)


@pytest.mark.parametrize("act", [stop_server, start_server])
def test_a_server_that_is_gone_frees_its_quota_whatever_was_asked_of_it(yard: Yard, act: object) -> None:
    server = built(yard)
    if act is start_server:
        stopped(yard, server)
        yard.work()
    yard.cloud.delete_server(server.cloud_id or "")
    with transaction(yard.engine) as session:
        (start_server if act is start_server else stop_server)(
            session, server_id=server.id, at=yard.at, actor="person:1"
        )
    yard.work()
    assert row(yard, server).state == "released"
    assert yard.held() == Resources()
    assert yard.told("server_gone") == [("operator", yard.hall.city), ("bureau_admin", yard.hall.town)]
    yard.check()


def test_volumes_that_outlive_their_server_are_kept_until_somebody_releases_them(yard: Yard) -> None:
    server = built(yard, WITH_VOLUME)
    held = yard.held()
    yard.cloud.delete_server(server.cloud_id or "")
    stopped(yard, server)
    yard.work()
    assert row(yard, server).state == "stopped"
    assert (yard.held(), len(yard.cloud.list_volumes())) == (held, 1)
    assert ("bureau_admin", yard.hall.town) in yard.told("server_gone_but_volumes")
    yard.ask(LineAsked(target_id=server.id), kind="release", end_on=None)
    yard.work()
    assert (row(yard, server).state, yard.held()) == ("released", Resources())
    assert yard.cloud.list_volumes() == []
    yard.check()


def test_a_server_that_lost_its_tag_is_not_gone(yard: Yard) -> None:
    server = built(yard)
    with yard.region.store.writing() as db:
        db.execute("UPDATE servers SET tag = NULL")
    stopped(yard, server)
    yard.work()
    assert (row(yard, server).state, yard.cloud.list_servers()[0].status) == ("stopped", "SHUTOFF")


def test_a_server_in_error_is_reclaimed_without_a_snapshot_once_one_was_sought_for_days(yard: Yard) -> None:
    server = built(yard, WITH_VOLUME)
    break_all(yard)
    reclaimed(yard, server)
    yard.work(rounds=60)
    assert row(yard, server).state == "expiring"
    assert yard.told("server_stuck") == [("operator", yard.hall.city)]
    assert yard.held()["servers"] == 1
    days_pass(yard, 7)
    assert (row(yard, server).state, yard.held()) == ("released", Resources())
    assert (yard.cloud.list_servers(), yard.cloud.list_volumes()) == ([], [])
    assert yard.told("server_without_snapshot") == [
        ("operator", yard.hall.city),
        ("bureau_admin", yard.hall.town),
    ]
    yard.check()


def test_a_snapshot_that_is_refused_for_a_while_is_kept_in_the_end(yard: Yard) -> None:
    server = built(yard)
    yard.region.inject(Fault.refused, operation="snapshot_server", count=20)
    reclaimed(yard, server)
    yard.work(rounds=30)
    assert row(yard, server).state == "expiring"
    days_pass(yard, 1)
    yard.work(rounds=120)
    assert row(yard, server).state == "released"
    assert [image.tag for image in yard.cloud.list_images() if image.tag] == [f"{server.tag}-last"]
    assert yard.told("server_without_snapshot") == []


@pytest.mark.parametrize("latency_s", [0.0, 100.0])
def test_snapshots_that_all_end_in_error_are_told_of_and_do_not_keep_a_server_for_ever(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, latency_s: float
) -> None:
    server = built(yard)
    taken: list[datetime] = []
    slow = SimulatedCloud(yard.region.store, region=REGION, now=lambda: yard.at, latency_s=latency_s)

    def snapshot(server_id: str, *, tag: str, name: str) -> None:
        taken.append(yard.at)
        slow.snapshot_server(server_id, tag=tag, name=name)

    monkeypatch.setattr(yard.cloud, "snapshot_server", snapshot)
    yard.region.inject(Fault.ends_in_error, operation="snapshot_server", count=None)
    reclaimed(yard, server)
    while not yard.told("server_stuck"):
        yard.work(rounds=1)
        assert len(taken) <= REFUSALS_BORNE
    assert row(yard, server).state == "expiring"
    assert len(taken) == REFUSALS_BORNE
    assert yard.told("server_stuck") == [("operator", yard.hall.city)]
    now = row(yard, server)
    assert now.fault == {"zh": "快照在云平台上出错", "en": "the snapshot ended in error"}
    waits = [after - before for before, after in pairwise(taken)]
    assert waits[-1] - waits[0] > timedelta(minutes=2)
    days_pass(yard, 7)
    assert (row(yard, server).state, yard.held()) == ("released", Resources())
    assert {image.status for image in yard.cloud.list_images() if image.tag} <= {"error"}
    assert len(yard.told("server_without_snapshot")) == 2


def test_of_a_server_that_went_while_it_was_reclaimed_no_volume_is_kept_and_nobody_is_alarmed(
    yard: Yard,
) -> None:
    server = built(yard, WITH_VOLUME)
    reclaimed(yard, server)
    yard.cloud.delete_server(server.cloud_id or "")
    yard.work()
    assert (row(yard, server).state, yard.held()) == ("released", Resources())
    assert yard.cloud.list_volumes() == []
    assert yard.told("server_gone") == yard.told("server_gone_but_volumes") == []
    yard.check()


def test_a_lapsed_lease_ends_with_a_server_in_error_too(yard: Yard) -> None:
    end_on = date(2026, 4, 9)
    asked = yard.ask(BARE, end_on=end_on)
    yard.work()
    server = yard.server(asked)
    break_all(yard)
    states = []
    for days in range(1, 26):
        yard.at = city_midnight(end_on + timedelta(days=days)) + timedelta(hours=9)
        yard.tend_leases()
        yard.work(rounds=3)
        states.append(row(yard, server).state)
    assert list(dict.fromkeys(states)) == ["stopped", "expiring", "released"]
    assert yard.held() == Resources()
    yard.check()


def test_a_server_that_may_not_be_stopped_still_runs_and_its_people_and_the_office_know(yard: Yard) -> None:
    server = built(yard)
    yard.region.inject(Fault.refused, operation="stop_server")
    stopped(yard, server)
    yard.work()
    now = row(yard, server)
    assert (now.state, yard.cloud.list_servers()[0].status) == ("active", "ACTIVE")
    assert now.fault is not None
    assert "stop_server" in now.fault["en"]
    assert yard.told("server_not_stopped") == [
        ("operator", yard.hall.city),
        ("bureau_admin", yard.hall.town),
    ]


def test_a_lapsed_lease_ends_with_a_server_that_may_not_be_stopped_too(yard: Yard) -> None:
    end_on = date(2026, 4, 9)
    asked = yard.ask(BARE, end_on=end_on)
    yard.work()
    server = yard.server(asked)
    yard.region.inject(Fault.refused, operation="stop_server", count=None)
    for days in range(1, 16):
        yard.at = city_midnight(end_on + timedelta(days=days)) + timedelta(hours=9)
        for _ in range(4):
            yard.tend_leases()
            yard.work(rounds=3)
            yard.later(minutes=10)
        assert row(yard, server).state == "active"
        assert len(yard.told("server_not_stopped")) == 2 * days
    yard.at = city_midnight(date(2026, 4, 27)) + timedelta(hours=9)
    yard.tend_leases()
    yard.work()
    assert (row(yard, server).state, yard.held()) == ("released", Resources())
    assert [image.tag for image in yard.cloud.list_images() if image.tag] == [f"{server.tag}-last"]
    yard.check()


def test_a_server_in_error_does_not_start(yard: Yard) -> None:
    server = built(yard)
    stopped(yard, server)
    yard.work()
    break_all(yard)
    with transaction(yard.engine) as session:
        start_server(session, server_id=server.id, at=yard.at, actor="person:1")
    yard.work()
    now = row(yard, server)
    assert (now.state, now.fault) == (
        "stopped",
        {"zh": "云平台报告：the disk is gone", "en": "the cloud reports: the disk is gone"},
    )


def test_what_is_under_way_for_hours_is_told_to_the_office_once(yard: Yard) -> None:
    server = built(yard)
    yard.region.inject(Fault.slow, operation="stop_server", seconds=9 * 3600.0)
    stopped(yard, server)
    yard.work()
    assert yard.told("server_stuck") == []
    yard.later(hours=6)
    yard.work(rounds=4)
    assert yard.told("server_stuck") == [("operator", yard.hall.city)]
    yard.later(hours=3)
    yard.work()
    assert row(yard, server).state == "stopped"


@pytest.mark.parametrize("act", ["release", "reclaim"])
def test_one_that_never_comes_to_rest_can_be_taken_down(yard: Yard, act: str) -> None:
    server = built(yard)
    yard.region.inject(Fault.down, operation="stop_server", count=None)
    stopped(yard, server)
    yard.work(rounds=3)
    assert row(yard, server).state == "stopping"
    if act == "release":
        yard.ask(LineAsked(target_id=server.id), kind="release", end_on=None)
    else:
        reclaimed(yard, server)
    yard.work()
    assert (row(yard, server).state, yard.held()) == ("released", Resources())


def test_a_visit_that_ends_after_the_server_was_released_settles_nothing(yard: Yard) -> None:
    server = built(yard)
    stopped(yard, server)
    with transaction(yard.engine) as session:
        work = take_server(session, server_id=server.id, at=yard.at)
    assert work is not None
    late = RULES[work.state].visit(yard.cloud, work)
    assert late.what == "done"
    with transaction(yard.engine) as session:
        release_server(session, server_id=server.id, at=yard.at, actor="person:1")
    with transaction(yard.engine) as session:
        assert settle_visit(session, work, late, at=yard.at) is False
    assert (row(yard, server).state, yard.held()["servers"]) == ("releasing", 1)
    provision_server(yard.engine, yard.cloud, server_id=server.id, now=lambda: yard.at)
    assert (row(yard, server).state, yard.cloud.list_servers()) == ("released", [])
    yard.check()
