"""Subscriptions that are granted anew or for longer: nothing is left out, and nothing comes twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update

from exchange.broker.driver import LogRecord
from exchange.errors import CursorInvalid, NotEntitled, SubscriptionInvalid
from exchange.models import Subscription
from exchange.queries import get_subscription
from exchange.service.entitlements import (
    expire_subscriptions,
    pause_subscription,
    prolong_subscription,
    revoke_subscription,
)
from exchange.service.positions import acknowledge
from infra.clock import city_date
from infra.database import reading, transaction
from infra.errors import Stale
from tests.service.desk import upserts
from tests.service.provider import open_provider
from tests.service.relay_desk import Counter


@pytest.fixture
def desk(database: Engine, tmp_path: Path, at: datetime) -> Iterator[Counter]:
    with open_provider(database, tmp_path, at) as provider:
        yield Counter(provider)


def ids(page: Any) -> list[str]:
    return [record.value["id"] for record in page.records]


def confirm(desk: Counter, cursor: str, subscription_id: int | None = None) -> None:
    with transaction(desk.engine) as session:
        acknowledge(
            session,
            subscription_id=subscription_id or desk.subscription_id,
            system_id=desk.place.subscriber_id,
            cursor=cursor,
            at=desk.at,
        )


def found(desk: Counter) -> Subscription:
    with reading(desk.engine) as session:
        subscription = get_subscription(session, subscription_id=desk.subscription_id)
        session.expunge_all()
        return subscription


def shown(records: list[LogRecord]) -> list[str]:
    return [record.headers["ref"] for record in records if record.value]


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_it_goes_on_where_the_earlier_one_acknowledged(desk: Counter, end: str) -> None:
    desk.catalogue()
    first = desk.subscribe("id")
    desk.publish(*upserts("1", "2", "3"))
    page = desk.pull(limit=2)
    confirm(desk, page.cursor)
    refs = [record.ref for record in desk.pull_all(page.cursor)]
    if end == "revoked":
        desk.entitle(revoke_subscription, reason="核查")
    else:
        with transaction(desk.engine) as session:
            session.execute(update(Subscription).values(until_on=date(2020, 1, 1)))
            expire_subscriptions(session, at=desk.at)
    desk.publish(*upserts("4"))
    assert desk.subscribe("id", "name") != first
    assert found(desk).continues_id == first
    rest = desk.pull()
    assert ids(rest) == ["3", "4"]
    assert [record.value.keys() for record in rest.records] == [{"id", "name"}, {"id", "name"}]
    assert rest.records[0].ref == refs[0]
    with pytest.raises(CursorInvalid):
        desk.pull(page.cursor)
    confirm(desk, rest.cursor)
    assert ids(desk.pull()) == []


def test_whoever_acknowledged_nothing_begins_at_the_beginning(desk: Counter) -> None:
    desk.catalogue()
    desk.subscribe("id")
    desk.publish(*upserts("1"))
    desk.pull()
    desk.entitle(revoke_subscription, reason="核查")
    desk.subscribe("id")
    assert ids(desk.pull()) == ["1"]


def test_a_generation_that_was_begun_is_read_to_its_end(desk: Counter) -> None:
    desk.catalogue(update_mode="full")
    desk.subscribe("id")
    desk.publish(*upserts("1", "2", "3"))
    confirm(desk, desk.pull(limit=1).cursor)
    desk.entitle(revoke_subscription, reason="核查")
    desk.publish(*upserts("7"))
    desk.subscribe("id")
    rest = desk.pull()
    assert (ids(rest), rest.complete) == (["2", "3"], True)
    assert ids(desk.pull(rest.cursor)) == ["7"]


def test_another_systems_and_a_refused_one_are_not_continued(desk: Counter) -> None:
    desk.catalogue(share_type="conditional", share_condition="有条件")
    desk.subscribe("id")
    desk.publish(*upserts("1"))
    with transaction(desk.engine) as session:
        session.execute(update(Subscription).values(state="refused", decided_at=desk.at))
    desk.subscribe("id")
    assert found(desk).continues_id is None
    with transaction(desk.engine) as session:
        session.execute(update(Subscription).values(state="revoked"))
    desk.subscribe("id", system_id=desk.place.second_subscriber_id)
    assert found(desk).continues_id is None
    with transaction(desk.engine) as session:  # as if the system had been another bureau's then
        session.execute(update(Subscription).values(state="revoked", bureau_id=desk.place.hall.provider))
    desk.subscribe("id")
    assert found(desk).continues_id is None


def test_the_topic_begins_where_the_earlier_ones_ended(desk: Counter) -> None:
    desk.catalogue()
    desk.subscribe("id")
    first = desk.open()
    desk.publish(*upserts("1", "2"))
    desk.relay()
    seen = desk.ids()
    desk.entitle(revoke_subscription, reason="核查")
    desk.publish(*upserts("3"))
    desk.relay()
    desk.subscribe("id")
    assert desk.open() != first
    desk.publish(*upserts("4"))
    desk.relay()
    assert (seen, desk.ids()) == (["1", "2"], ["3", "4"])


def test_acknowledging_while_it_is_granted_anew_leaves_nothing_out(desk: Counter) -> None:
    """Whichever comes first, the new one stands at what was acknowledged or before it."""
    desk.catalogue()
    for turn in range(8):
        earlier = desk.subscribe("id")
        desk.publish(*upserts(f"{turn}-1", f"{turn}-2"))
        page = desk.pull(limit=1)
        rest = desk.pull_all(page.cursor)
        desk.entitle(revoke_subscription, reason="核查")
        with ThreadPoolExecutor(2) as pool:
            acknowledged = pool.submit(confirm, desk, page.cursor, earlier)
            anew = pool.submit(desk.subscribe, "id")
            acknowledged.result()
            anew.result()
        assert [one.value["id"] for one in desk.pull_all()][-len(rest) :] == [one.value["id"] for one in rest]
        confirm(desk, desk.pull(limit=100).cursor)
        desk.entitle(revoke_subscription, reason="核查")


def test_it_is_prolonged_without_a_break(desk: Counter) -> None:
    desk.catalogue()
    today = city_date(desk.at)
    desk.subscribe("id", until_on=today)
    desk.publish(*upserts("1", "2"))
    page = desk.pull(limit=1)
    later = today + timedelta(days=30)
    for wrong in (today, today - timedelta(days=1), date.min):
        with pytest.raises(SubscriptionInvalid):
            desk.entitle(prolong_subscription, until_on=wrong)
    desk.entitle(prolong_subscription, until_on=later)
    desk.at += timedelta(days=30)
    assert ids(desk.pull(page.cursor)) == ["2"]
    with transaction(desk.engine) as session:
        assert expire_subscriptions(session, at=desk.at) == 0
    desk.at += timedelta(days=1)
    with pytest.raises(NotEntitled):
        desk.pull(page.cursor)
    desk.entitle(pause_subscription, reason="核查")
    desk.entitle(prolong_subscription, until_on=later + timedelta(days=300))
    assert found(desk).state == "paused"


def test_of_two_who_prolong_it_one_has_seen_it_as_it_is(desk: Counter) -> None:
    desk.catalogue()
    desk.subscribe("id")
    seen = found(desk)

    def prolong(days: int) -> object:
        with transaction(desk.engine) as session:
            return prolong_subscription(
                session,
                subscription_id=seen.id,
                until_on=seen.until_on + timedelta(days=days),
                revision_seen=seen.revision,
                actor="person:1",
                at=desk.at,
            )

    with ThreadPoolExecutor(2) as pool:
        outcomes = [pool.submit(prolong, days).exception() for days in (1, 2)]
    assert [type(one) for one in outcomes if one] == [Stale]
