"""Who may pull, from which cursor, and until when."""

import base64
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from exchange.errors import CursorInvalid, NotEntitled
from exchange.queries import list_deliveries
from exchange.service.entitlements import (
    expire_subscriptions,
    pause_subscription,
    resume_subscription,
    revoke_subscription,
)
from infra.clock import city_date, city_midnight
from infra.database import reading, transaction
from infra.errors import NotFound
from tests.service.desk import Desk, upserts
from tests.service.provider import open_provider


@pytest.fixture(params=["database", "sqlite_database"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    engine: Engine = request.getfixturevalue(request.param)
    with open_provider(engine, tmp_path, at) as provider:
        yield Desk(provider)


@pytest.mark.parametrize(
    "forged", ["x", "{}", "AAAA", "é", "a" * 500, "====", base64.b64encode(b"x" * 64).decode()]
)
def test_a_cursor_that_was_not_given_is_refused(desk: Desk, forged: str) -> None:
    desk.catalogue()
    desk.subscribe("id", "name")
    with pytest.raises(CursorInvalid):
        desk.pull(forged)


def test_a_cursor_of_another_subscription_or_a_changed_one_is_refused(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    desk.publish(*upserts("a"))
    cursor = desk.pull().cursor
    changed = cursor[:-1] + ("A" if cursor[-1] != "A" else "Q")
    with pytest.raises(CursorInvalid):
        desk.pull(changed)
    desk.subscribe("id", system_id=desk.place.second_subscriber_id)
    with pytest.raises(CursorInvalid):
        desk.pull(cursor, system_id=desk.place.second_subscriber_id)


def _revoke(desk: Desk) -> None:
    with transaction(desk.engine) as session:
        revoke_subscription(
            session,
            subscription_id=desk.subscription_id,
            revision_seen=2,
            actor="person:1",
            reason="用途不符",
            at=desk.at,
        )


def _pause(desk: Desk) -> None:
    with transaction(desk.engine) as session:
        pause_subscription(
            session,
            subscription_id=desk.subscription_id,
            revision_seen=2,
            actor="person:1",
            reason="核查",
            at=desk.at,
        )


def _expire(desk: Desk) -> None:
    with transaction(desk.engine) as session:
        expire_subscriptions(session, at=desk.at + timedelta(days=400))


@pytest.mark.parametrize(("end", "word"), [(_revoke, "revoked"), (_pause, "paused"), (_expire, "expired")])
def test_who_is_not_entitled_gets_nothing(desk: Desk, end: Callable[[Desk], None], word: str) -> None:
    desk.catalogue()
    desk.subscribe("id")
    desk.publish(*upserts("a"))
    assert len(desk.pull().records) == 1
    end(desk)
    with pytest.raises(NotEntitled) as refusal:
        desk.pull()
    assert word in refusal.value.message("en")
    with reading(desk.engine) as session:
        assert len(list_deliveries(session, subscription_id=desk.subscription_id)) == 1


def test_the_last_day_counts_in_the_city_without_any_sweep(desk: Desk) -> None:
    desk.catalogue()
    today = city_date(desk.at)
    midnight = city_midnight(today + timedelta(days=1))
    desk.subscribe("id", until_on=today)
    desk.publish(*upserts("a"))
    assert len(desk.pull(at=midnight - timedelta(minutes=1)).records) == 1
    with pytest.raises(NotEntitled):
        desk.pull(at=midnight)


def test_a_resumed_subscription_goes_on(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    desk.publish(*upserts("a"))
    cursor = desk.pull().cursor
    _pause(desk)
    desk.publish(*upserts("b"))
    with transaction(desk.engine) as session:
        resume_subscription(
            session, subscription_id=desk.subscription_id, revision_seen=3, actor="person:1", at=desk.at
        )
    assert [r.value for r in desk.pull(cursor).records] == [{"id": "b"}]


def test_another_systems_subscription_is_refused_and_an_unknown_one_not_found(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    with pytest.raises(NotEntitled):
        desk.pull(system_id=desk.place.second_subscriber_id)
    with pytest.raises(NotFound):
        desk.pull(subscription_id=999)


def test_a_revocation_while_the_log_is_read_hands_out_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.catalogue()
    desk.subscribe("id")
    desk.publish(*upserts("a"))
    read = desk.log.read

    def read_and_be_revoked(*args: Any, **named: Any) -> Any:
        _revoke(desk)
        return read(*args, **named)

    monkeypatch.setattr(desk.log, "read", read_and_be_revoked)
    with pytest.raises(NotEntitled):
        desk.pull()
    with reading(desk.engine) as session:
        assert list_deliveries(session, subscription_id=desk.subscription_id) == []
