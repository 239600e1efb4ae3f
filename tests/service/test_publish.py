"""Publishing: receipts, quarantine, idempotency keys, races, and what the sweep completes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from exchange import digest
from exchange.batch import Change
from exchange.broker.connect import connect_broker
from exchange.broker.driver import BrokerRetryable
from exchange.broker.embedded import EmbeddedLog
from exchange.errors import (
    BatchInProgress,
    BatchRefused,
    BatchTooLarge,
    KeyReused,
    NotProvider,
)
from exchange.models import Batch, Dataset, QuarantinedRecord
from exchange.queries import get_items, list_batches, list_datasets_without_topic, list_quarantined
from exchange.schema import Item
from exchange.service import publish as publishing
from exchange.service.catalogue import add_version
from exchange.service.publish import Receipt, get_receipt, publish_batch
from exchange.service.sweep import sweep
from exchange.tasks import make_dataset_topic, sweep_exchange
from infra import jobs
from infra.clock import Clock
from infra.database import reading, transaction
from infra.errors import NotFound
from infra.installation import Installation
from infra.journal import JournalEntry
from infra.settings import Settings
from tests.factories import Exchange, make_dataset, make_exchange

RESIDENT = "130602199003070078"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "log.sqlite")
    yield log
    log.close()


@pytest.fixture
def place(database: Engine, at: datetime) -> Exchange:
    with transaction(database) as session:
        return make_exchange(session, at=at)


def catalogue(engine: Engine, place: Exchange, *, at: datetime, **changes: Any) -> int:
    with transaction(engine) as session:
        known = session.scalar(select(func.count()).select_from(Dataset))
        return make_dataset(session, place, at=at, **({"code": f"people-{known}"} | changes)).id


def people(count: int) -> list[Change]:
    return [Change({"id": f"{n}", "name": f"𠮷{n}"}) for n in range(count)]


def stored(log: EmbeddedLog, engine: Engine, dataset_id: int) -> list[tuple[int, int, Any]]:
    with reading(engine) as session:
        dataset = session.get_one(Dataset, dataset_id)
        topic, partitions = dataset.topic, dataset.partitions
    found = [log.read(topic, partition=p, offset=0, limit=100_000).records for p in range(partitions)]
    return [(r.partition, r.offset, r.value and json.loads(r.value)) for part in found for r in part]


def test_a_receipt_has_counts_offsets_and_digests(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    dataset_id = catalogue(database, place, at=at, partitions=3)
    changes = [*people(20), Change({"id": "3"}, delete=True), Change({"id": 3})]

    receipt = publish_batch(
        database, log, dataset_id=dataset_id, publisher_id=place.publisher_id, key="k", changes=changes, at=at
    )

    assert (receipt.received, receipt.upserts, receipt.deletes, receipt.quarantined) == (22, 20, 1, 1)
    assert (receipt.state, receipt.settled_at, receipt.version) == ("settled", at, 1)
    assert receipt.spans is not None
    assert sum(span.count for span in receipt.spans.values()) == 21
    rows = stored(log, database, dataset_id)
    for partition, span in receipt.spans.items():
        mine = [row for row in rows if row[0] == partition]
        assert (mine[0][1], mine[-1][1], len(mine)) == (span.first, span.last, span.count)
        values = [
            digest.record_digest(v) if v else digest.record_digest({"id": "3"}, delete=True)
            for _, _, v in mine
        ]
        assert receipt.digests[partition] == digest.chain(values)
    assert receipt.digest == digest.combine(receipt.digests)
    with reading(database) as session:
        assert get_receipt(session, batch_id=receipt.id) == receipt
        assert [b.id for b in list_batches(session, dataset_id=dataset_id)] == [receipt.id]


def test_bad_records_go_to_quarantine_with_place_and_reasons_and_no_values(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    items = (Item("id", "resident_id", sensitivity="sensitive"), Item("n", "integer"))
    dataset_id = catalogue(database, place, at=at, items=items)
    planted = [
        "13060219900307007X",
        "13060219900307007x",
        "１３０６０２１９９００３０７００７８",
        f"证件{RESIDENT}号",
    ]
    changes = [Change({"id": RESIDENT, "n": 1})]
    changes += [Change({"id": bad}) for bad in planted]
    changes += [Change({"id": RESIDENT, bad: 1}) for bad in planted]
    changes += [Change({"id": RESIDENT, "n": [bad]}) for bad in planted]
    changes += [
        Change(planted),
        Change(planted[0]),
        Change({"id": RESIDENT, "n": 2**60}),
        Change({"id": "\ud800\0"}),
    ]

    receipt = publish_batch(
        database, log, dataset_id=dataset_id, publisher_id=place.publisher_id, key="k", changes=changes, at=at
    )

    assert (receipt.upserts, receipt.quarantined) == (1, len(changes) - 1)
    with reading(database) as session:
        found = list_quarantined(session, batch_id=receipt.id, limit=100)
        assert json.loads(found[0].raw) == {"id": planted[0]}
        assert [q.place for q in found] == list(range(2, len(changes) + 1))
        told = json.dumps([q.reasons for q in found], ensure_ascii=False)
        assert all(reason["zh"] and reason["en"] for q in found for reason in q.reasons)
        assert [q.reasons[0]["code"] for q in found[-4:]] == ["not_an_object"] * 2 + ["not_canonical"] * 2
        assert [q.place for q in list_quarantined(session, batch_id=receipt.id, after=5, limit=2)] == [6, 7]
        assert list_quarantined(session, batch_id=receipt.id, after=2**63 - 1) == []
        journal = json.dumps([[e.before, e.after] for e in session.scalars(select(JournalEntry))])
    for text in (told, journal):
        assert "130602" not in text
        assert "１３０６０２" not in text


def test_the_same_again_gives_the_same_receipt_and_stores_nothing(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    dataset_id = catalogue(database, place, at=at)
    who: dict[str, Any] = {"dataset_id": dataset_id, "publisher_id": place.publisher_id, "key": "k"}
    first = publish_batch(database, log, changes=[*people(10), Change(5)], at=at, **who)
    later = at + timedelta(days=40)
    again = publish_batch(database, log, changes=[*people(10), Change(5)], at=later, **who)
    reordered = [Change(dict(reversed(change.value.items()))) for change in people(10)]
    assert again == first
    assert publish_batch(database, log, changes=[*reordered, Change(5)], at=later, **who) == first
    with pytest.raises(KeyReused) as refusal:
        publish_batch(database, log, changes=people(11), at=later, **who)
    assert refusal.value.facts["batch"] == first.id
    assert len(stored(log, database, dataset_id)) == 10
    other = publish_batch(database, log, changes=people(11), at=later, **{**who, "key": "l"})
    assert other.id != first.id
    assert len(stored(log, database, dataset_id)) == 21


def test_a_key_belongs_to_a_publisher_and_a_dataset(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    one, two = catalogue(database, place, at=at), catalogue(database, place, at=at)
    ids = {
        publish_batch(database, log, dataset_id=d, publisher_id=p, key="k", changes=people(p), at=at).id
        for d in (one, two)
        for p in (place.publisher_id, place.second_publisher_id)
    }
    assert len(ids) == 4
    assert len(stored(log, database, one)) == place.publisher_id + place.second_publisher_id


def test_eight_at_once_end_in_one_receipt(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    dataset_id = catalogue(database, place, at=at, partitions=2)

    def send(turn: int) -> Receipt:
        own = EmbeddedLog(log._path)
        try:
            return publish_batch(
                database,
                own,
                dataset_id=dataset_id,
                publisher_id=place.publisher_id,
                key="k",
                changes=[*people(300), Change({})],
                at=at + timedelta(seconds=turn),
            )
        finally:
            own.close()

    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(send, range(8)))
    assert all(receipt == receipts[0] for receipt in receipts)
    assert sorted(int(v["id"]) for _, _, v in stored(log, database, dataset_id)) == list(range(300))
    with reading(database) as session:
        assert session.scalar(select(func.count()).select_from(Batch)) == 1
        assert session.scalar(select(func.count()).select_from(QuarantinedRecord)) == 1


@pytest.mark.parametrize("outcome", ["down", "done_but_unanswered"])
def test_a_log_that_does_not_answer_is_asked_again(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime, outcome: Any
) -> None:
    dataset_id = catalogue(database, place, at=at)
    who: dict[str, Any] = {
        "dataset_id": dataset_id,
        "publisher_id": place.publisher_id,
        "key": "k",
        "changes": people(5),
    }
    log.inject("append", outcome)
    with pytest.raises(BrokerRetryable):
        publish_batch(database, log, at=at, **who)
    receipt = publish_batch(database, log, at=at, **who)
    assert receipt.state == "settled"
    assert len(stored(log, database, dataset_id)) == 5


def test_a_fenced_writer_takes_what_the_other_stored_or_is_told_to_come_back(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    dataset_id = catalogue(database, place, at=at)
    who: dict[str, Any] = {
        "dataset_id": dataset_id,
        "publisher_id": place.publisher_id,
        "key": "k",
        "changes": people(5),
    }
    log.inject("append", "fenced")
    with pytest.raises(BatchInProgress):
        publish_batch(database, log, at=at, **who)
    log.inject("append", "done_but_unanswered")
    with pytest.raises(BrokerRetryable):
        publish_batch(database, log, at=at, **who)
    log.inject("append", "fenced")
    assert publish_batch(database, log, at=at, **who).state == "settled"
    assert len(stored(log, database, dataset_id)) == 5


def test_a_long_key_is_quarantined_and_the_rest_of_its_batch_stored(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    dataset_id = catalogue(database, place, at=at)
    changes = [Change({"id": "x" * 600_000}), Change({"id": "x" * 600_000}, delete=True), *people(1)]
    receipt = publish_batch(
        database, log, dataset_id=dataset_id, publisher_id=place.publisher_id, key="k", changes=changes, at=at
    )
    assert (receipt.state, receipt.upserts, receipt.quarantined) == ("settled", 1, 2)
    with reading(database) as session:
        found = list_quarantined(session, batch_id=receipt.id)
    assert [bad.reasons[0]["code"] for bad in found] == ["key_too_large"] * 2


@pytest.mark.parametrize("operation", ["append", "create_topic"])
def test_what_the_log_refuses_for_good_leaves_nothing_and_frees_its_key(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime, operation: str
) -> None:
    dataset_id = catalogue(database, place, at=at)
    who: dict[str, Any] = {"dataset_id": dataset_id, "publisher_id": place.publisher_id, "key": "k"}
    log.inject(operation, "refused")
    with pytest.raises(BatchRefused) as refusal:
        publish_batch(database, log, changes=[Change({"id": 1}), *people(2)], at=at, **who)
    assert "无权限" in refusal.value.message("zh")
    assert "not authorised" in refusal.value.message("en")
    with reading(database) as session:
        assert session.scalars(select(Batch.id)).all() == []
        assert session.scalars(select(QuarantinedRecord.id)).all() == []
    assert publish_batch(database, log, changes=people(3), at=at, **who).state == "settled"
    assert len(stored(log, database, dataset_id)) == 3


def test_a_batch_that_lies_in_the_log_is_settled_though_the_log_refuses_it_now(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    dataset_id = catalogue(database, place, at=at)
    who: dict[str, Any] = {"dataset_id": dataset_id, "publisher_id": place.publisher_id, "key": "k"}
    log.inject("append", "done_but_unanswered")
    with pytest.raises(BrokerRetryable):
        publish_batch(database, log, changes=people(2), at=at, **who)
    log.inject("append", "refused")
    assert publish_batch(database, log, changes=people(2), at=at, **who).state == "settled"
    assert len(stored(log, database, dataset_id)) == 2


def test_a_batch_stored_while_another_process_gave_it_up_is_settled_when_it_is_sent_again(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = catalogue(database, place, at=at)
    who: dict[str, Any] = {"dataset_id": dataset_id, "publisher_id": place.publisher_id, "key": "k"}
    append = log.append

    def overtaken(*args: Any, **named: Any) -> Any:
        monkeypatch.undo()
        log.inject("append", "refused")
        with pytest.raises(BatchRefused):
            publish_batch(database, log, changes=people(2), at=at, **who)
        return append(*args, **named)

    monkeypatch.setattr(log, "append", overtaken)
    with pytest.raises(BatchInProgress):
        publish_batch(database, log, changes=people(2), at=at, **who)
    receipt = publish_batch(database, log, changes=people(2), at=at, **who)
    assert (receipt.state, receipt.spans and receipt.spans[0].count) == ("settled", 2)
    assert len(stored(log, database, dataset_id)) == 2


def test_the_sweep_settles_what_reached_the_log_and_makes_missing_topics(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    dataset_id, untouched = catalogue(database, place, at=at), catalogue(database, place, at=at)
    who: dict[str, Any] = {"dataset_id": dataset_id, "publisher_id": place.publisher_id}
    for key, outcome in (("lost", "down"), ("stored", "done_but_unanswered")):
        log.inject("append", outcome)  # type: ignore[arg-type]  # a tuple's strings are no literals to mypy
        with pytest.raises(BrokerRetryable):
            publish_batch(database, log, key=key, changes=people(4), at=at, **who)
    sweep(database, log, at=at + timedelta(seconds=30))
    with reading(database) as session:
        assert set(session.scalars(select(Batch.state))) == {"claimed"}
    later = at + timedelta(minutes=5)
    for _ in range(2):
        sweep(database, log, at=later)
    with reading(database) as session:
        states = {batch.key: batch.state for batch in session.scalars(select(Batch))}
        settled = session.scalars(select(Batch.id).where(Batch.key == "stored")).one()
        assert states == {"lost": "claimed", "stored": "settled"}
        assert log.partitions(session.get_one(Dataset, untouched).topic) == 1
    receipt = publish_batch(database, log, key="stored", changes=people(4), at=later, **who)
    assert (receipt.id, receipt.settled_at) == (settled, later)
    assert publish_batch(database, log, key="lost", changes=people(4), at=later, **who).state == "settled"
    assert len(stored(log, database, dataset_id)) == 8


def test_a_topic_and_a_claim_that_the_log_refuses_starve_none_behind(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    stuck, other = catalogue(database, place, at=at), catalogue(database, place, at=at)
    who: dict[str, Any] = {"dataset_id": other, "publisher_id": place.publisher_id, "changes": people(2)}
    for key in ("first", "second"):
        log.inject("append", "done_but_unanswered")
        with pytest.raises(BrokerRetryable):
            publish_batch(database, log, key=key, at=at, **who)
    behind = catalogue(database, place, at=at)
    log.inject("create_topic", "refused")
    log.inject("find_batch", "refused")
    with pytest.raises(ExceptionGroup) as failed:
        sweep(database, log, at=at + timedelta(minutes=5))
    with reading(database) as session:
        first, second = session.scalars(select(Batch).order_by(Batch.id))
        assert (first.state, second.state) == ("claimed", "settled")
        topics = [session.get_one(Dataset, dataset_id).topic for dataset_id in (stuck, behind)]
    assert [log.partitions(topic) for topic in topics] == [None, 1]
    assert f"2 of 5 failed: the topic of dataset {stuck}, the claim of batch {first.id}" in str(failed.value)


def test_a_log_that_does_not_answer_is_swept_no_further(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    datasets = [catalogue(database, place, at=at) for _ in range(2)]
    log.inject("create_topic", "down")
    with pytest.raises(ExceptionGroup, match=f"1 of 2 failed: the topic of dataset {datasets[0]}"):
        sweep(database, log, at=at)
    with reading(database) as session:
        assert list_datasets_without_topic(session) == datasets


def test_a_claim_stays_on_the_version_it_was_made_with(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    dataset_id = catalogue(database, place, at=at)
    who: dict[str, Any] = {"dataset_id": dataset_id, "publisher_id": place.publisher_id, "key": "k"}
    changes = [Change({"id": "1", "extra": "x"}), Change({"id": "2"})]
    log.inject("append", "down")
    with pytest.raises(BrokerRetryable):
        publish_batch(database, log, changes=changes, at=at, **who)
    with transaction(database) as session:
        items = (*get_items(session, dataset_id=dataset_id, version=1), Item("extra", "text"))
        add_version(session, dataset_id=dataset_id, revision=1, items=items, actor="person:1", at=at)
    receipt = publish_batch(database, log, changes=changes, at=at, **who)
    assert (receipt.version, receipt.upserts, receipt.quarantined) == (1, 1, 1)
    assert [v for _, _, v in stored(log, database, dataset_id)] == [{"id": "2"}]
    newer = publish_batch(database, log, changes=changes, at=at, **{**who, "key": "l"})
    assert (newer.version, newer.upserts) == (2, 2)


def test_who_is_not_the_provider_is_refused(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime
) -> None:
    dataset_id = catalogue(database, place, at=at)
    who: dict[str, Any] = {
        "dataset_id": dataset_id,
        "publisher_id": place.publisher_id,
        "key": "k",
        "changes": [],
    }
    with pytest.raises(NotProvider):
        publish_batch(database, log, at=at, **{**who, "publisher_id": place.subscriber_id})
    with pytest.raises(NotFound):
        publish_batch(database, log, at=at, **{**who, "publisher_id": 999})
    with pytest.raises(NotFound):
        publish_batch(database, log, at=at, **{**who, "dataset_id": 999})
    for key in ("", "x" * 201, "a\nb"):
        with pytest.raises(BatchRefused):
            publish_batch(database, log, at=at, **{**who, "key": key})


def test_a_batch_has_a_greatest_size(
    database: Engine, log: EmbeddedLog, place: Exchange, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = catalogue(database, place, at=at)
    monkeypatch.setattr(publishing, "MAX_BATCH_RECORDS", 3)
    with pytest.raises(BatchTooLarge):
        publish_batch(
            database,
            log,
            dataset_id=dataset_id,
            publisher_id=place.publisher_id,
            key="k",
            changes=people(4),
            at=at,
        )


def test_it_works_on_sqlite_too(sqlite_database: Engine, log: EmbeddedLog, at: datetime) -> None:
    with transaction(sqlite_database) as session:
        place = make_exchange(session, at=at)
    dataset_id = catalogue(sqlite_database, place, at=at)
    who: dict[str, Any] = {"dataset_id": dataset_id, "publisher_id": place.publisher_id, "key": "k"}
    with ThreadPoolExecutor(4) as pool:
        receipts = list(
            pool.map(
                lambda _: publish_batch(sqlite_database, log, changes=people(50), at=at, **who), range(4)
            )
        )
    assert len({receipt.id for receipt in receipts}) == 1
    assert len(stored(log, sqlite_database, dataset_id)) == 50


def test_the_workers_make_topics_and_sweep(
    database: Engine, settings: Settings, place: Exchange, at: datetime
) -> None:
    jobs.join(Installation(settings, Clock(), database))
    broker = connect_broker(settings)
    try:
        one, two = catalogue(database, place, at=at, partitions=2), catalogue(database, place, at=at)
        with reading(database) as session:
            topics = [session.get_one(Dataset, number).topic for number in (one, two)]
        make_dataset_topic(one)
        assert [broker.partitions(topic) for topic in topics] == [2, None]
        make_dataset_topic(one)
        sweep_exchange()
        assert [broker.partitions(topic) for topic in topics] == [2, 1]
    finally:
        broker.close()
        jobs.leave()
