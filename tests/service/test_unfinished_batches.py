"""Batches and topics behind a log that is away or refuses: asked again, given up, or left to the sweep."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from exchange.batch import Change
from exchange.broker.connect import connect_broker
from exchange.broker.driver import BrokerRetryable
from exchange.errors import BatchInProgress, BatchRefused, DatasetEnded, KeyReused
from exchange.models import Batch, Dataset, QuarantinedRecord
from exchange.queries import find_batch, list_datasets_without_topic
from exchange.schema import Item, Reason
from exchange.service import publish as publishing
from exchange.service.claims import give_up, list_unsettled
from exchange.service.sweep import sweep
from exchange.service.versions import add_version
from exchange.tasks import make_dataset_topic, sweep_exchange
from exchange.version_queries import get_items
from infra import jobs
from infra.clock import Clock
from infra.database import reading, transaction
from infra.installation import Installation
from infra.settings import Settings
from tests.service.provider import Provider, open_provider, people


@pytest.fixture
def provider(database: Engine, tmp_path: Path, at: datetime) -> Iterator[Provider]:
    with open_provider(database, tmp_path, at) as opened:
        yield opened


@pytest.mark.parametrize("outcome", ["down", "done_but_unanswered"])
def test_a_log_that_does_not_answer_is_asked_again(provider: Provider, outcome: Any) -> None:
    dataset_id = provider.catalogue()
    provider.log.inject("append", outcome)
    with pytest.raises(BrokerRetryable):
        provider.publish(dataset_id, people(5))
    receipt = provider.publish(dataset_id, people(5))
    assert receipt.state == "settled"
    assert len(provider.stored(dataset_id)) == 5


def test_a_fenced_writer_takes_what_the_other_stored_or_is_told_to_come_back(provider: Provider) -> None:
    dataset_id = provider.catalogue()
    provider.log.inject("append", "fenced")
    with pytest.raises(BatchInProgress):
        provider.publish(dataset_id, people(5))
    provider.log.inject("append", "done_but_unanswered")
    with pytest.raises(BrokerRetryable):
        provider.publish(dataset_id, people(5))
    provider.log.inject("append", "fenced")
    assert provider.publish(dataset_id, people(5)).state == "settled"
    assert len(provider.stored(dataset_id)) == 5


@pytest.mark.parametrize("operation", ["append", "create_topic"])
def test_what_the_log_refuses_for_good_leaves_nothing_and_frees_its_key(
    provider: Provider, operation: str
) -> None:
    dataset_id = provider.catalogue()
    provider.log.inject(operation, "refused")
    with pytest.raises(BatchRefused) as refusal:
        provider.publish(dataset_id, [Change({"id": 1}), *people(2)])
    assert "无权限" in refusal.value.message("zh")
    assert "not authorised" in refusal.value.message("en")
    with reading(provider.engine) as session:
        assert session.scalars(select(Batch.id)).all() == []
        assert session.scalars(select(QuarantinedRecord.id)).all() == []
    assert provider.publish(dataset_id, people(3)).state == "settled"
    assert len(provider.stored(dataset_id)) == 3


def test_a_batch_that_lies_in_the_log_is_settled_though_the_log_refuses_it_now(provider: Provider) -> None:
    dataset_id = provider.catalogue()
    provider.log.inject("append", "done_but_unanswered")
    with pytest.raises(BrokerRetryable):
        provider.publish(dataset_id, people(2))
    provider.log.inject("append", "refused")
    assert provider.publish(dataset_id, people(2)).state == "settled"
    assert len(provider.stored(dataset_id)) == 2


def test_a_batch_that_one_process_stores_is_not_given_up_by_another_that_the_log_refuses(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = provider.catalogue()
    append = provider.log.append

    def overtaken(*args: Any, **named: Any) -> Any:
        monkeypatch.undo()
        provider.log.inject("append", "refused")
        with pytest.raises(BatchRefused):
            provider.publish(dataset_id, people(2))
        return append(*args, **named)

    monkeypatch.setattr(provider.log, "append", overtaken)
    receipt = provider.publish(dataset_id, people(2))
    assert (receipt.state, receipt.spans and receipt.spans[0].count) == ("settled", 2)
    assert provider.publish(dataset_id, people(2)) == receipt
    assert len(provider.stored(dataset_id)) == 2


def test_who_meets_a_claim_that_is_given_up_meanwhile_is_told_to_come_back(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = provider.catalogue()

    def before_it_is_claimed(*args: Any, **named: Any) -> Any:
        found = find_batch(*args, **named)
        monkeypatch.undo()
        provider.log.inject("append", "down")
        with pytest.raises(BrokerRetryable):  # another process, at its first attempt
            provider.publish(dataset_id, people(2))
        monkeypatch.setattr(publishing, "find_batch", after_it_was_claimed)
        return found

    def after_it_was_claimed(*args: Any, **named: Any) -> Any:
        monkeypatch.undo()
        with reading(provider.engine) as session:
            (claimed,) = session.scalars(select(Batch.id)).all()
        give_up(provider.engine, batch_id=claimed)
        return find_batch(*args, **named)

    monkeypatch.setattr(publishing, "find_batch", before_it_is_claimed)
    with pytest.raises(BatchInProgress):
        provider.publish(dataset_id, people(2))
    assert provider.publish(dataset_id, people(2)).state == "settled"
    assert len(provider.stored(dataset_id)) == 2


def test_the_sweep_settles_what_reached_the_log_and_makes_missing_topics(provider: Provider) -> None:
    dataset_id, untouched = provider.catalogue(), provider.catalogue()
    for key, outcome in (("lost", "down"), ("stored", "done_but_unanswered")):
        provider.log.inject("append", outcome)
        with pytest.raises(BrokerRetryable):
            provider.publish(dataset_id, people(4), key=key)
    sweep(provider.engine, provider.log, at=provider.at + timedelta(seconds=30))
    with reading(provider.engine) as session:
        assert set(session.scalars(select(Batch.state))) == {"claimed"}
    later = provider.at + timedelta(minutes=5)
    for _ in range(2):
        sweep(provider.engine, provider.log, at=later)
    with reading(provider.engine) as session:
        states = {batch.key: batch.state for batch in session.scalars(select(Batch))}
        settled = session.scalars(select(Batch.id).where(Batch.key == "stored")).one()
        assert states == {"lost": "claimed", "stored": "settled"}
        assert provider.log.partitions(session.get_one(Dataset, untouched).topic) == 1
    receipt = provider.publish(dataset_id, people(4), key="stored", at=later)
    assert (receipt.id, receipt.settled_at) == (settled, later)
    assert provider.publish(dataset_id, people(4), key="lost", at=later).state == "settled"
    assert len(provider.stored(dataset_id)) == 8


def test_a_topic_and_a_claim_that_the_log_refuses_starve_none_behind(provider: Provider) -> None:
    stuck, other = provider.catalogue(), provider.catalogue()
    for key in ("first", "second"):
        provider.log.inject("append", "done_but_unanswered")
        with pytest.raises(BrokerRetryable):
            provider.publish(other, people(2), key=key)
    behind = provider.catalogue()
    provider.log.inject("create_topic", "refused")
    provider.log.inject("find_batch", "refused")
    with pytest.raises(ExceptionGroup) as failed:
        sweep(provider.engine, provider.log, at=provider.at + timedelta(minutes=5))
    with reading(provider.engine) as session:
        first, second = session.scalars(select(Batch).order_by(Batch.id))
        assert (first.state, second.state) == ("claimed", "settled")
        topics = [session.get_one(Dataset, dataset_id).topic for dataset_id in (stuck, behind)]
    assert [provider.log.partitions(topic) for topic in topics] == [None, 1]
    told = rf"2 of \d+ failed: the topic of dataset {stuck}, the claim of batch {first.id}\b"
    assert re.match(told, str(failed.value))


def test_a_log_that_does_not_answer_is_swept_no_further(provider: Provider) -> None:
    datasets = [provider.catalogue() for _ in range(2)]
    provider.log.inject("create_topic", "down")
    with pytest.raises(ExceptionGroup, match=rf"1 of \d+ failed: the topic of dataset {datasets[0]}$"):
        sweep(provider.engine, provider.log, at=provider.at)
    with reading(provider.engine) as session:
        assert list_datasets_without_topic(session) == datasets


def test_a_claim_stays_on_the_version_it_was_made_with(provider: Provider) -> None:
    dataset_id = provider.catalogue()
    changes = [Change({"id": "1", "extra": "x"}), Change({"id": "2"})]
    provider.log.inject("append", "down")
    with pytest.raises(BrokerRetryable):
        provider.publish(dataset_id, changes)
    with transaction(provider.engine) as session:
        items = (*get_items(session, dataset_id=dataset_id, version=1), Item("extra", "text"))
        add_version(session, dataset_id=dataset_id, revision=1, items=items, actor="person:1", at=provider.at)
    receipt = provider.publish(dataset_id, changes)
    assert (receipt.version, receipt.upserts, receipt.quarantined) == (1, 1, 1)
    assert [v for _, _, v in provider.stored(dataset_id)] == [{"id": "2"}]
    newer = provider.publish(dataset_id, changes, key="l")
    assert (newer.version, newer.upserts) == (2, 2)


def test_what_was_read_under_other_items_than_hold_is_not_stored(provider: Provider) -> None:
    dataset_id = provider.catalogue()
    with transaction(provider.engine) as session:
        items = (*get_items(session, dataset_id=dataset_id, version=1), Item("extra", "text"))
        add_version(session, dataset_id=dataset_id, revision=1, items=items, actor="person:1", at=provider.at)
    with pytest.raises(BatchInProgress):
        provider.publish(dataset_id, people(1), version=1)
    assert provider.publish(dataset_id, people(1), version=2).version == 2


def test_what_was_stored_has_its_receipt_after_the_dataset_ended(provider: Provider) -> None:
    dataset_id = provider.catalogue()
    receipt = provider.publish(dataset_id, people(2))
    with transaction(provider.engine) as session:
        session.get_one(Dataset, dataset_id).ended_at = provider.at
    assert provider.publish(dataset_id, people(2)) == receipt
    for key, count in (("k", 3), ("new", 2)):
        with pytest.raises(DatasetEnded):
            provider.publish(dataset_id, people(count), key=key)


def test_a_claim_of_a_faulty_file_is_not_completed_by_the_corrected_one(provider: Provider) -> None:
    dataset_id = provider.catalogue()
    fault = Reason("formula", "name", "是公式", "it is a formula")
    faulty = [Change({"id": "1", "name": "甲"}, place=2, faults=(fault,))]
    provider.log.inject("append", "down")
    with pytest.raises(BrokerRetryable):
        provider.publish(dataset_id, faulty)
    with pytest.raises(KeyReused):
        provider.publish(dataset_id, [replace(faulty[0], faults=())])
    assert provider.stored(dataset_id) == []
    receipt = provider.publish(dataset_id, faulty)
    assert (receipt.upserts, receipt.quarantined, provider.stored(dataset_id)) == (0, 1, [])


def test_what_is_sorted_otherwise_than_it_was_claimed_is_not_stored(provider: Provider) -> None:
    dataset_id = provider.catalogue()
    provider.log.inject("append", "down")
    with pytest.raises(BrokerRetryable):
        provider.publish(dataset_id, people(2))
    with transaction(provider.engine) as session:  # as a release with other rules would have claimed it
        session.scalars(select(Batch)).one().digest = "0" * 64
    with pytest.raises(KeyReused):
        provider.publish(dataset_id, people(2))
    assert provider.stored(dataset_id) == []


def test_the_workers_make_topics_and_sweep(provider: Provider, settings: Settings) -> None:
    jobs.join(Installation(settings, Clock(), provider.engine))
    broker = connect_broker(settings)
    try:
        one, two = provider.catalogue(partitions=2), provider.catalogue()
        with reading(provider.engine) as session:
            topics = [session.get_one(Dataset, number).topic for number in (one, two)]
        make_dataset_topic(one)
        assert [broker.partitions(topic) for topic in topics] == [2, None]
        make_dataset_topic(one)
        sweep_exchange()
        assert [broker.partitions(topic) for topic in topics] == [2, 1]
    finally:
        broker.close()
        jobs.leave()


def test_a_claim_that_nobody_comes_back_for_is_looked_for_ever_more_seldom(provider: Provider) -> None:
    dataset_id = provider.catalogue()
    provider.log.inject("append", "down")
    with pytest.raises(BrokerRetryable):
        provider.publish(dataset_id, people(1))

    def looks(begin: timedelta, minutes: int) -> int:
        with reading(provider.engine) as session:
            times = [provider.at + begin + timedelta(minutes=minute) for minute in range(minutes)]
            return sum(len(list_unsettled(session, at=one)) for one in times)

    assert looks(timedelta(), 1) == 0
    assert looks(timedelta(minutes=1), 59) == 59
    assert looks(timedelta(hours=1), 180) == 3
    assert looks(timedelta(days=1), 2 * 24 * 60) == 2
