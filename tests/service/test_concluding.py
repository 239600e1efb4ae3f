"""When a request has come to its end: whatever its servers work for, and however many they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from infra.database import transaction
from provisioning.cloud.simulated import Fault
from provisioning.models import Server
from provisioning.quota import Resources
from provisioning.service.asking import LineAsked
from provisioning.service.servers import give_up_server, provision_server, release_server, stop_server
from tests.statements import statements
from tests.yard import BIGGER, LINE, Yard, make_yard

WAITS_S = 5.0
BARE = replace(LINE, volume_gib=0)


@pytest.fixture
def yard(database: Engine, tmp_path: Path, at: datetime) -> Yard:
    return make_yard(database, tmp_path, at=at)


def half_built(yard: Yard) -> tuple[int, int, int]:
    """The id of a request for two servers, that of the one which runs, and that of the one which failed."""
    yard.region.inject(Fault.refused, operation="create_server")
    asked = yard.ask(BARE)
    yard.work()
    ids = {server.state: server.id for server in yard.servers(asked)}
    assert set(ids) == {"active", "failed"}
    return asked, ids["active"], ids["failed"]


def resize_it(yard: Yard, server_id: int) -> int:
    return yard.ask(LineAsked(target_id=server_id, flavor=BIGGER), kind="resize", end_on=None)


def add_a_volume(yard: Yard, server_id: int) -> int:
    return yard.ask(LineAsked(target_id=server_id, volume_gib=5), kind="volumes", end_on=None)


def give_it_back(yard: Yard, server_id: int) -> int:
    return yard.ask(LineAsked(target_id=server_id), kind="release", end_on=None)


def stop_it_after_a_resize(yard: Yard, server_id: int) -> int:
    asked = resize_it(yard, server_id)
    yard.work()
    with transaction(yard.engine) as session:
        stop_server(session, server_id=server_id, at=yard.at, actor="person:1")
    return asked


def release_it_after_a_resize(yard: Yard, server_id: int) -> int:
    asked = resize_it(yard, server_id)
    yard.work()
    with transaction(yard.engine) as session:
        release_server(session, server_id=server_id, at=yard.at, actor="person:1")
    return asked


@pytest.mark.parametrize(
    ("change", "then"),
    [
        (resize_it, "confirming"),
        (add_a_volume, "confirming"),
        (give_it_back, "closed"),
        (stop_it_after_a_resize, "confirming"),
        (release_it_after_a_resize, "confirming"),
    ],
)
def test_a_request_whose_last_server_works_for_another_one_ends_with_it(
    yard: Yard, change: Callable[[Yard, int], int], then: str
) -> None:
    """The failed one is given up while the other is at it: only the visits can end either request."""
    asked, running, failed = half_built(yard)
    other = change(yard, running)
    with transaction(yard.engine) as session:
        give_up_server(session, server_id=failed, at=yard.at, actor="person:1")
    assert yard.request(asked).state == "provisioning"
    yard.work()
    assert yard.request(asked).state == "confirming"
    assert yard.request(other).state == then
    yard.check()


@contextmanager
def noted(engine: Engine) -> Iterator[tuple[set[int], list[str]]]:
    """The ids of the servers that are read, and the statements."""
    read: set[int] = set()

    def load(server: Server, _context: object) -> None:
        read.add(server.id)

    event.listen(Server, "load", load)
    try:
        with statements(engine) as said:
            yield read, said
    finally:
        event.remove(Server, "load", load)


def test_a_visit_reads_no_other_server_of_its_request_and_asks_only_if_it_changed_a_state(
    database: Engine, tmp_path: Path, at: datetime
) -> None:
    yard = make_yard(database, tmp_path, at=at, latency_s=WAITS_S)
    asked = yard.ask(replace(BARE, count=3))
    server_id = yard.servers(asked)[0].id
    for state, asks in (("creating", True), ("creating", False), ("active", True)):
        with noted(yard.engine) as (read, said):
            provision_server(yard.engine, yard.cloud, server_id=server_id, now=lambda: yard.at)
        assert yard.servers(asked)[0].state == state
        assert read == {server_id}
        assert any("EXISTS" in one for one in said) is asks
        yard.later(seconds=WAITS_S / 2 + 0.5)
    yard.work()
    assert yard.request(asked).state == "confirming"


def test_a_release_holds_the_account_for_as_many_statements_whatever_the_number_of_servers(
    yard: Yard,
) -> None:
    after: list[int] = []
    for count in (2, 6):
        asked = yard.ask(replace(LINE, count=count))
        yard.work()
        lines = [LineAsked(target_id=server.id) for server in yard.servers(asked)]
        gone = yard.draft(*lines, kind="release", end_on=None)
        yard.submit(gone)
        for _ in ("accept", "first_review", "review"):
            yard.decide(gone)
        with noted(yard.engine) as (_, said):
            assert yard.decide(gone).approved
        [locked] = [
            number
            for number, one in enumerate(said)
            if "FROM quota_accounts" in one and "FOR NO KEY UPDATE" in one
        ]
        after.append(len(said) - locked)
        yard.work()
        assert yard.request(gone).state == "closed"
    assert after[0] == after[1]
    assert yard.held() == Resources()
    yard.check()
