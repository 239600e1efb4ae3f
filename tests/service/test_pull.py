"""What arrives by pulling: order, masks, versions, whole generations."""

import base64
import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from exchange import digest
from exchange.batch import Change
from exchange.broker.driver import BrokerRetryable, Slice
from exchange.errors import SubscriptionInvalid
from exchange.masking import Mask
from exchange.queries import list_deliveries
from exchange.schema import Item
from exchange.service.catalogue import make_topic
from exchange.service.entitlements import (
    release_items,
)
from exchange.service.versions import add_version
from identity.data import DIVISIONS
from infra.database import reading, transaction
from infra.journal import JournalEntry
from tests.service.desk import Desk, upserts
from tests.service.provider import open_provider

RESIDENT = "130602199003070078"


@pytest.fixture(params=["database", "sqlite_database", "kafka"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    kind = "kafka" if request.param == "kafka" else "embedded"
    engine: Engine = request.getfixturevalue("database" if kind == "kafka" else request.param)
    with open_provider(engine, tmp_path, at, kind=kind) as provider:
        yield Desk(provider)


def test_the_citys_divisions_arrive_with_equal_digests(desk: Desk) -> None:
    desk.catalogue(
        items=(
            Item("code", "division_code"),
            Item("parent_code", "division_code"),
            Item("level", "text", length=16, required=True),
            Item("name", "text", length=255, required=True),
        ),
        key_items=("code",),
        partitions=3,
    )
    desk.subscribe("code", "parent_code", "level", "name")
    with DIVISIONS.open(encoding="utf-8", newline="") as file:
        rows = [{name: text for name, text in row.items() if text} for row in csv.DictReader(file)]
    assert len(rows) == 7_285

    receipt = desk.publish(*(Change(row) for row in rows))
    whole = desk.pull(limit=10_000)
    in_pages = desk.pull_all(limit=1_000)

    assert (receipt.upserts, receipt.quarantined) == (7_285, 0)
    assert (whole.digests, whole.digest) == (receipt.digests, receipt.digest)
    assert (
        digest.chain_by_partition((r.partition, bytes.fromhex(r.digest)) for r in in_pages) == receipt.digests
    )
    assert {r.value["code"]: r.value for r in in_pages} == {row["code"]: row for row in rows}
    assert len(in_pages) == 7_285
    with reading(desk.engine) as session:
        deliveries = list_deliveries(session, subscription_id=desk.subscription_id)
        assert [d.count for d in deliveries[::-1]] == [7_285, *[1_000] * 7, 285]
        assert deliveries[-1].digest == receipt.digest
        assert deliveries[-1].id == whole.delivery_id


def test_a_cursor_goes_on_where_it_was(desk: Desk) -> None:
    desk.catalogue(partitions=4)
    desk.subscribe("id", "name")
    empty = desk.pull()
    assert (empty.records, empty.complete, empty.delivery_id) == ((), True, None)
    desk.publish(*upserts(*map(str, range(50))))
    first = desk.pull(empty.cursor, limit=20)
    assert (len(first.records), first.complete) == (20, False)
    again = desk.pull(empty.cursor, limit=20)
    assert (again.records, again.digest) == (first.records, first.digest)
    rest = desk.pull_all(first.cursor, limit=7)
    assert sorted(int(r.value["id"]) for r in (*first.records, *rest)) == list(range(50))
    last = desk.pull(desk.pull(limit=50).cursor)
    desk.publish(Change({"id": "7"}, delete=True), *upserts("50"))
    news = desk.pull_all(last.cursor)
    assert {(r.op, r.value["id"]) for r in news} == {("delete", "7"), ("upsert", "50")}
    refs = {r.value["id"]: r.ref for r in rest + list(first.records)}
    assert next(r.ref for r in news if r.op == "delete") == refs["7"]
    assert news[0].published_at == desk.at.isoformat()


def test_order_holds_for_each_key(desk: Desk) -> None:
    desk.catalogue(partitions=3)
    desk.subscribe("id", "name")
    for turn in range(5):
        desk.publish(*(change for i in "abcdef" for change in upserts(i, name=str(turn))))
    found = desk.pull_all(limit=4)
    for i in "abcdef":
        assert [r.value["name"] for r in found if r.value["id"] == i] == ["0", "1", "2", "3", "4"]


def test_masks_and_selection_hold_for_all_that_is_delivered(desk: Desk) -> None:
    desk.catalogue(
        items=(
            Item("id", "resident_id", sensitivity="sensitive", mask=Mask("digest")),
            Item("name", "text", sensitivity="personal"),
            Item("phone", "mobile", sensitivity="personal", mask=Mask("keep_ends", head=3, tail=4)),
            Item("born", "date", mask=Mask("generalise", to="year")),
            Item("note", "text", mask=Mask("drop")),
            Item("secret", "text"),
        )
    )
    desk.subscribe("id", "name", "phone", "born", "note", masks={"name": {"kind": "keep_ends", "head": 1}})
    desk.publish(
        Change(
            {
                "id": RESIDENT,
                "name": "𠮷野１２",
                "phone": "13800138000",
                "born": "1990-03-07",
                "note": f"见证件{RESIDENT}",
                "secret": RESIDENT,
            }
        ),
        Change({"id": RESIDENT}, delete=True),
    )
    page = desk.pull()
    upsert, delete = page.records
    assert upsert.value == {"id": upsert.value["id"], "name": "𠮷***", "phone": "138****8000", "born": "1990"}
    assert len(upsert.value["id"]) == 64
    assert delete.value == {"id": upsert.value["id"]}
    assert delete.ref == upsert.ref
    assert page.digests == {0: digest.chain(map(bytes.fromhex, (upsert.digest, delete.digest)))}
    assert upsert.digest == digest.record_digest(upsert.value).hex()
    one_item = desk.pull(items=["born"])
    assert [r.value for r in one_item.records] == [{"born": "1990"}, {}]
    with pytest.raises(SubscriptionInvalid):
        desk.pull(items=["secret"])
    mine = desk.subscription_id
    desk.subscribe("id", "name", system_id=desk.place.second_subscriber_id)
    others = desk.pull(system_id=desk.place.second_subscriber_id)
    assert others.records[0].value["id"] != upsert.value["id"]
    assert others.records[0].ref != upsert.ref
    with reading(desk.engine) as session:
        kept = [
            [d.items, d.ranges, d.digests, d.digest] for d in list_deliveries(session, subscription_id=mine)
        ]
        entries = session.scalars(select(JournalEntry).where(JournalEntry.act == "dataset.delivered")).all()
        told = json.dumps([kept, [[e.subject, e.after] for e in entries]], ensure_ascii=False)
        assert all(entry.personal for entry in entries)
        subjects = [f"subscription:{number}" for number in (mine, desk.subscription_id)]
        assert [entry.subject for entry in entries] == subjects
    for text in (
        told,
        page.cursor,
        str(base64.urlsafe_b64decode(page.cursor + "==")),
        repr(page),
        repr(one_item),
    ):
        assert RESIDENT not in text
        assert "13800138000" not in text


@pytest.mark.parametrize("mask", [None, Mask("generalise", step=10)], ids=["open", "generalised"])
def test_a_number_beyond_the_integers_does_not_stop_its_subscriber(desk: Desk, mask: Mask | None) -> None:
    desk.catalogue(items=(Item("id", "text"), Item("n", "number", mask=mask)))
    desk.subscribe("id", "n")
    desk.publish(*(Change({"id": id, "n": n}) for id, n in (("a", 10.0), ("b", 1e16), ("c", -1.7e308))))
    assert [(r.value["id"], r.value["n"]) for r in desk.pull_all()] == [
        ("a", 10),
        ("b", 1e16),
        ("c", -1.7e308),
    ]


def test_a_new_item_is_not_seen_until_it_is_released(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id", "name")
    with transaction(desk.engine) as session:
        items = (Item("id", "text"), Item("name", "text"), Item("phone", "mobile"))
        add_version(
            session, dataset_id=desk.dataset_id, revision=1, items=items, actor="person:1", at=desk.at
        )
    desk.publish(Change({"id": "1", "name": "n", "phone": "13800138000"}))
    before = desk.pull()
    assert before.records[0].value == {"id": "1", "name": "n"}
    with transaction(desk.engine) as session:
        release_items(
            session,
            subscription_id=desk.subscription_id,
            items=["phone"],
            revision_seen=2,
            actor="person:1",
            at=desk.at,
        )
    assert desk.pull().records[0].value == {"id": "1", "name": "n", "phone": "13800138000"}
    with transaction(desk.engine) as session:
        release_items(
            session,
            subscription_id=desk.subscription_id,
            items=[],
            masks={"phone": {"kind": "drop"}},
            revision_seen=3,
            actor="person:1",
            at=desk.at,
        )
    assert desk.pull().records[0].value == {"id": "1", "name": "n"}


def test_a_full_batch_replaces_everything_for_readers_at_once(desk: Desk) -> None:
    desk.catalogue(update_mode="full", partitions=2)
    desk.subscribe("id", "name")
    nothing = desk.pull()
    assert (nothing.records, nothing.generation) == ((), None)
    one = desk.publish(*upserts(*"abcdef", name="1"))
    begun = desk.pull(nothing.cursor, limit=4)
    assert (begun.generation, begun.complete, len(begun.records)) == (one.id, False, 4)
    desk.publish(*upserts("x", "y", name="2"))
    three = desk.publish(*upserts("p", "q", "r", name="3"))
    rest = desk.pull(begun.cursor, limit=4)
    assert (rest.generation, rest.complete) == (one.id, True)
    assert sorted(r.value["id"] for r in (*begun.records, *rest.records)) == list("abcdef")
    newest = desk.pull(rest.cursor)
    assert (newest.generation, newest.complete) == (three.id, True)
    assert sorted(r.value["id"] for r in newest.records) == list("pqr")
    assert newest.digests == three.digests
    again = desk.pull(newest.cursor)
    assert (again.records, again.generation, again.complete) == ((), three.id, True)
    assert sorted(r.value["id"] for r in desk.pull().records) == list("pqr")
    bad = desk.publish(Change({"id": 1}), Change({"id": "p"}, delete=True))
    assert (bad.upserts, bad.deletes, bad.quarantined) == (0, 0, 2)
    assert desk.pull(newest.cursor).generation == three.id
    none = desk.publish()
    emptied = desk.pull(newest.cursor)
    assert (emptied.generation, emptied.records, emptied.complete) == (none.id, (), True)


def test_a_full_batch_that_is_not_settled_is_not_seen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.catalogue(update_mode="full")
    desk.subscribe("id", "name")
    first = desk.publish(*upserts("a"))
    append = desk.log.append

    def unanswered(*args: Any, **named: Any) -> None:
        append(*args, **named)
        raise BrokerRetryable(operation="append", topic="t", why_zh="应答超时", why_en="no answer came")

    with monkeypatch.context() as patch:
        patch.setattr(desk.log, "append", unanswered)
        with pytest.raises(BrokerRetryable):
            desk.publish(*upserts("b"))
    assert [r.value["id"] for r in desk.pull().records] == ["a"]
    third = desk.publish(*upserts("c"))
    page = desk.pull(desk.pull().cursor)
    assert (page.generation, page.records) == (third.id, ())
    assert third.id > first.id
    assert [r.value["id"] for r in desk.pull().records] == ["c"]


def test_batches_of_several_writers_may_interleave(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As two Kafka transactions in one partition do: foreign records lie between a generation's own."""
    desk.catalogue(update_mode="full")
    desk.subscribe("id", "name")
    receipt = desk.publish(*upserts("a", "b", "c"))
    read = desk.log.read

    def with_a_foreign_one(*args: Any, **named: Any) -> Any:
        part = read(*args, **named)
        if len(part.records) < 3:
            return part
        first, second, third = part.records
        foreign = type(second)(second.partition, second.offset, b"{}", b"{}", {"batch": "another"})
        return type(part)((first, foreign, third), part.next_offset)

    monkeypatch.setattr(desk.log, "read", with_a_foreign_one)
    page = desk.pull()
    assert (page.generation, [r.value["id"] for r in page.records]) == (receipt.id, ["a", "c"])


@pytest.mark.parametrize("update_mode", ["full", "incremental"])
def test_a_read_that_gives_nothing_for_once_loses_nothing(
    desk: Desk, update_mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a poll of Kafka that runs out of time: the log says neither that it ended nor what comes next."""
    desk.catalogue(update_mode=update_mode)
    desk.subscribe("id")
    desk.publish(*upserts(*"abcdefghij"))
    begun = desk.pull(limit=4)
    with monkeypatch.context() as patch:
        patch.setattr(desk.log, "read", lambda _topic, *, partition, offset, limit: Slice((), offset))
        nothing = desk.pull(begun.cursor)
    assert (nothing.records, nothing.complete) == ((), False)
    rest = desk.pull(nothing.cursor)
    assert [r.value["id"] for r in (*begun.records, *rest.records)] == list("abcdefghij")
    assert rest.complete


def test_a_stretch_without_records_is_passed_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an aborted transaction of Kafka is, which a read may end in."""
    desk.catalogue(update_mode="full")
    desk.subscribe("id")
    desk.publish(*upserts("a", "b", "c"))
    read = desk.log.read

    def without_the_second(topic: str, *, partition: int, offset: int, limit: int) -> Slice:
        part = read(topic, partition=partition, offset=offset, limit=1)
        return part if offset != 1 else Slice((), part.next_offset)

    monkeypatch.setattr(desk.log, "read", without_the_second)
    page = desk.pull()
    assert ([r.value["id"] for r in page.records], page.complete) == (["a", "c"], True)


def test_an_empty_topic_has_nothing_to_pull(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    make_topic(desk.engine, desk.log, dataset_id=desk.dataset_id, at=desk.at)
    page = desk.pull()
    assert (page.records, page.complete, page.digests) == ((), True, {})
