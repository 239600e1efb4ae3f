"""Larger volumes: claimed before the cloud is asked, held as it shows them, given back where it refuses."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Engine, select

from infra.database import reading, transaction
from infra.errors import NotFound
from provisioning.cloud.simulated import Fault
from provisioning.errors import QuotaExceeded, RequestInvalid, RequestOutdated, ServerState
from provisioning.models import RequestLine, Server, Volume
from provisioning.pace import VISIT_LASTS
from provisioning.quota import Limits
from provisioning.service.asking import LineAsked
from provisioning.service.grants import grant_quota
from provisioning.service.servers import stop_server, take_server
from provisioning.service.settling import settle_visit
from provisioning.service.states import RULES
from tests.service.removing import audit
from tests.yard import LINE, REGION, Yard, make_spring_yard

ONE = replace(LINE, count=1)


@pytest.fixture(params=["database", "sqlite_database"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Yard:
    return make_spring_yard(request.getfixturevalue(request.param), tmp_path)


@pytest.fixture
def postgres(database: Engine, tmp_path: Path) -> Yard:
    return make_spring_yard(database, tmp_path)


def built(yard: Yard) -> Volume:
    """The volume of 100 GiB of a server that runs."""
    yard.ask(ONE)
    yard.work()
    return volume(yard)


def volume(yard: Yard) -> Volume:
    with reading(yard.engine) as session:
        return session.scalars(select(Volume)).one()


def server(yard: Yard) -> Server:
    with reading(yard.engine) as session:
        return session.scalars(select(Server)).one()


def enlarge(yard: Yard, one: Volume, size_gib: int) -> int:
    """The request for it, verified."""
    line = LineAsked(volume_id=one.id, volume_gib=size_gib)
    return yard.ask(line, kind="enlargement", end_on=None)


def outcome(yard: Yard, request_id: int) -> tuple[str, str, int, int]:
    """The request's and its line's state, the size recorded and the size in the cloud; nothing is astray."""
    yard.check()
    one = volume(yard)
    assert (one.wanted_gib, yard.held()["volume_gib"]) == (None, one.size_gib)
    with reading(yard.engine) as session:
        line = session.scalars(select(RequestLine.state).where(RequestLine.request_id == request_id)).one()
    [seen] = yard.cloud.list_volumes()
    return yard.request(request_id).state, line, one.size_gib, seen.size_gib


def test_growth_is_held_from_the_verification_on_and_the_volume_keeps_its_place(yard: Yard) -> None:
    asked = enlarge(yard, built(yard), 250)
    assert (yard.held()["volume_gib"], server(yard).state) == (250, "extending")
    assert volume(yard).wanted_gib == 250
    yard.work()
    assert outcome(yard, asked) == ("confirming", "done", 250, 250)
    assert server(yard).state == "active"
    assert yard.cloud.list_volumes()[0].server_id == server(yard).cloud_id
    assert audit(yard) == {}
    again = enlarge(yard, volume(yard), 251)
    yard.work()
    assert outcome(yard, again) == ("confirming", "done", 251, 251)


def test_of_a_stopped_server_leaves_it_stopped(yard: Yard) -> None:
    one = built(yard)
    with transaction(yard.engine) as session:
        stop_server(session, server_id=one.server_id, at=yard.at, actor="person:1")
    yard.work()
    asked = enlarge(yard, one, 120)
    yard.work()
    assert outcome(yard, asked) == ("confirming", "done", 120, 120)
    assert server(yard).state == "stopped"


class TestAsking:
    @pytest.mark.parametrize("size_gib", [0, 99, 100, 1024 * 1024 + 1])
    def test_a_volume_can_only_grow(self, yard: Yard, size_gib: int) -> None:
        with pytest.raises(RequestInvalid) as refused:
            enlarge(yard, built(yard), size_gib)
        assert refused.value.facts["line"] == 1

    def test_a_line_names_a_volume_that_is_in_use_and_no_other_kind_does(self, yard: Yard) -> None:
        one = built(yard)
        with pytest.raises(NotFound):
            yard.draft(LineAsked(volume_id=10**9, volume_gib=200), kind="enlargement", end_on=None)
        for line, kind in (
            (LineAsked(target_id=one.server_id, volume_gib=200), "enlargement"),
            (LineAsked(volume_id=one.id, volume_gib=200), "volumes"),
            (replace(ONE, volume_id=one.id), "servers"),
        ):
            with pytest.raises(RequestInvalid):
                yard.draft(line, kind=kind)

    def test_it_is_warned_of_quota_and_refused_at_the_last_step(self, yard: Yard) -> None:
        one = built(yard)
        small = Limits.of(servers=1, vcpus=2, ram_mib=4096, root_gib=40, volumes=1, volume_gib=150)
        with transaction(yard.engine) as session:
            grant_quota(
                session, region=REGION, bureau_id=yard.hall.town, limit=small, at=yard.at, actor="person:1"
            )
        asked = yard.draft(LineAsked(volume_id=one.id, volume_gib=151), kind="enlargement", end_on=None)
        assert [(short["dimension"], short["asked"]) for short in yard.submit(asked)] == [("volume_gib", 51)]
        with pytest.raises(QuotaExceeded):
            yard.approve(asked)
        assert (yard.held()["volume_gib"], volume(yard).wanted_gib) == (100, None)
        within = enlarge(yard, one, 150)
        yard.work()
        assert outcome(yard, within)[2:] == (150, 150)

    def test_one_that_grew_meanwhile_is_not_asked_for_again(self, yard: Yard) -> None:
        one = built(yard)
        late = yard.draft(LineAsked(volume_id=one.id, volume_gib=150), kind="enlargement", end_on=None)
        yard.submit(late)
        enlarge(yard, one, 200)
        yard.work()
        with pytest.raises(RequestOutdated):
            yard.approve(late)

    def test_of_several_at_once_one_is_begun(self, postgres: Yard) -> None:
        yard = postgres
        one = built(yard)
        ids = []
        for size_gib in (150, 200):
            line = LineAsked(volume_id=one.id, volume_gib=size_gib)
            ids.append(yard.draft(line, kind="enlargement", end_on=None))
            yard.submit(ids[-1])
            while yard.decide(ids[-1]).next_step != "verify":
                pass
        start = Barrier(2)

        def decide(request_id: int) -> bool:
            start.wait()
            try:
                yard.decide(request_id)
            except ServerState:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(decide, ids))
        assert sorted(done) == [False, True]
        yard.work()
        size = (150, 200)[done.index(True)]
        assert outcome(yard, ids[done.index(True)]) == ("confirming", "done", size, size)


class TestBroken:
    """What is held in the end is what the cloud shows."""

    @pytest.mark.parametrize("fault", [Fault.refused, Fault.ends_in_error])
    def test_a_refusal_gives_the_growth_back(self, yard: Yard, fault: Fault) -> None:
        one = built(yard)
        yard.region.inject(fault, operation="extend_volume", count=None)
        asked = enlarge(yard, one, 250)
        yard.work(rounds=80)
        assert outcome(yard, asked) == ("failed", "failed", 100, 100)
        assert (server(yard).state, server(yard).fault is None) == ("active", False)

    def test_the_projects_own_quota_is_pushed_before_it_counts_as_used_up(self, yard: Yard) -> None:
        one = built(yard)
        yard.cloud.set_quota(yard.project_of(yard.hall.town), Limits.of(servers=9, volumes=9, volume_gib=100))
        asked = enlarge(yard, one, 250)
        yard.work(rounds=80)
        assert outcome(yard, asked) == ("confirming", "done", 250, 250)

    @pytest.mark.parametrize("fault", [Fault.timed_out_but_done, Fault.down, Fault.slow])
    def test_an_answer_that_is_lost_or_late_is_no_refusal(self, yard: Yard, fault: Fault) -> None:
        one = built(yard)
        yard.region.inject(fault, operation="extend_volume", count=2, seconds=400.0)
        asked = enlarge(yard, one, 250)
        yard.work(rounds=80)
        assert outcome(yard, asked) == ("confirming", "done", 250, 250)

    @pytest.mark.parametrize("killed", [1, 2, 3])
    def test_workers_killed_in_any_visit(self, yard: Yard, killed: int) -> None:
        asked = enlarge(yard, built(yard), 250)
        for number in range(1, killed + 1):
            with transaction(yard.engine) as session:
                work = take_server(session, server_id=server(yard).id, at=yard.at)
            if work is None:
                break
            found = RULES[work.state].visit(yard.cloud, work)
            if number < killed:
                with transaction(yard.engine) as session:
                    settle_visit(session, work, found, at=yard.at)
            yard.later(seconds=VISIT_LASTS.total_seconds() + 1)
        yard.work()
        assert outcome(yard, asked) == ("confirming", "done", 250, 250)

    def test_a_server_that_went_meanwhile_leaves_its_volume_held_as_it_is(self, yard: Yard) -> None:
        one = built(yard)
        yard.region.inject(Fault.slow, operation="extend_volume", seconds=300.0)
        enlarge(yard, one, 250)
        yard.work(rounds=3)
        with yard.region.store.writing() as db:
            db.execute("DELETE FROM allocations")
            db.execute("DELETE FROM servers")
        yard.work(rounds=80)
        assert server(yard).state == "stopped"
        assert (volume(yard).size_gib, yard.held()["volume_gib"]) == (250, 250)
        yard.check()

    def test_what_its_server_is_by_then_does_not_keep_it_from_its_end(self, yard: Yard) -> None:
        one = built(yard)
        asked = enlarge(yard, one, 250)
        with yard.region.store.writing() as db:
            db.execute("UPDATE servers SET status = 'ERROR'")
        yard.work()
        assert outcome(yard, asked) == ("confirming", "done", 250, 250)

    def test_a_volume_that_is_gone_is_held_as_before(self, yard: Yard) -> None:
        one = built(yard)
        asked = enlarge(yard, one, 250)
        with yard.region.store.writing() as db:
            db.execute("DELETE FROM volumes")
        yard.work()
        assert yard.request(asked).state == "failed"
        assert (volume(yard).size_gib, yard.held()["volume_gib"]) == (100, 100)
        yard.check()
