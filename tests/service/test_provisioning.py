"""Servers on their way: failures of the cloud, lost messages, retries, leases."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import Engine, select

from approval.models import Notice
from infra import jobs
from infra.clock import Clock, city_midnight
from infra.database import reading, transaction
from infra.installation import Installation
from infra.settings import Settings
from provisioning import tasks
from provisioning.cloud.simulated import Fault
from provisioning.errors import QuotaExceeded, ServerState
from provisioning.quota import Limits, Resources
from provisioning.service.grants import grant_quota
from provisioning.service.servers import (
    give_up_server,
    provision_server,
    release_server,
    retry_server,
)
from provisioning.service.sweep import sweep
from provisioning.service.visits import REBUILDS_AT_MOST
from tests.yard import LINE, REGION, Yard, make_spring_yard, make_yard

ONE = replace(LINE, count=1)


@pytest.fixture
def yard(database: Engine, tmp_path: Path, at: datetime) -> Yard:
    return make_yard(database, tmp_path, at=at)


@pytest.mark.parametrize(
    "call", ["ensure_project", "set_quota", "create_server", "create_volume", "attach_volume"]
)
@pytest.mark.parametrize("fault", [Fault.timed_out_but_done, Fault.down])
def test_a_call_without_an_answer_is_made_good_and_doubles_nothing(
    yard: Yard, call: str, fault: Fault
) -> None:
    yard.region.inject(fault, operation=call)
    asked = yard.ask(LINE)
    yard.work()
    assert yard.region.pending() == 0
    assert yard.request(asked).state == "confirming"
    assert (len(yard.cloud.list_servers()), len(yard.cloud.list_volumes())) == (2, 2)
    yard.check()


def test_a_slow_cloud_is_visited_again_until_it_is_ready(
    database: Engine, tmp_path: Path, at: datetime
) -> None:
    yard = make_yard(database, tmp_path, at=at, latency_s=5.0)
    asked = yard.ask(ONE)
    server_id = yard.server(asked).id
    provision_server(yard.engine, yard.cloud, server_id=server_id, now=lambda: yard.at)
    waiting = yard.server(asked)
    assert (waiting.state, waiting.next_try_at) == ("creating", yard.at + timedelta(seconds=1))
    provision_server(yard.engine, yard.cloud, server_id=server_id, now=lambda: yard.at)
    assert yard.server(asked).visits == waiting.visits
    yard.work()
    assert yard.server(asked).state == "active"


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("create_server", "云平台报告："),
        ("create_volume", "有云硬盘在云平台上出错"),
    ],
)
def test_what_ends_in_error_is_deleted_its_quota_released_and_can_be_retried(
    yard: Yard, call: str, fault: str
) -> None:
    yard.region.inject(Fault.ends_in_error, operation=call, count=1 + REBUILDS_AT_MOST)
    asked = yard.ask(ONE)
    yard.work()
    failed = yard.server(asked)
    assert yard.region.pending() == 0
    assert (failed.state, failed.cloud_id) == ("failed", None)
    assert failed.fault is not None
    assert "error" in failed.fault["en"] or "hypervisor" in failed.fault["en"]
    assert failed.fault["zh"].startswith(fault)
    assert (yard.cloud.list_servers(), yard.cloud.list_volumes()) == ([], [])
    assert yard.held() == Resources()
    assert yard.request(asked).state == "provisioning"
    with reading(yard.engine) as session:
        assert "server_failed" in set(session.scalars(select(Notice.code)))
    with transaction(yard.engine) as session:
        retry_server(session, server_id=failed.id, at=yard.at, actor="person:1")
    assert yard.held()["volumes"] == 1
    yard.work()
    assert yard.server(asked).state == "active"
    assert yard.request(asked).state == "confirming"
    yard.check()


@pytest.mark.parametrize("call", ["create_server", "create_volume"])
def test_what_ends_in_error_is_made_anew_by_itself(yard: Yard, call: str) -> None:
    yard.region.inject(Fault.ends_in_error, operation=call, count=REBUILDS_AT_MOST)
    asked = yard.ask(ONE)
    since = yard.at
    yard.work(rounds=2)
    fault = yard.server(asked).fault
    assert fault is not None
    assert "error" in fault["en"] or "hypervisor" in fault["en"]
    assert yard.held()["servers"] == 1
    yard.work()
    assert yard.region.pending() == 0
    assert yard.at - since > timedelta(minutes=2)
    assert (yard.request(asked).state, yard.server(asked).fault) == ("confirming", None)
    assert (len(yard.cloud.list_servers()), len(yard.cloud.list_volumes())) == (1, 1)
    yard.check()


def test_one_that_is_put_on_no_host_for_minutes_is_made_anew(yard: Yard) -> None:
    yard.region.inject(Fault.slow, operation="create_server", seconds=3600.0)
    asked = yard.ask(ONE)
    began = yard.at
    yard.work(rounds=1)
    with yard.region.store.writing() as db:
        db.execute("DELETE FROM allocations")  # its message is lost
    yard.work(rounds=8)
    assert (yard.server(asked).state, yard.server(asked).fault) == ("creating", None)
    yard.work()
    assert timedelta(minutes=5) < yard.at - began < timedelta(minutes=20)
    assert (yard.request(asked).state, yard.server(asked).fault) == ("confirming", None)
    assert (len(yard.cloud.list_servers()), len(yard.cloud.list_volumes())) == (1, 1)
    yard.check()


def test_an_hour_without_workers_between_two_steps_uses_up_no_patience(yard: Yard) -> None:
    asked = yard.ask(ONE)
    for _ in range(2):
        yard.work(rounds=1)
        assert yard.server(asked).state == "creating"
        yard.later(minutes=60)
    yard.work(rounds=1)
    assert (yard.request(asked).state, yard.server(asked).state) == ("confirming", "active")


def test_one_that_waits_its_turn_on_a_host_is_let_wait(yard: Yard) -> None:
    yard.region.inject(Fault.slow, operation="create_server", seconds=1200.0)
    asked = yard.ask(ONE)
    yard.work(rounds=1)
    first = yard.server(asked).cloud_id
    yard.work()
    assert (yard.request(asked).state, yard.server(asked).cloud_id) == ("confirming", first)


def test_a_retry_that_does_not_fit_names_every_shortfall(yard: Yard) -> None:
    yard.region.inject(Fault.refused, operation="create_server")
    asked = yard.ask(ONE)
    yard.work()
    with transaction(yard.engine) as session:
        grant_quota(
            session, region=REGION, bureau_id=yard.hall.town, limit=Limits(), at=yard.at, actor="person:1"
        )
    with pytest.raises(QuotaExceeded) as refused, transaction(yard.engine) as session:
        retry_server(session, server_id=yard.server(asked).id, at=yard.at, actor="person:1")
    named = {short["dimension"]: short["asked"] for short in refused.value.facts["shortfalls"]}
    assert named == {
        "servers": 1, "vcpus": 2, "ram_mib": 4096, "root_gib": 40, "volumes": 1, "volume_gib": 100,
    }  # fmt: skip
    assert yard.server(asked).state == "failed"


def test_a_permanent_refusal_fails_one_server_and_giving_it_up_lets_the_rest_be_confirmed(yard: Yard) -> None:
    yard.region.inject(Fault.refused, operation="create_server")
    asked = yard.ask(LINE)
    yard.work()
    states = {server.state: server.id for server in yard.servers(asked)}
    assert set(states) == {"failed", "active"}
    with pytest.raises(ServerState), transaction(yard.engine) as session:
        give_up_server(session, server_id=states["active"], at=yard.at, actor="person:1")
    with transaction(yard.engine) as session:
        give_up_server(session, server_id=states["failed"], at=yard.at, actor="person:1")
    assert yard.request(asked).state == "confirming"
    assert yard.held()["servers"] == 1
    yard.check()


def test_a_request_of_which_nothing_is_left_has_failed(yard: Yard) -> None:
    yard.region.inject(Fault.refused, operation="create_server")
    asked = yard.ask(ONE)
    yard.work()
    with transaction(yard.engine) as session:
        give_up_server(session, server_id=yard.server(asked).id, at=yard.at, actor="person:1")
    assert yard.request(asked).state == "failed"


def test_while_the_region_is_down_the_waits_grow_and_the_fault_shows(yard: Yard) -> None:
    yard.region.inject(Fault.down, count=None)
    asked = yard.ask(ONE)
    waits = []
    for _ in range(4):
        provision_server(yard.engine, yard.cloud, server_id=yard.server(asked).id, now=lambda: yard.at)
        row = yard.server(asked)
        assert row.next_try_at is not None
        waits.append((row.next_try_at - yard.at).total_seconds())
        yard.at = row.next_try_at
    assert [2**n / 2 <= wait <= 2**n for n, wait in enumerate(waits, start=1)] == [True] * 4
    assert row.fault is not None
    assert REGION in row.fault["zh"]
    yard.region.lift()
    yard.work()
    assert yard.server(asked).state == "active"


def test_an_emptied_broker_loses_nothing(
    yard: Yard, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    asked = yard.ask(LINE)
    jobs.join(Installation(settings, Clock(), yard.engine))

    def send(_app: Celery, name: str, *, args: tuple[int, ...], **_options: object) -> None:
        assert name == "provisioning.provision_server"
        sent.extend(args)

    monkeypatch.setattr(Celery, "send_task", send)
    monkeypatch.setattr(tasks, "_cloud", lambda *_: yard.cloud)
    monkeypatch.setattr(Clock, "now", lambda _self: yard.at)
    try:
        tasks.sweep()
        assert sent == [server.id for server in yard.servers(asked)]
        sent.clear()
        tasks.sweep()
        for _ in range(3):
            for server_id in [*sent, *sent]:
                tasks.provision_server(server_id)
            yard.later(seconds=31)
        with transaction(yard.engine) as session:
            assert sweep(session, at=yard.at + timedelta(days=1)) == []
    finally:
        jobs.leave()
    assert yard.request(asked).state == "confirming"
    yard.check()


def test_a_release_holds_the_quota_until_the_cloud_has_let_go(
    database: Engine, tmp_path: Path, at: datetime
) -> None:
    yard = make_yard(database, tmp_path, at=at, latency_s=5.0)
    asked = yard.ask(ONE)
    yard.work()
    server_id = yard.server(asked).id
    held = yard.held()
    with transaction(yard.engine) as session:
        release_server(session, server_id=server_id, at=yard.at, actor="person:1")
    provision_server(yard.engine, yard.cloud, server_id=server_id, now=lambda: yard.at)
    assert yard.server(asked).state == "releasing"
    assert yard.held() == held
    yard.work()
    assert yard.server(asked).state == "released"
    assert yard.held() == Resources()
    yard.check()


def test_a_lease_tells_stops_keeps_a_snapshot_and_deletes_on_a_work_day(
    database: Engine, tmp_path: Path
) -> None:
    """It ends on a Thursday, so that the first day after its 15 days of grace is a Saturday."""
    yard = make_spring_yard(database, tmp_path)
    end_on = date(2026, 4, 9)
    asked = yard.ask(ONE, end_on=end_on)
    yard.work()
    server_id = yard.server(asked).id

    def tend(days: int) -> str:
        yard.at = city_midnight(end_on + timedelta(days=days)) + timedelta(hours=9)
        for _ in range(2):
            yard.tend_leases()
            yard.work()
        return yard.server(asked).state

    assert [tend(days) for days in (-31, -30, -7, -1, 0)] == ["active"] * 5
    with reading(yard.engine) as session:
        told = session.scalars(select(Notice).where(Notice.code == "lease_ends").order_by(Notice.id))
        assert [notice.facts["days"] for notice in told] == [30, 7, 1]
    assert tend(1) == "stopped"
    assert yard.cloud.list_servers()[0].status == "SHUTOFF"
    assert tend(15) == "stopped"
    assert tend(16) == "stopped"
    assert tend(18) == "released"
    assert yard.cloud.list_servers() == []
    assert [image.tag for image in yard.cloud.list_images() if image.tag] == [
        f"{yard.server(asked).tag}-last"
    ]
    assert server_id == yard.server(asked).id
    yard.check()
