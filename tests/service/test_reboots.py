"""Reboots: once for each time that somebody asks, whoever is killed and whatever answer is lost meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Engine, select

from infra.database import reading, transaction
from infra.journal import JournalEntry
from provisioning.cloud.driver import Permanent
from provisioning.cloud.simulated import Fault
from provisioning.errors import ServerState
from provisioning.models import Server
from provisioning.pace import VISIT_LASTS
from provisioning.quota import Resources
from provisioning.service.consoles import open_console
from provisioning.service.servers import reboot_server, stop_server, take_server
from provisioning.service.settling import settle_visit
from provisioning.service.states import RULES
from tests.yard import LINE, Yard, make_spring_yard

BARE = replace(LINE, count=1, volume_gib=0)
HARD = pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])


@pytest.fixture
def yard(database: Engine, tmp_path: Path) -> Yard:
    return make_spring_yard(database, tmp_path)


@pytest.fixture
def server(yard: Yard) -> Server:
    """One that runs."""
    asked = yard.ask(BARE)
    yard.work()
    return yard.server(asked)


def rebooted(yard: Yard, server: Server, *, hard: bool = False) -> None:
    """Somebody asks for it."""
    with transaction(yard.engine) as session:
        reboot_server(session, server_id=server.id, at=yard.at, actor="person:1", hard=hard)


def row(yard: Yard, server: Server) -> Server:
    """As the records have it now."""
    with reading(yard.engine) as session:
        return session.get_one(Server, server.id)


def count(yard: Yard, server: Server) -> int:
    """How often it was rebooted."""
    return yard.cloud.count_reboots(server.cloud_id or "")


@HARD
def test_each_is_done_once_and_holds_what_it_held(yard: Yard, server: Server, hard: bool) -> None:
    held = yard.held()
    for number in (1, 2):
        rebooted(yard, server, hard=hard)
        state = row(yard, server).state
        assert state == ("resetting" if hard else "rebooting")
        yard.work()
        assert (row(yard, server).state, count(yard, server)) == ("active", number)
    assert yard.held() == held
    with reading(yard.engine) as session:
        query = select(JournalEntry).where(JournalEntry.act == f"server.{state}")
        assert [one.actor for one in session.scalars(query)] == ["person:1"] * 2
    yard.check()


@HARD
@pytest.mark.parametrize("killed", [1, 2, 3])
def test_a_worker_that_is_killed_in_any_visit_has_it_done_no_second_time(
    yard: Yard, server: Server, hard: bool, killed: int
) -> None:
    rebooted(yard, server, hard=hard)
    for number in range(1, killed + 1):
        with transaction(yard.engine) as session:
            work = take_server(session, server_id=server.id, at=yard.at)
        assert work is not None
        found = RULES[work.state].visit(yard.cloud, work)
        if number < killed:
            with transaction(yard.engine) as session:
                settle_visit(session, work, found, at=yard.at)
        yard.later(seconds=VISIT_LASTS.total_seconds() + 1)
    yard.work()
    assert (row(yard, server).state, count(yard, server)) == ("active", 1)


@HARD
@pytest.mark.parametrize("fault", [Fault.timed_out_but_done, Fault.down, Fault.slow])
def test_an_answer_that_is_lost_or_late_has_it_done_once(
    yard: Yard, server: Server, hard: bool, fault: Fault
) -> None:
    yard.region.inject(fault, operation="reboot_server", count=2, seconds=400.0)
    rebooted(yard, server, hard=hard)
    yard.work()
    assert (row(yard, server).state, count(yard, server)) == ("active", 1)


def test_a_refusal_leaves_it_running_and_is_told(yard: Yard, server: Server) -> None:
    yard.region.inject(Fault.refused, operation="reboot_server")
    rebooted(yard, server)
    yard.work()
    now = row(yard, server)
    assert (now.state, count(yard, server)) == ("active", 0)
    assert now.fault is not None
    assert "reboot_server" in now.fault["en"]


@pytest.mark.parametrize(
    ("status", "hard", "then"), [("ERROR", False, 0), ("SHUTOFF", False, 0), ("ERROR", True, 1)]
)
def test_one_that_does_not_run_comes_up_by_a_hard_one_alone(
    yard: Yard, server: Server, status: str, hard: bool, then: int
) -> None:
    with yard.region.store.writing() as db:
        db.execute("UPDATE servers SET status = ?, resting_status = ?", (status, status))
    rebooted(yard, server, hard=hard)
    yard.work()
    now = row(yard, server)
    assert (now.state, count(yard, server)) == ("active", then)
    assert (now.fault is None) == hard
    assert (yard.cloud.get_server(now.cloud_id or "").status == "ACTIVE") == hard


def test_one_that_is_gone_frees_its_quota(yard: Yard, server: Server) -> None:
    yard.cloud.delete_server(server.cloud_id or "")
    rebooted(yard, server)
    yard.work()
    assert (row(yard, server).state, yard.held()) == ("released", Resources())
    assert yard.told("server_gone") == [("operator", yard.hall.city), ("bureau_admin", yard.hall.town)]


def test_a_hard_one_may_follow_one_that_hangs_and_no_other_act_may(yard: Yard, server: Server) -> None:
    yard.region.inject(Fault.slow, operation="reboot_server", seconds=900.0)
    rebooted(yard, server)
    yard.work(rounds=3)
    for act in (reboot_server, stop_server):
        with pytest.raises(ServerState), transaction(yard.engine) as session:
            act(session, server_id=server.id, at=yard.at, actor="person:1")
    rebooted(yard, server, hard=True)
    yard.work()
    assert (row(yard, server).state, count(yard, server)) == ("active", 2)


def test_of_several_who_ask_at_once_one_is_heard(yard: Yard, server: Server) -> None:
    start = Barrier(4)

    def ask(_: int) -> bool:
        start.wait()
        try:
            rebooted(yard, server)
        except ServerState:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))) == [False, False, False, True]
    yard.work()
    assert count(yard, server) == 1


class TestConsole:
    def test_who_opens_one_is_journalled_whatever_the_cloud_says(self, yard: Yard, server: Server) -> None:
        with pytest.raises(Permanent, match="no consoles"):
            open_console(yard.engine, yard.cloud, server_id=server.id, at=yard.at, actor="person:7")
        with reading(yard.engine) as session:
            [entry] = session.scalars(select(JournalEntry).where(JournalEntry.act == "server.console"))
        assert (entry.actor, entry.subject) == ("person:7", f"server:{server.id}")

    def test_of_one_that_does_not_run_no_cloud_is_asked(self, yard: Yard, server: Server) -> None:
        with transaction(yard.engine) as session:
            stop_server(session, server_id=server.id, at=yard.at, actor="person:1")
        yard.work()
        with pytest.raises(ServerState, match="open its console"):
            open_console(yard.engine, yard.cloud, server_id=server.id, at=yard.at, actor="person:7")
