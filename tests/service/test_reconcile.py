"""The ledger held against the log: receipts and deliveries of a period, under the masks of then."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update

from exchange.batch import Change
from exchange.masking import Mask
from exchange.models import Batch, Delivery
from exchange.schema import Item
from exchange.service.entitlements import release_items
from exchange.service.reconcile import Account, reconcile
from infra.database import transaction
from infra.errors import NotFound
from tests.service.desk import Desk
from tests.service.provider import open_provider, people

NAMED = (Item("id", "text"), Item("name", "text", mask=Mask("keep_ends", head=1)))


@pytest.fixture(params=["embedded", "kafka"])
def desk(request: pytest.FixtureRequest, database: Engine, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    with open_provider(database, tmp_path, at, kind=request.param) as provider:
        yield Desk(provider)


def held(desk: Desk, **period: Any) -> list[Account]:
    day = {"start": desk.at - timedelta(days=1), "end": desk.at + timedelta(days=1)} | period
    return list(reconcile(desk.engine, desk.log, **day))


def test_both_sides_agree_with_the_log(desk: Desk) -> None:
    desk.catalogue(items=NAMED, partitions=3)
    first = desk.subscribe("id", "name")
    desk.publish(*people(50), Change({"id": "7"}, delete=True))
    desk.publish(*people(20))
    page = desk.pull(limit=30)
    while page.records:
        page = desk.pull(page.cursor, limit=30, items=("id",))
    published, delivered = held(desk)
    assert (published.side, published.ledger.acts, published.ledger.records) == ("published", 2, 71)
    assert (delivered.side, delivered.subscription_id, delivered.ledger.records) == ("delivered", first, 71)
    assert [(one.agrees, one.wrong) for one in (published, delivered)] == [(True, ()), (True, ())]


def test_what_was_delivered_counts_under_the_masks_of_then(desk: Desk) -> None:
    desk.catalogue(items=NAMED)
    desk.subscribe("id", "name")
    desk.publish(*people(5))
    desk.pull()
    with transaction(desk.engine) as session:
        release_items(
            session,
            subscription_id=desk.subscription_id,
            items=[],
            masks={"name": None},
            revision_seen=2,
            actor="person:1",
            at=desk.at,
        )
    desk.pull()
    _, delivered = held(desk)
    assert (delivered.ledger.acts, delivered.agrees) == (2, True)


def test_generations_that_share_offsets_are_told_apart(desk: Desk) -> None:
    desk.catalogue(update_mode="full", partitions=2)
    desk.subscribe("id")
    for count in (4, 6):
        desk.publish(*people(count))
        desk.pull()
    published, delivered = held(desk)
    assert (published.ledger.records, delivered.ledger.records) == (10, 10)
    assert published.agrees
    assert delivered.agrees


@pytest.mark.parametrize("table", ["batches", "deliveries"])
@pytest.mark.parametrize("column", ["count", "digest"])
def test_a_row_of_the_ledger_that_was_changed_is_named(desk: Desk, table: str, column: str) -> None:
    desk.catalogue(items=NAMED)
    desk.subscribe("id")
    receipt = desk.publish(*people(3))
    desk.publish(*people(4))
    page = desk.pull()
    changed: dict[str, Any] = {"digest": "0" * 64}
    if column == "count":
        changed = {"upserts": 2} if table == "batches" else {"count": 6}
    with transaction(desk.engine) as session:
        if table == "batches":
            session.execute(update(Batch).where(Batch.id == receipt.id).values(changed))
        else:
            session.execute(update(Delivery).where(Delivery.id == page.delivery_id).values(changed))
    wrong = {one.side: one.wrong for one in held(desk)}
    assert wrong == (
        {"published": (receipt.id,), "delivered": ()}
        if table == "batches"
        else {"published": (), "delivered": (page.delivery_id,)}
    )


@pytest.mark.parametrize("desk", ["embedded"], indirect=True)
def test_a_log_that_was_changed_is_noticed(desk: Desk, tmp_path: Path) -> None:
    desk.catalogue(items=NAMED)
    desk.subscribe("id", "name")
    receipt = desk.publish(*people(3))
    page = desk.pull()
    with sqlite3.connect(tmp_path / "log.sqlite") as log:
        log.execute(
            "UPDATE records SET value = CAST(replace(CAST(value AS TEXT), '1', '8') AS BLOB) WHERE offset = 1"
        )
    assert {one.side: one.wrong for one in held(desk)} == {
        "published": (receipt.id,),
        "delivered": (page.delivery_id,),
    }
    with sqlite3.connect(tmp_path / "log.sqlite") as log:
        log.execute("DELETE FROM records WHERE offset = 2")
    assert [(one.ledger.records, one.log.records) for one in held(desk)] == [(3, 2), (3, 2)]


def test_only_the_period_counts_and_only_the_dataset_that_is_named(desk: Desk) -> None:
    desk.catalogue(items=NAMED)
    began = desk.at
    desk.publish(*people(3))
    desk.at += timedelta(hours=2)
    desk.publish(*people(4))
    hour = timedelta(hours=1)
    [before] = held(desk, start=began, end=began + hour)
    [after] = held(desk, start=began + hour, end=desk.at + hour)
    assert (before.ledger.records, after.ledger.records) == (3, 4)
    assert held(desk, start=desk.at + hour, end=desk.at + 2 * hour) == []
    assert [one.ledger.records for one in held(desk, dataset=before.dataset)] == [7]
    with pytest.raises(NotFound):
        held(desk, dataset="nobody")
