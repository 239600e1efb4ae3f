"""Acts on requests and servers beside changes of the tree: one order of locks, so that none kills another."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

from approval.service import withdraw
from identity.models import Bureau, BureauVersion
from identity.service.reorganise import rename
from identity.service.systems import transfer_system
from identity.service.tree import TREE_LOCK
from infra.clock import city_date
from infra.database import transaction
from infra.workdays import load_calendar
from provisioning.cloud.simulated import Fault
from provisioning.queries import get_request
from provisioning.quota import Limits
from provisioning.service.asking import LineAsked
from provisioning.service.following import follow_cases
from provisioning.service.leases import tend_lease
from provisioning.service.requests import confirm_request, edit_request, withdraw_request
from provisioning.service.servers import give_up_server, release_server, retry_server, stop_server
from provisioning.service.tree import QuotaGuard
from provisioning.service.visits import REBUILDS_AT_MOST
from tests.factories import LONG_AGO
from tests.waiting import someone_waits, wait_until
from tests.yard import BIGGER, LINE, Yard, make_yard

WAIT_S = 120
ROOM = Limits.of(servers=100, vcpus=500, ram_mib=2_000_000, root_gib=20_000, volume_gib=100_000, volumes=100)
"""The town's part, so that the county has room of its own for what is handed over to it."""
LOCKED_REQUEST = re.compile(r"FROM requests\b.*FOR NO KEY UPDATE", re.DOTALL)
ROW_LOCKS = ("INSERT ", "UPDATE ", "DELETE ", "FOR UPDATE", "FOR NO KEY UPDATE", "FOR SHARE")


@pytest.fixture
def yard(database: Engine, tmp_path: Path, at: datetime) -> Yard:
    return make_yard(database, tmp_path, at=at, room=ROOM)


def rename_the_town(session: Session, yard: Yard) -> None:
    rename(session, bureau_id=yard.hall.town, name="新镇", at=yard.at, actor="person:1")


def hand_the_system_over(session: Session, yard: Yard) -> None:
    transfer_system(
        session,
        system_id=yard.system_id,
        bureau_id=yard.hall.county,
        at=yard.at,
        actor="person:1",
        guards=[QuotaGuard()],
    )


@pytest.mark.parametrize("change", [rename_the_town, hand_the_system_over])
def test_a_verification_and_a_change_of_the_tree_let_each_other_live(
    yard: Yard, change: Callable[[Session, Yard], None]
) -> None:
    """The change comes when the verification has written its first server, and waits before both go on."""
    with transaction(yard.engine) as session:
        town = session.get_one(Bureau, yard.hall.town)
        old = {name: getattr(town, name) for name in ("code", "name", "level", "parent_id")}
        session.add(BureauVersion(bureau_id=town.id, valid_from=LONG_AGO, **old))
    asked = yard.draft(LINE)
    yard.submit(asked)
    for _ in ("accept", "first_review", "review"):
        yard.decide(asked)
    wrote, go_on = Event(), Event()

    def pause(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO servers") and not wrote.is_set():
            wrote.set()
            assert go_on.wait(WAIT_S)

    def alter() -> None:
        with transaction(yard.engine) as session:
            change(session, yard)

    event.listen(yard.engine, "after_cursor_execute", pause)
    try:
        with ThreadPoolExecutor(2) as pool:
            verified = pool.submit(yard.decide, asked)
            assert wrote.wait(WAIT_S)
            altered = pool.submit(alter)
            wait_until(lambda: someone_waits(yard.engine) or altered.done())
            go_on.set()
            assert verified.result(WAIT_S).approved
            altered.result(WAIT_S)
    finally:
        go_on.set()
        event.remove(yard.engine, "after_cursor_execute", pause)
    yard.work()
    assert [server.state for server in yard.servers(asked)] == ["active", "active"]
    yard.check()


@contextmanager
def watched(engine: Engine) -> Iterator[list[str]]:
    """Statements that locked or wrote rows in a transaction that took the lock of the tree only later, and
    those that locked a request in one that never did.
    """
    early: list[str] = []
    rows: dict[int, list[str]] = {}

    def begun(connection: Connection) -> None:
        rows[id(connection)] = []

    def said(connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "pg_advisory_xact_lock" in statement and TREE_LOCK in parameters.values():
            early.extend(rows.pop(id(connection), ()))
        elif id(connection) in rows and LOCKED_REQUEST.search(statement):
            early.append(statement)
        elif id(connection) in rows and any(words in statement for words in ROW_LOCKS):
            rows[id(connection)].append(statement)

    event.listen(engine, "begin", begun)
    event.listen(engine, "before_cursor_execute", said)
    yield early
    event.remove(engine, "before_cursor_execute", said)
    event.remove(engine, "begin", begun)


def test_every_act_takes_the_lock_of_the_tree_before_any_row(yard: Yard) -> None:
    one = replace(LINE, count=1)
    by: dict[str, Any] = {"at": yard.at, "actor": "person:1"}

    def act(what: Callable[..., Any], server_id: int) -> None:
        with transaction(yard.engine) as session:
            what(session, server_id=server_id, **by)
        yard.work()

    with watched(yard.engine) as early:
        asked = yard.draft(one)
        mine: dict[str, Any] = {"request_id": asked, "person_id": yard.hall.applicant, "at": yard.at}
        with transaction(yard.engine) as session:
            edit_request(session, **mine, revision_seen=1, lines=[one])
        yard.submit(asked)
        yard.approve(asked)
        yard.work()
        with transaction(yard.engine) as session:
            confirm_request(session, **mine)
        server = yard.server(asked)
        yard.ask(LineAsked(volume_gib=5, target_id=server.id), kind="volumes")
        yard.work()
        yard.ask(LineAsked(flavor=BIGGER, target_id=server.id), kind="resize")
        yard.work()
        yard.ask(kind="quota_change", limit=ROOM, system_id=None, bureau_id=yard.hall.town)
        with transaction(yard.engine) as session:
            calendar, on = load_calendar(session), city_date(yard.at)
            tend_lease(session, server_id=server.id, on=on, at=yard.at, calendar=calendar)
        act(stop_server, server.id)
        act(release_server, server.id)
        yard.region.inject(Fault.ends_in_error, operation="create_server", count=2 * (1 + REBUILDS_AT_MOST))
        failing = yard.server(yard.ask(one))
        yard.work()
        act(retry_server, failing.id)
        act(give_up_server, failing.id)
        again = yard.draft(one)
        with transaction(yard.engine) as session:
            withdraw_request(session, **(mine | {"request_id": again}))
        left = yard.draft(one)
        with transaction(yard.engine) as session:
            case_id = get_request(session, left).case_id or 0
            withdraw(session, case_id=case_id, person_id=yard.hall.applicant, at=yard.at)
        assert follow_cases(yard.engine, at=yard.at) == [left]
    assert early == []
    yard.check()
