"""Ids of records: each is stored once, in whichever batches it comes and however these end."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from exchange.batch import Change
from exchange.broker.driver import BrokerRetryable
from exchange.errors import BatchInProgress, BatchRefused, IdsInProgress
from exchange.models import Batch, QuarantinedRecord, RecordId
from exchange.service import publish as publishing
from exchange.service.claims import end_claim
from infra.database import reading
from tests.service.provider import Provider, open_provider


@pytest.fixture(params=["embedded", "kafka"])
def provider(
    request: pytest.FixtureRequest, database: Engine, tmp_path: Path, at: datetime
) -> Iterator[Provider]:
    with open_provider(database, tmp_path, at, kind=request.param) as opened:
        yield opened


def numbered(numbers: Any, name: str = "n") -> list[Change]:
    return [Change({"id": f"{n}", "name": name}, id=f"号-{n}") for n in numbers]


def stored_ids(provider: Provider, dataset_id: int) -> list[str]:
    return [value["id"] for _, _, value in provider.stored(dataset_id)]


def test_an_id_that_is_stored_already_is_a_duplicate_or_bad(provider: Provider) -> None:
    dataset_id = provider.catalogue(partitions=3)
    first = provider.publish(dataset_id, numbered(range(5)))
    assert (first.received, first.upserts, first.duplicates) == (5, 5, 0)
    mixed = [*numbered([3, 4]), *numbered([2], "other"), *numbered([5, 5]), Change({"id": "5"})]
    second = provider.publish(dataset_id, mixed, key="two")
    assert (second.received, second.upserts, second.duplicates, second.quarantined) == (6, 2, 3, 1)
    assert provider.publish(dataset_id, mixed, key="two") == second
    assert sorted(stored_ids(provider, dataset_id)) == ["0", "1", "2", "3", "4", "5", "5"]
    with reading(provider.engine) as session:
        bad = session.scalars(select(QuarantinedRecord)).one()
    assert (bad.place, bad.record_id, bad.reasons[0]["code"]) == (3, "号-2", "id_taken")
    assert str(first.id) in bad.reasons[0]["en"]
    deleted = provider.publish(dataset_id, [Change({"id": "1"}, delete=True, id="号-1")], key="three")
    assert (deleted.deletes, deleted.quarantined) == (0, 1)


def test_ids_are_the_publishers_and_the_datasets_own(provider: Provider) -> None:
    one, two = provider.catalogue(), provider.catalogue()
    provider.publish(one, numbered(range(3)))
    assert provider.publish(two, numbered(range(3))).upserts == 3
    other = provider.place.second_publisher_id
    assert provider.publish(one, numbered(range(3)), publisher_id=other).upserts == 3


def test_within_a_batch_the_first_of_an_id_counts(provider: Provider) -> None:
    dataset_id = provider.catalogue()
    changes = [
        *numbered([1]),
        *numbered([1]),
        *numbered([1], "x"),
        Change({"id": "2"}, id=""),
        *numbered([3]),
    ]
    receipt = provider.publish(dataset_id, changes)
    assert (receipt.upserts, receipt.duplicates, receipt.quarantined) == (2, 1, 2)
    with reading(provider.engine) as session:
        bad = session.scalars(select(QuarantinedRecord).order_by(QuarantinedRecord.place)).all()
    assert [(one.place, one.reasons[0]["code"], one.record_id) for one in bad] == [
        (3, "id_repeated", "号-1"),
        (4, "bad_id", None),
    ]


def test_what_is_replaced_in_full_has_no_ids(provider: Provider) -> None:
    dataset_id = provider.catalogue(update_mode="full")
    with pytest.raises(BatchRefused, match="no ids"):
        provider.publish(dataset_id, numbered([1]))


def test_overlapping_batches_at_once_store_each_id_once(provider: Provider) -> None:
    dataset_id = provider.catalogue(partitions=2)
    chance = Random(5)
    batches = [chance.sample(range(120), 60) for _ in range(8)]
    start = threading.Barrier(4)

    def publish(number: int) -> int:
        if number < 4:
            start.wait()
        for _ in range(30):
            try:
                return provider.publish(dataset_id, numbered(batches[number]), key=f"b{number}").received
            except IdsInProgress:
                continue
        raise AssertionError("never free")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(publish, range(8))) == [60] * 8
    wanted = {f"{n}" for batch in batches for n in batch}
    found = stored_ids(provider, dataset_id)
    assert (len(found), set(found)) == (len(wanted), wanted)
    with reading(provider.engine) as session:
        assert session.scalar(select(func.count()).select_from(RecordId)) == len(wanted)
        told = session.execute(select(func.sum(Batch.upserts), func.sum(Batch.duplicates))).one()
    assert tuple(told) == (len(wanted), 480 - len(wanted))


@pytest.fixture
def failing(database: Engine, tmp_path: Path, at: datetime) -> Iterator[Provider]:
    with open_provider(database, tmp_path, at) as opened:
        yield opened


@pytest.mark.parametrize("outcome", ["down", "done_but_unanswered"])
def test_a_claim_that_was_left_is_ended_by_who_brings_its_ids(failing: Provider, outcome: Any) -> None:
    dataset_id = failing.catalogue()
    failing.publish(dataset_id, [])
    failing.log.inject("append", outcome)
    with pytest.raises(BrokerRetryable):
        failing.publish(dataset_id, numbered(range(10)), key="left")
    later = failing.at + timedelta(minutes=5)
    receipt = failing.publish(dataset_id, numbered(range(5, 15)), key="other", at=later)
    is_in_log = outcome != "down"
    assert (receipt.upserts, receipt.duplicates) == ((5, 5) if is_in_log else (10, 0))
    again = failing.publish(dataset_id, numbered(range(10)), key="left", at=later)
    assert (again.upserts, again.duplicates) == ((10, 0) if is_in_log else (5, 5))
    assert sorted(map(int, stored_ids(failing, dataset_id))) == list(range(15))


def test_a_claim_that_is_young_is_waited_for(failing: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "IDS_WAIT_S", 0.3)
    dataset_id = failing.catalogue()
    failing.log.inject("append", "down")
    with pytest.raises(BrokerRetryable):
        failing.publish(dataset_id, numbered([1]), key="young")
    with pytest.raises(IdsInProgress):
        failing.publish(dataset_id, numbered([1, 2]), key="other")
    failing.publish(dataset_id, numbered([1]), key="young")
    assert failing.publish(dataset_id, numbered([1, 2]), key="other").duplicates == 1


def test_who_was_shut_out_while_storing_begins_anew(provider: Provider) -> None:
    dataset_id = provider.catalogue()
    provider.publish(dataset_id, [], key="topic")
    append = provider.log.append

    def slow(topic: str, **how: Any) -> Any:
        provider.log.append = append
        with reading(provider.engine) as session:
            claim = session.scalars(select(Batch.id).where(Batch.key == "k")).one()
        assert end_claim(provider.engine, provider.log, batch_id=claim, at=provider.at) is None
        return append(topic, **how)

    provider.log.append = slow
    with pytest.raises(BatchInProgress):
        provider.publish(dataset_id, numbered(range(5)))
    assert provider.publish(dataset_id, numbered(range(5))).upserts == 5
    assert len(stored_ids(provider, dataset_id)) == 5


def test_ids_hold_on_sqlite_too(sqlite_database: Engine, tmp_path: Path, at: datetime) -> None:
    with open_provider(sqlite_database, tmp_path, at) as provider:
        dataset_id = provider.catalogue()
        provider.publish(dataset_id, numbered(range(3)))
        mixed = [*numbered([1]), *numbered([2], "x"), *numbered([3])]
        again = provider.publish(dataset_id, mixed, key="two")
        assert (again.upserts, again.duplicates, again.quarantined) == (1, 1, 1)
