"""The relay: a subscription's own topic has what the subscription shows, once, whatever happens."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine

from exchange.batch import Change
from exchange.broker.driver import BrokerRetryable
from exchange.masking import Mask
from exchange.schema import Item
from exchange.service.entitlements import pause_subscription, release_items, resume_subscription
from exchange.service.entitlements import revoke_subscription as revoke
from exchange.service.messages import seal_messages, verify_messages
from exchange.service.pages import record_delivery
from exchange.service.positions import rewind
from exchange.service.reconcile import reconcile
from exchange.service.relays import end_topic, get_relay, issue_credential, list_due_relays
from infra.database import reading, transaction
from tests.service.desk import upserts
from tests.service.provider import open_provider
from tests.service.relay_desk import Counter

RESIDENT = "130602199003070078"


@pytest.fixture(params=["database", "sqlite_database", "kafka"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Iterator[Counter]:
    kind = "kafka" if request.param == "kafka" else "embedded"
    engine: Engine = request.getfixturevalue("database" if kind == "kafka" else request.param)
    with open_provider(engine, tmp_path, at, kind=kind) as provider:
        yield Counter(provider)


@pytest.fixture
def two(database: Engine, tmp_path: Path, at: datetime) -> Iterator[Counter]:
    """On the embedded log, with a topic and two records published."""
    with open_provider(database, tmp_path, at) as provider:
        desk = Counter(provider)
        desk.catalogue()
        desk.subscribe("id", "name")
        desk.open()
        desk.publish(*upserts("1", "2"))
        yield desk


def test_a_topic_has_what_a_pull_shows(desk: Counter) -> None:
    desk.catalogue(
        items=(
            Item("id", "resident_id", sensitivity="sensitive", mask=Mask("digest")),
            Item("name", "text", sensitivity="personal"),
            Item("secret", "text"),
        ),
        partitions=3,
    )
    desk.subscribe("id", "name")
    desk.open()
    assert (desk.relay(), desk.log.partitions(desk.name)) == (0, 3)
    desk.publish(
        Change({"id": RESIDENT, "name": "𠮷野", "secret": "s"}), Change({"id": RESIDENT}, delete=True)
    )
    assert desk.relay() == 1
    pulled = desk.pull_all()
    upsert, delete = desk.topic()
    assert RESIDENT not in f"{upsert}{delete}"
    assert [r.key.decode() for r in (upsert, delete)] == [r.ref for r in pulled]
    assert json.loads(upsert.value or b"") == pulled[0].value
    assert (delete.value, json.loads(delete.headers["deleted"])) == (None, pulled[1].value)
    for one, other in zip(desk.topic(), pulled, strict=True):
        told = one.headers
        assert (one.partition, told["op"], told["offset"]) == (other.partition, other.op, str(other.offset))
        assert (told["digest"], told["at"]) == (other.digest, other.published_at)
    by_pull, by_topic = desk.deliveries()[0], desk.deliveries()[-1]
    assert {by_topic.way, by_pull.way} == {"topic", "pull"}
    assert (by_pull.digest, by_pull.ranges) == (by_topic.digest, by_topic.ranges)
    assert upsert.headers["delivery"] == str(by_topic.id)


def test_many_runs_keep_each_record_once_and_in_order(desk: Counter) -> None:
    desk.catalogue(partitions=2)
    desk.subscribe("id", "name")
    desk.open()
    for turn in range(5):
        desk.publish(*(change for i in "abcdefgh" for change in upserts(i, name=str(turn))))
    assert desk.relay(records=7) > 5
    assert desk.relay() == 0
    found: dict[str, list[str]] = {}
    for record in desk.topic():
        shown = json.loads(record.value or b"")
        found.setdefault(shown["id"], []).append(shown["name"])
    assert found == {i: ["0", "1", "2", "3", "4"] for i in "abcdefgh"}
    assert sum(one.count for one in desk.deliveries()) == 40


def test_the_message_log_and_the_reconciliation_know_it(two: Counter) -> None:
    two.relay(records=1)
    seal_messages(two.engine, at=two.at)
    assert verify_messages(two.engine).broken is None
    assert verify_messages(two.engine).sealed == 3
    day = timedelta(days=1)
    accounts = list(reconcile(two.engine, two.log, start=two.at - day, end=two.at + day))
    assert [(a.side, a.ledger.records, a.agrees) for a in accounts] == [
        ("published", 2, True),
        ("delivered", 2, True),
    ]


def test_a_generation_ends_with_a_record_that_says_so(desk: Counter) -> None:
    desk.catalogue(update_mode="full", partitions=2)
    desk.subscribe("id", "name")
    desk.open()
    first = desk.publish(*upserts("1", "2", "3"))
    desk.relay(records=2)
    second = desk.publish(*upserts("4"))
    third = desk.publish()  # nothing is left
    desk.relay()
    told = [(r.headers["generation"], r.headers["op"]) for r in desk.topic() if r.partition == 0]
    ends = [generation for generation, op in told if op == "complete"]
    assert ends == [str(first.id), str(third.id)]
    assert str(second.id) not in {generation for generation, _ in told}
    assert told[-1] == (str(third.id), "complete")
    assert [told.index((str(first.id), "complete")) > n for n, one in enumerate(told) if one[1] == "upsert"]
    assert sorted(desk.ids()) == ["1", "2", "3"]
    assert desk.relay() == 0


@pytest.mark.parametrize("outcome", ["down", "done_but_unanswered", "fenced"])
def test_a_run_whose_append_failed_is_settled_by_the_next(two: Counter, outcome: str) -> None:
    two.log.inject("append", outcome)
    with pytest.raises(Exception, match=r"\w"):
        two.relay()
    (open_run,) = two.all_deliveries()
    assert open_run.outcome is None
    assert two.deliveries() == []
    seal_messages(two.engine, at=two.at)
    assert [one.message_seq for one in two.all_deliveries()] == [None]
    with reading(two.engine) as session:
        assert list_due_relays(session) == [two.subscription_id]
    assert two.relay() == 1
    assert two.ids() == ["1", "2"]
    assert [(one.id, one.outcome) for one in two.all_deliveries()] == [(open_run.id, "done")]


@pytest.mark.parametrize(("outcome", "stored"), [("down", False), ("done_but_unanswered", True)])
@pytest.mark.parametrize("end", ["revoked", "paused", "ended", "expired"])
def test_an_open_run_of_what_is_no_longer_entitled_is_appended_no_more(
    two: Counter, end: str, outcome: str, stored: bool
) -> None:
    two.log.inject("append", outcome)
    with pytest.raises(BrokerRetryable):
        two.relay()
    if end == "revoked":
        two.entitle(revoke, reason="r")
    elif end == "paused":
        two.entitle(pause_subscription, reason="r")
    elif end == "ended":
        with transaction(two.engine) as session:
            end_topic(session, subscription_id=two.subscription_id, actor="person:1", at=two.at)
    else:
        two.at += timedelta(days=400)
    two.relay()
    assert two.ids() == (["1", "2"] if stored else [])
    assert [one.outcome for one in two.all_deliveries()] == (["done"] if stored else [])
    if end == "paused":
        two.entitle(resume_subscription)
        two.relay()
        assert two.ids() == ["1", "2"]


def test_an_open_run_is_never_appended_under_older_masks(two: Counter) -> None:
    two.log.inject("append", "down")
    with pytest.raises(BrokerRetryable):
        two.relay()
    two.entitle(release_items, items=[], masks={"name": {"kind": "drop"}})
    two.relay()
    assert [json.loads(r.value or b"") for r in two.topic()] == [{"id": "1"}, {"id": "2"}]
    assert [one.masks for one in two.all_deliveries()] == [{"name": {"kind": "drop"}}]


def test_a_slow_worker_does_not_settle_what_was_given_up(two: Counter) -> None:
    """It appends after another one took its run over, found it paused and gave it up."""
    append = two.log.append

    def slow(*args: Any, **named: Any) -> Any:
        two.log.append = append
        two.entitle(pause_subscription, reason="r")
        late = two.relayer(now=lambda: two.at + timedelta(seconds=11))
        late.relay(two.subscription_id)
        return append(*args, **named)

    two.log.append = slow
    two.relay()
    assert (two.ids(), two.all_deliveries()) == ([], [])
    two.entitle(resume_subscription)
    two.at += timedelta(minutes=1)
    two.relay()
    assert two.ids() == ["1", "2"]


def test_two_workers_at_one_run_end_in_one(two: Counter) -> None:
    append = two.log.append

    def slow(*args: Any, **named: Any) -> Any:
        two.log.append = append
        assert two.relayer(now=lambda: two.at + timedelta(seconds=11)).relay(two.subscription_id) == 1
        two.publish(*upserts("3"))
        return append(*args, **named)

    two.log.append = slow
    two.relay()
    two.relay()
    assert two.ids() == ["1", "2", "3"]
    assert [one.count for one in two.deliveries()] == [1, 2]


def test_who_comes_while_a_worker_is_at_it_is_not_forgotten(two: Counter) -> None:
    two.relay()
    read = two.log.end_offsets
    told: list[object] = []

    def slow(topic: str) -> Any:
        found = read(topic)
        if not told:
            told.append(two.publish(*upserts("3")))
            assert two.relay() == 0
        return found

    two.log.end_offsets = slow
    assert two.relay() == 1
    assert two.ids() == ["1", "2", "3"]


def test_rewinding_writes_it_once_more_and_an_acknowledgement_of_a_pull_moves_nothing(two: Counter) -> None:
    two.relay()
    with transaction(two.engine) as session:
        rewind(
            session,
            subscription_id=two.subscription_id,
            system_id=two.place.subscriber_id,
            actor="token:1",
            at=two.at,
        )
        assert list_due_relays(session) == [two.subscription_id]
    two.relay()
    assert two.ids() == ["1", "2", "1", "2"]
    assert [r.headers["offset"] for r in two.topic()] == ["0", "1", "0", "1"]


def test_what_is_up_to_date_is_left_alone(two: Counter) -> None:
    two.relay()
    two.at += timedelta(hours=1)
    two.relay()
    with reading(two.engine) as session:
        assert list_due_relays(session) == []
        assert get_relay(session, subscription_id=two.subscription_id).holder is None
    two.publish(*upserts("3"))
    with reading(two.engine) as session:
        assert list_due_relays(session) == [two.subscription_id]


def test_a_lost_log_of_a_dataset_is_no_run(two: Counter) -> None:
    """What was read for a run that is open is gone: it is given up, not appended in part."""
    two.log.inject("append", "down")
    with pytest.raises(BrokerRetryable):
        two.relay()
    read = two.log.read

    def shortened(topic: str, **named: Any) -> Any:
        found = read(topic, **named)
        return replace(found, records=found.records[1:])

    two.log.read = shortened
    two.relay()
    two.log.read = read
    assert two.ids() == ["2"]
    assert [one.count for one in two.all_deliveries()] == [1]


def test_no_more_than_one_message_waits_for_a_relay(two: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr("exchange.service.relays.enqueue", lambda _s, _task, *ids, **_how: sent.append(*ids))

    def publish(at: datetime) -> list[int]:
        sent.clear()
        two.at = at
        two.publish(*upserts("9"))
        return sent

    second = timedelta(seconds=1)
    assert publish(two.at) == []  # that of the fixture's own batch is on its way
    assert publish(two.at + 11 * second) == [two.subscription_id]  # it counts as lost
    assert publish(two.at + second) == []
    two.relay()
    assert publish(two.at + second) == [two.subscription_id]
    read = two.log.end_offsets
    told: list[object] = []

    def slow(topic: str) -> Any:
        found = read(topic)
        if not told:
            told.append(list(publish(two.at + second)))
        return found

    two.log.end_offsets = slow
    assert two.relay() == 2
    assert told == [[]]
    assert len(two.topic()) == 7


def test_a_run_and_who_changes_its_topic_do_not_wait_for_each_other(
    two: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both lock the subscription first, then the relay: else one of the two were refused as busy."""
    noted = Event()

    def slow(*args: Any, **named: Any) -> Any:
        noted.set()
        time.sleep(1)
        return record_delivery(*args, **named)

    monkeypatch.setattr("exchange.service.relaying.record_delivery", slow)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(two.relay)
        assert noted.wait(10)
        with transaction(two.engine) as session:
            number, actor = two.subscription_id, "person:1"
            issue_credential(session, subscription_id=number, actor=actor, at=two.at)
        assert run.result() == 1
    assert two.ids() == ["1", "2"]
