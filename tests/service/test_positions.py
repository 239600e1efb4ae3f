"""Subscribers that bring no cursor: what they acknowledged, twice and in any order, and rewinding."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from exchange.batch import Change
from exchange.errors import CursorInvalid, NotEntitled, PlaceBeyondLog, RewindInvalid
from exchange.models import Position
from exchange.place import read_place
from exchange.queries import list_deliveries
from exchange.service.entitlements import pause_subscription
from exchange.service.positions import acknowledge, rewind
from infra.database import reading, transaction
from infra.journal import JournalEntry
from tests.service.desk import Desk
from tests.service.provider import open_provider, people


@pytest.fixture(params=["embedded", "kafka"])
def desk(request: pytest.FixtureRequest, database: Engine, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    with open_provider(database, tmp_path, at, kind=request.param) as provider:
        yield Desk(provider)


def ids(page: Any) -> list[str]:
    return [record.value["id"] for record in page.records]


def confirm(desk: Desk, cursor: str, *, system_id: int | None = None) -> Position:
    with transaction(desk.engine) as session:
        return acknowledge(
            session,
            subscription_id=desk.subscription_id,
            system_id=system_id or desk.place.subscriber_id,
            cursor=cursor,
            at=desk.at,
        )


def back(desk: Desk, **where: Any) -> Position:
    with transaction(desk.engine) as session:
        return rewind(
            session,
            subscription_id=desk.subscription_id,
            system_id=desk.place.subscriber_id,
            actor="token:1",
            at=desk.at,
            **where,
        )


def test_what_was_not_acknowledged_comes_again_and_is_recognised(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    desk.publish(*people(6))
    first = desk.pull(limit=4)
    lost = desk.pull(limit=4)
    assert [(one.partition, one.offset, one.digest) for one in lost.records] == [
        (one.partition, one.offset, one.digest) for one in first.records
    ]
    for _ in range(2):
        confirm(desk, lost.cursor)
    rest = desk.pull()
    assert ids(first) + ids(rest) == [f"{n}" for n in range(6)]
    confirm(desk, rest.cursor)
    confirm(desk, first.cursor)
    assert desk.pull().records == ()
    with reading(desk.engine) as session:
        told = list_deliveries(session, subscription_id=desk.subscription_id)
        assert [one.acknowledged_at is not None for one in told] == [True, True, True]


def test_acknowledgements_side_by_side_leave_the_furthest(desk: Desk) -> None:
    desk.catalogue(partitions=3)
    desk.subscribe("id")
    desk.publish(*people(60))
    cursors = []
    page = desk.pull(limit=7)
    while page.records:
        cursors.append(page.cursor)
        page = desk.pull(page.cursor, limit=7)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda cursor: confirm(desk, cursor), [*cursors[::-1], *cursors]))
    assert desk.pull().records == ()


def test_only_the_subscriber_acknowledges_and_also_after_the_end(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    desk.publish(*people(2))
    page = desk.pull()
    with pytest.raises(NotEntitled):
        confirm(desk, page.cursor, system_id=desk.place.publisher_id)
    with pytest.raises(CursorInvalid):
        confirm(desk, page.cursor[:-2] + "AA")
    with transaction(desk.engine) as session:
        pause_subscription(
            session,
            subscription_id=desk.subscription_id,
            revision_seen=2,
            actor="person:1",
            reason="核查",
            at=desk.at,
        )
    assert confirm(desk, page.cursor).acknowledged_at == desk.at
    with pytest.raises(NotEntitled):
        back(desk)


def test_a_subscriber_is_put_back_to_a_time_to_offsets_and_to_the_beginning(desk: Desk) -> None:
    desk.catalogue(partitions=2)
    desk.subscribe("id")
    began = desk.at
    desk.publish(*people(10))
    desk.at += timedelta(hours=1)
    desk.publish(*(Change({"id": f"late-{n}"}) for n in range(10)))
    page = desk.pull()
    confirm(desk, page.cursor)
    assert desk.pull().records == ()
    back(desk, to=began + timedelta(minutes=30))
    assert sorted(ids(desk.pull())) == sorted(f"late-{n}" for n in range(10))
    back(desk, to=began - timedelta(days=1))
    assert len(desk.pull().records) == 20
    [last] = [one for one in page.records if one.value["id"] == "late-9"]
    ends = {one.partition: one.offset + 1 for one in page.records}
    back(desk, offsets=ends | {last.partition: last.offset})
    assert ids(desk.pull())[0] == "late-9"
    position = back(desk)
    assert read_place(position.content).positions == {}
    assert len(desk.pull().records) == 20
    with pytest.raises(RewindInvalid) as refusal:
        back(desk, offsets={2: 0})
    assert "0 至 1" in refusal.value.message("zh")
    with reading(desk.engine) as session:
        acts = select(JournalEntry.after).where(JournalEntry.act == "subscription.rewound")
        assert len(session.scalars(acts).all()) == 4


def test_what_was_pulled_before_a_rewind_does_not_undo_it(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    desk.publish(*people(6))
    under_way = desk.pull(limit=4)
    back(desk, offsets={0: 1})
    confirm(desk, under_way.cursor)
    again = desk.pull()
    assert again.records[0].offset == 1
    confirm(desk, again.cursor)
    confirm(desk, under_way.cursor)
    assert desk.pull().records == ()


def test_a_place_beyond_the_log_is_told_and_not_taken_for_the_end(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    desk.publish(*people(2))
    back(desk, offsets={0: 1_000_000})
    with pytest.raises(PlaceBeyondLog) as refusal:
        desk.pull()
    assert "1000000" in refusal.value.message("zh")
    back(desk)
    assert len(desk.pull().records) == 2


def test_what_took_long_to_be_stored_comes_after_a_rewind(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    began = desk.at
    stored = began + timedelta(minutes=20)
    desk.provider.publish(desk.dataset_id, people(3), key="slow", at=began, now=lambda: stored)
    back(desk, to=began + timedelta(minutes=10))
    assert len(desk.pull().records) == 3


def test_of_a_full_dataset_the_generation_of_then_comes_again(desk: Desk) -> None:
    desk.catalogue(update_mode="full")
    desk.subscribe("id")
    began = desk.at
    one = desk.publish(*people(3))
    desk.at += timedelta(hours=1)
    two = desk.publish(*people(5))
    confirm(desk, desk.pull().cursor)
    assert desk.pull().records == ()
    back(desk, to=began + timedelta(minutes=30))
    page = desk.pull()
    assert (page.generation, len(page.records)) == (one.id, 3)
    confirm(desk, page.cursor)
    page = desk.pull()
    assert (page.generation, len(page.records)) == (two.id, 5)
    with pytest.raises(RewindInvalid):
        back(desk, offsets={0: 0})
