"""Pulling by cursor: what is seen, in which order, under which masks, and who is told no."""

import base64
import csv
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from exchange import digest
from exchange.batch import Change
from exchange.broker.driver import BrokerRetryable
from exchange.broker.embedded import EmbeddedLog
from exchange.errors import CursorInvalid, NotEntitled, SubscriptionInvalid
from exchange.masking import Mask
from exchange.queries import list_deliveries
from exchange.schema import Item
from exchange.service.catalogue import add_version, make_topic
from exchange.service.entitlements import (
    expire_subscriptions,
    pause_subscription,
    release_items,
    resume_subscription,
    revoke_subscription,
)
from exchange.service.publish import Receipt, publish_batch
from exchange.service.pull import DeliveredRecord, Page, pull
from exchange.service.subscriptions import request_subscription
from identity.data import DIVISIONS
from infra.database import reading, transaction
from infra.errors import NotFound
from infra.journal import JournalEntry
from tests.factories import Exchange, make_dataset, make_exchange

RESIDENT = "130602199003070078"
UNTIL = date(2026, 12, 31)


class Desk:
    """One dataset and one subscription to it, with short words for what the tests do again and again."""

    def __init__(self, engine: Engine, log: EmbeddedLog, place: Exchange, at: datetime) -> None:
        self.engine, self.log, self.place, self.at = engine, log, place, at
        self.dataset_id = self.subscription_id = self.keys = 0

    def catalogue(self, **changes: Any) -> None:
        with transaction(self.engine) as session:
            self.dataset_id = make_dataset(session, self.place, at=self.at, **changes).id

    def subscribe(self, *items: str, system_id: int | None = None, **changes: Any) -> int:
        wish: dict[str, Any] = {"purpose": "核验", "basis": "依据", "until_on": UNTIL} | changes
        with transaction(self.engine) as session:
            self.subscription_id = request_subscription(
                session,
                dataset_id=self.dataset_id,
                system_id=system_id or self.place.subscriber_id,
                person_id=self.place.hall.applicant,
                items=items,
                at=self.at,
                **wish,
            ).id
        return self.subscription_id

    def publish(self, *changes: Change) -> Receipt:
        self.keys += 1
        return publish_batch(
            self.engine,
            self.log,
            dataset_id=self.dataset_id,
            publisher_id=self.place.publisher_id,
            key=f"key-{self.keys}",
            changes=changes,
            at=self.at,
        )

    def pull(self, cursor: str | None = None, **changes: Any) -> Page:
        act: dict[str, Any] = {
            "subscription_id": self.subscription_id,
            "system_id": self.place.subscriber_id,
            "actor": "token:1",
            "at": self.at,
            "cursor": cursor,
        }
        return pull(self.engine, self.log, **(act | changes))

    def pull_all(self, cursor: str | None = None, **changes: Any) -> list[DeliveredRecord]:
        found: list[DeliveredRecord] = []
        page = self.pull(cursor, **changes)
        while page.records:
            found += page.records
            page = self.pull(page.cursor, **changes)
        assert page.complete
        return found


@pytest.fixture(params=["database", "sqlite_database"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    engine: Engine = request.getfixturevalue(request.param)
    log = EmbeddedLog(tmp_path / "log.sqlite")
    with transaction(engine) as session:
        place = make_exchange(session, at=at)
    yield Desk(engine, log, place, at)
    log.close()


def upserts(*ids: str, name: str = "n") -> list[Change]:
    return [Change({"id": i, "name": name}) for i in ids]


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


def test_a_full_batch_that_is_not_settled_is_not_seen(desk: Desk) -> None:
    desk.catalogue(update_mode="full")
    desk.subscribe("id", "name")
    first = desk.publish(*upserts("a"))
    desk.log.inject("append", "done_but_unanswered")
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
    desk.subscribe("id", until_on=date(2026, 3, 2))
    desk.publish(*upserts("a"))
    assert len(desk.pull(at=desk.at.replace(hour=15, minute=59)).records) == 1
    with pytest.raises(NotEntitled):
        desk.pull(at=desk.at.replace(hour=16))


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


def test_an_empty_topic_has_nothing_to_pull(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    make_topic(desk.engine, desk.log, dataset_id=desk.dataset_id, at=desk.at)
    page = desk.pull()
    assert (page.records, page.complete, page.digests) == ((), True, {})
