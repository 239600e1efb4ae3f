"""The rules of emptying a host."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.cloud.observed import Server, ServerStatus
from provisioning.draining import (
    AT_ONCE,
    LOOK_EVERY,
    MOVABLE,
    TRIES_UNTOLD,
    Move,
    Round,
    is_due,
    may_begin,
    plan_round,
    where_in_window,
)

AT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOST, OTHER = "compute-01", "compute-02"
S = ServerStatus


def server(key: str, status: S = S.active, host: str | None = HOST, task: str | None = None) -> Server:
    return Server(
        id=key,
        tag=None,
        name=f"name-{key}",
        project_id="p",
        status=status,
        task=task,
        fault=None,
        flavor="f",
        vcpus=2,
        ram_mib=4,
        root_gib=8,
        image_id=None,
        zone=None,
        host=host,
        group=None,
        key_name=None,
        addresses=(),
        created_at=AT,
    )


def move(key: str, *, tries: int = 1, is_open: bool = True) -> Move:
    return Move(cloud_id=key, tries=tries, is_open=is_open)


def plan(*servers: Server, moves: list[Move] | None = None, **how: Any) -> Round:
    wanted: dict[str, Any] = {"busy": (), "live": True, "may_stop": True, **how}
    return plan_round(host=HOST, servers=servers, moves=moves or [], **wanted)


def begun(found: Round) -> list[tuple[str, bool]]:
    return [(one.id, live) for one, live in found.begin]


def test_the_window_is_open_from_its_first_instant_until_its_last() -> None:
    until = AT + HOUR
    second = timedelta(seconds=1)
    assert [where_in_window(AT, until, when) for when in (AT - second, AT, until - second, until)] == [
        "early",
        "open",
        "open",
        "over",
    ]


@pytest.mark.parametrize(
    ("state", "looked", "after", "due"),
    [
        ("planned", None, -HOUR, True),
        ("planned", -HOUR, -HOUR + LOOK_EVERY - timedelta(seconds=1), False),
        ("planned", -HOUR, -HOUR + LOOK_EVERY, True),
        ("planned", timedelta(seconds=-1), timedelta(0), True),
        ("planned", timedelta(seconds=1), timedelta(seconds=2), True),
        ("planned", timedelta(seconds=1), 2 * HOUR, True),
        ("planned", HOUR, 2 * HOUR, False),
        ("draining", timedelta(0), timedelta(0), True),
        ("ending", timedelta(0), timedelta(0), True),
        ("drained", timedelta(0), timedelta(0), False),
        ("ended", None, timedelta(0), False),
    ],
)
def test_what_is_planned_is_looked_at_now_and_then_always_in_its_window_and_once_after_it(
    state: str, looked: timedelta | None, after: timedelta, due: bool
) -> None:
    looked_at = None if looked is None else AT + looked
    assert is_due(state=state, from_at=AT, until_at=AT + HOUR, looked_at=looked_at, at=AT + after) is due


def test_a_stop_needs_the_consent_of_all_or_the_office() -> None:
    assert may_begin(live=True, overruled=False, answers=["objected", None])
    assert may_begin(live=False, overruled=True, answers=["objected", None])
    assert may_begin(live=False, overruled=False, answers=["agreed", "agreed"])
    assert may_begin(live=False, overruled=False, answers=[])
    assert not may_begin(live=False, overruled=False, answers=["agreed", None])
    assert not may_begin(live=False, overruled=False, answers=["agreed", "objected"])


def test_running_servers_are_moved_live_and_stopped_ones_cold() -> None:
    found = plan(server("a"), server("b", S.shutoff), server("c", host=OTHER), server("d", host=None))
    assert begun(found) == [("a", True), ("b", False)]
    assert (found.left, found.under_way, found.stuck) == (2, 0, ())
    assert begun(plan(server("a"), server("b", S.shutoff), live=False)) == [("a", False), ("b", False)]


def test_none_is_stopped_past_the_window() -> None:
    servers = server("a"), server("b", S.shutoff)
    assert begun(plan(*servers, live=False, may_stop=False)) == [("b", False)]
    assert begun(plan(*servers, live=True, may_stop=False)) == [("a", True), ("b", False)]


def test_what_others_work_on_waits() -> None:
    found = plan(server("a"), server("b", task="rebooting"), server("c", S.build), busy=["a"])
    assert (begun(found), found.left) == ([], 3)
    assert [one.id for one in found.stuck] == ["c"]


def test_only_its_own_moves_are_confirmed_and_only_on_another_host() -> None:
    waiting = [server(key, S.verify_resize, OTHER) for key in ("own", "foreign", "over")]
    here = server("here", S.verify_resize)
    confirming = server("confirming", S.verify_resize, OTHER, task="resize_confirming")
    moves = [move("own"), move("over", is_open=False), move("here"), move("confirming")]
    found = plan(*waiting, here, confirming, moves=moves)
    assert [one.id for one in found.confirm] == ["own"]
    assert (found.left, found.under_way, found.ended, begun(found)) == (3, 3, {}, [])


def test_what_came_of_moves() -> None:
    servers = (
        server("arrived", host=OTHER),
        server("returned"),
        server("shelved", S.shelved, None),
        server("broken", S.error, HOST),
        server("on-its-way", S.migrating, HOST, task="migrating"),
    )
    keys = [one.id for one in servers]
    found = plan(*servers, moves=[move(key) for key in (*keys, "deleted")])
    assert found.ended == {
        "arrived": OTHER,
        "returned": None,
        "shelved": None,
        "broken": None,
        "deleted": None,
    }
    assert begun(found) == [("returned", True)]
    assert (found.left, found.under_way) == (3, 1)
    assert [one.id for one in found.stuck] == ["broken"]


def test_what_does_not_leave_is_told_after_some_tries_and_keeps_back_nothing_else() -> None:
    servers = [server(f"s{number}") for number in range(AT_ONCE + 1)]
    moves = [move(one.id, tries=TRIES_UNTOLD, is_open=False) for one in servers[:AT_ONCE]]
    found = plan(*servers, moves=moves)
    assert begun(found)[0] == (servers[AT_ONCE].id, True)
    assert [one.id for one in found.stuck] == [one.id for one in servers[:AT_ONCE]]
    fewer = [move(one.id, tries=TRIES_UNTOLD - 1, is_open=False) for one in servers]
    assert plan(*servers, moves=fewer).stuck == ()


servers_of_any_kind = st.lists(
    st.builds(
        server,
        st.sampled_from([f"s{number}" for number in range(12)]),
        st.sampled_from(S),
        st.sampled_from([HOST, OTHER, None]),
        st.sampled_from([None, "migrating"]),
    ),
    unique_by=lambda one: one.id,
)
moves_of_any_kind = st.lists(
    st.builds(
        Move,
        cloud_id=st.sampled_from([f"s{number}" for number in range(12)]),
        tries=st.integers(0, 5),
        is_open=st.booleans(),
    ),
    unique_by=lambda one: one.cloud_id,
)


@given(servers_of_any_kind, moves_of_any_kind, st.sets(st.sampled_from(["s0", "s1", "s2"])), st.booleans())
def test_laws(servers: list[Server], moves: list[Move], busy: set[str], live: bool) -> None:
    found = plan(*servers, moves=moves, busy=busy, live=live)
    keys = {one.id for one, _ in found.begin}
    still = {one.cloud_id for one in moves if one.is_open} - found.ended.keys()
    assert len(still) == found.under_way
    assert len(keys) + found.under_way <= max(AT_ONCE, found.under_way)
    assert keys.isdisjoint(still | busy)
    assert all(one.host == HOST and one.status in MOVABLE and one.task is None for one, _ in found.begin)
    assert {one.id for one in found.confirm} <= still
    assert found.left >= len(keys) + found.under_way
    if found.left == 0:
        assert not [one for one in servers if one.host == HOST]
