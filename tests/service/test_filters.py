"""Which records a subscription shows: what who applies all that comes ends with, and what it never sees."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from exchange.batch import Change
from exchange.errors import SubscriptionInvalid
from exchange.filtering import declare
from exchange.masking import Mask
from exchange.models import Dataset, Subscription
from exchange.queries import get_subscription, list_deliveries
from exchange.schema import Item
from exchange.service.entitlements import narrow_subscription, release_items
from exchange.service.positions import rewind
from exchange.service.reconcile import reconcile
from exchange.service.shown import DeliveredRecord
from exchange.service.subscriptions import decide_subscription, edit_subscription
from infra.database import reading, transaction
from infra.journal import JournalEntry
from tests.service.desk import Desk
from tests.service.provider import open_provider

ITEMS = (
    Item("id", "text"),
    Item("area", "division_code"),
    Item("n", "integer"),
    Item("mark", "text"),
    Item("no", "resident_id", sensitivity="sensitive", mask=Mask("digest")),
)
KNOWN = {item.name: item for item in ITEMS}
OFFERED = (
    {"item": "id", "operator": "in", "values": ["a", "b"]},
    {"item": "id", "operator": "ne", "values": ["b"]},
    {"item": "area", "operator": "starts_with", "values": ["1306"]},
    {"item": "n", "operator": "ge", "values": [5]},
    {"item": "n", "operator": "not_in", "values": [6]},
    {"item": "n", "operator": "is_empty", "values": []},
)
FILTERS = st.lists(st.sampled_from(OFFERED), max_size=3, unique_by=str)
PUTS = st.tuples(
    st.just("put"),
    st.sampled_from("abc"),
    st.sampled_from(["130602", "110101", None]),
    st.sampled_from([1, 5, 6, None]),
)
ACTS = st.lists(
    PUTS
    | st.tuples(st.just("delete"), st.sampled_from("abc"))
    | st.tuples(st.just("pull"), st.integers(1, 5))
    | st.tuples(st.just("narrow"), st.sampled_from(OFFERED))
    | st.tuples(st.just("release"), FILTERS),
    max_size=30,
)


@pytest.fixture
def desk(database: Engine, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    with open_provider(database, tmp_path, at) as provider:
        yield Desk(provider)


class Subscriber:
    """Applies what it gets, acknowledges it, and begins anew when it is told other filters."""

    def __init__(self, desk: Desk, filters: Sequence[Any]) -> None:
        self.desk, self.filters = desk, list(filters)
        self.rows: dict[str, Any] = {}
        self.heard: list[DeliveredRecord] = []
        self.cursor: str | None = None

    def pull(self, limit: int = 100) -> bool:
        page = self.desk.pull(self.cursor, limit=limit)
        for record in page.records:
            self.heard.append(record)
            if record.op == "upsert":
                self.rows[record.ref] = record.value
            else:
                self.rows.pop(record.ref, None)
        self.cursor = page.cursor
        return page.complete

    def change(self, act: Any, **how: Any) -> None:
        with transaction(self.desk.engine) as session:
            found = get_subscription(session, subscription_id=self.desk.subscription_id)
            seen = {"subscription_id": found.id, "revision_seen": found.revision}
            act(session, **seen, actor="person:1", at=self.desk.at, **how)
            rewind(
                session,
                subscription_id=found.id,
                system_id=self.desk.place.subscriber_id,
                actor="t",
                at=self.desk.at,
            )
        self.cursor = None


def matches(filters: Sequence[Any], row: dict[str, Any]) -> bool:
    read = declare(filters, items=KNOWN, key_items=("id",), before_grant=True)
    return all(one.holds(row.get(one.item)) for one in read)


@given(FILTERS, ACTS)
@example([], [("put", "c", None, 5), ("pull", 5), ("narrow", OFFERED[0]), ("delete", "c")])
@example([OFFERED[0]], [("put", "c", None, 5), ("release", []), ("pull", 5), ("narrow", OFFERED[0])])
@example([OFFERED[3]], [("put", "a", None, 5), ("pull", 5), ("put", "a", None, 1)])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_who_applies_what_comes_has_the_matching_rows_and_no_other_was_ever_seen(
    desk: Desk, filters: list[Any], acts: list[Any]
) -> None:
    desk.catalogue(items=ITEMS)
    desk.subscribe("id", "area", "n", "mark", filters=filters)
    mine, table, allowed = Subscriber(desk, filters), dict[str, Any](), set[str]()
    published: list[dict[str, Any]] = []
    for number, act in enumerate(acts):
        match act:
            case ("put", id, area, n):
                table[id] = {"id": id, "area": area, "n": n, "mark": f"mark-{number}"}
                published.append(table[id])
                desk.publish(Change(table[id]))
            case ("delete", id):
                table.pop(id, None)
                desk.publish(Change({"id": id}, delete=True))
            case ("narrow", one):
                if one not in mine.filters:
                    mine.filters.append(one)
                    mine.change(narrow_subscription, filters=[one])
            case ("release", wanted):
                mine.filters = list(wanted)
                mine.change(release_items, items=[], filters=wanted)
            case ("pull", limit):
                mine.pull(limit)
        allowed |= {row["mark"] for row in published if matches(mine.filters, row)}
    while not mine.pull():
        pass
    expected = [row for row in table.values() if matches(mine.filters, row)]
    assert sorted(mine.rows.values(), key=str) == sorted(expected, key=str)
    told = {record.value["mark"] for record in mine.heard if record.op == "upsert"}
    assert told <= allowed
    keys_seen = {record.value["id"] for record in mine.heard if record.value}
    if all(one["item"] == "id" for one in filters) and "release" not in [act[0] for act in acts]:
        assert all(matches(filters, {"id": key}) for key in keys_seen)
        told_of = {act[1] for act in acts if act[0] in ("put", "delete") and matches(filters, {"id": act[1]})}
        assert len({record.ref for record in mine.heard}) <= len(told_of)
    accounts = list(
        reconcile(
            desk.engine,
            desk.log,
            start=desk.at - timedelta(1),
            end=desk.at + timedelta(1),
            dataset=_code(desk),
        )
    )
    assert all(account.agrees for account in accounts)
    assert sum(a.ledger.records for a in accounts if a.side == "delivered") == len(mine.heard)


def _code(desk: Desk) -> str:
    with reading(desk.engine) as session:
        return session.get_one(Dataset, desk.dataset_id).code


@pytest.mark.parametrize("kind", ["embedded", "kafka"])
def test_a_delete_says_nothing_about_a_row_that_did_not_match(
    database: Engine, tmp_path: Path, at: datetime, kind: str
) -> None:
    with open_provider(database, tmp_path, at, kind=kind) as provider:
        desk = Desk(provider)
        desk.catalogue(items=ITEMS)
        desk.subscribe("id", "n", filters=[OFFERED[3]])
        desk.publish(
            Change({"id": "a", "n": 9}), Change({"id": "a", "n": 1}), Change({"id": "a"}, delete=True)
        )
        shown, changed, gone = desk.pull().records
        assert (shown.op, shown.value) == ("upsert", {"id": "a", "n": 9})
        assert (changed.op, changed.value) == (gone.op, gone.value) == ("delete", {})
        assert shown.ref == changed.ref == gone.ref
        assert changed.digest == gone.digest
        [delivery] = _deliveries(desk)
        assert (delivery.count, delivery.filters[0]["item"]) == (3, "n")


def test_a_key_that_does_not_match_is_not_spoken_of(desk: Desk) -> None:
    desk.catalogue(items=ITEMS)
    desk.subscribe("id", "n", filters=[{"item": "id", "operator": "eq", "values": ["a"]}])
    desk.publish(Change({"id": "b", "n": 9}), Change({"id": "b"}, delete=True))
    page = desk.pull()
    assert (page.records, page.complete, page.delivery_id) == ((), True, None)
    desk.publish(Change({"id": "a"}), Change({"id": "a"}, delete=True))
    assert [(r.op, r.value) for r in desk.pull(page.cursor).records] == [
        ("upsert", {"id": "a"}),
        ("delete", {"id": "a"}),
    ]


def test_a_generation_holds_the_matching_rows_alone(desk: Desk) -> None:
    desk.catalogue(items=ITEMS, update_mode="full")
    desk.subscribe("id", "n", filters=[OFFERED[3]])
    desk.publish(*(Change({"id": str(n), "n": n}) for n in range(10)))
    page = desk.pull(limit=4)
    assert (page.records, page.complete, page.generation is None) == ((), False, False)
    rest = desk.pull(page.cursor)
    assert [(r.op, r.value["n"]) for r in rest.records] == [("upsert", n) for n in range(5, 10)]
    assert rest.complete
    everything = list(
        reconcile(desk.engine, desk.log, start=desk.at - timedelta(1), end=desk.at + timedelta(1))
    )
    assert all(one.agrees for one in everything)


def test_what_is_masked_is_compared_as_it_is_and_not_by_its_subscribers_wish(desk: Desk) -> None:
    number = "11010519491231002X"
    by_number = {"item": "no", "operator": "eq", "values": [number]}
    desk.catalogue(items=ITEMS)
    for bad in (by_number, {"item": "mark", "operator": "is_empty"}, {"item": "x", "operator": "is_empty"}):
        with pytest.raises(SubscriptionInvalid) as refused:
            desk.subscribe("id", "no", filters=[bad])
        assert number not in f"{refused.value.facts}"
    desk.subscribe("id", "no")
    desk.publish(Change({"id": "a", "no": number}), Change({"id": "b"}))
    Subscriber(desk, []).change(narrow_subscription, filters=[by_number])
    shown, gone = desk.pull().records
    assert (shown.value["id"], len(shown.value["no"]), gone.op, gone.value) == ("a", 64, "delete", {})
    with pytest.raises(SubscriptionInvalid):
        Subscriber(desk, []).change(narrow_subscription, filters=[])
    with pytest.raises(SubscriptionInvalid):
        Subscriber(desk, []).change(narrow_subscription, filters=[OFFERED[3]] * 20)


def test_the_provider_narrows_when_it_decides_and_all_is_journalled(desk: Desk) -> None:
    desk.catalogue(items=ITEMS, share_type="conditional", share_condition="依职责")
    desk.subscribe("id", "n", filters=[OFFERED[3]])
    with transaction(desk.engine) as session:
        found = get_subscription(session, subscription_id=desk.subscription_id)
        applicant, steward = desk.place.hall.applicant, desk.place.hall.steward
        edited: dict[str, Any] = {"subscription_id": found.id, "person_id": applicant, "revision_seen": 0}
        with pytest.raises(SubscriptionInvalid):
            edit_subscription(
                session, **edited, at=desk.at, items=["id"]
            )  # a filter is on what it asks for no more
    with transaction(desk.engine) as session:
        decide_subscription(
            session,
            subscription_id=desk.subscription_id,
            person_id=steward,
            decision="approve",
            revision_seen=1,
            at=desk.at,
            filters=[OFFERED[0], OFFERED[3], OFFERED[2]],
        )
    with reading(desk.engine) as session:
        kept = session.get_one(Subscription, desk.subscription_id).filters
    assert [(one["item"], one["silent"]) for one in kept] == [("n", False), ("id", True), ("area", False)]
    me = Subscriber(desk, [])
    me.change(release_items, items=[], filters=[OFFERED[0]])
    me.change(release_items, items=[], filters=[])
    me.change(narrow_subscription, filters=[OFFERED[0]])
    with reading(desk.engine) as session:
        kept = session.get_one(Subscription, desk.subscription_id).filters
        acts = [
            (entry.act, len((entry.after or {}).get("filters", ())))
            for entry in session.query(JournalEntry).order_by(JournalEntry.id)
            if entry.subject == f"subscription:{desk.subscription_id}" and "rewound" not in entry.act
        ]
    assert [one["silent"] for one in kept] == [False]
    assert acts[-4:] == [
        ("subscription.active", 3),
        ("subscription.released", 1),
        ("subscription.released", 0),
        ("subscription.narrowed", 1),
    ]
    assert json.dumps(kept)


def _deliveries(desk: Desk) -> list[Any]:
    with reading(desk.engine) as session:
        return list_deliveries(session, subscription_id=desk.subscription_id)
