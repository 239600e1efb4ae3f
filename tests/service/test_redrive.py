"""Quarantined records: corrected and redriven once, whatever happens meanwhile, or discarded."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from exchange.batch import Change
from exchange.broker.driver import BrokerRetryable
from exchange.errors import (
    BatchInProgress,
    CorrectionInvalid,
    CorrectionSettled,
    IdsInProgress,
    NewerRecords,
    NotRedrivable,
)
from exchange.models import Batch, QuarantinedRecord
from exchange.queries import count_quarantined, count_waiting
from exchange.service.quarantine import discard
from exchange.service.redrive import Redriven, redrive
from exchange.service.sweep import sweep
from infra.database import reading, transaction
from infra.journal import JournalEntry
from tests.service.provider import Provider, open_provider, people

BAD = [Change({"id": "a", "name": 1}), Change({"id": "b", "nobody": 2}), Change({"name": "c"})]
"""Records that break the rules; at places 2, 3 and 4 behind one good record."""
MENDED = [
    Change({"id": "a", "name": "一"}, place=2),
    Change({"id": "b"}, place=3),
    Change({"id": "c", "name": "三"}, place=4),
]


@pytest.fixture(params=["embedded", "kafka"])
def provider(
    request: pytest.FixtureRequest, database: Engine, tmp_path: Path, at: datetime
) -> Iterator[Provider]:
    with open_provider(database, tmp_path, at, kind=request.param) as opened:
        yield opened


def correct(provider: Provider, batch_id: int, corrections: list[Change], **other: Any) -> Redriven:
    act: dict[str, Any] = {"actor": "person:1", "at": provider.at, "now": lambda: provider.at} | other
    return redrive(provider.engine, provider.log, batch_id=batch_id, corrections=corrections, **act)


def values(provider: Provider, dataset_id: int) -> list[Any]:
    return sorted((value for _, _, value in provider.stored(dataset_id)), key=json.dumps)


def states(provider: Provider, batch_id: int) -> dict[int, tuple[str, int | None]]:
    query = select(QuarantinedRecord).where(QuarantinedRecord.batch_id == batch_id)
    with reading(provider.engine) as session:
        return {one.place: (one.state, one.redriven_into) for one in session.scalars(query)}


def publish_bad(provider: Provider, **entry: Any) -> tuple[int, int]:
    dataset_id = provider.catalogue(partitions=2, **entry)
    return dataset_id, provider.publish(dataset_id, [*people(1), *BAD]).id


def test_corrected_records_are_a_batch_of_their_own_and_what_is_still_bad_waits(provider: Provider) -> None:
    dataset_id, batch_id = publish_bad(provider)
    done = correct(provider, batch_id, [MENDED[0], Change({"id": "b", "name": 5}, place=3)])
    [receipt] = done.receipts
    assert (done.redriven, receipt.corrects_id, receipt.upserts) == (1, batch_id, 1)
    assert [(one.place, one.reasons[0].item) for one in done.still_bad] == [(3, "name")]
    assert states(provider, batch_id) == {
        2: ("redriven", receipt.id),
        3: ("waiting", None),
        4: ("waiting", None),
    }
    assert values(provider, dataset_id) == [people(1)[0].value, {"id": "a", "name": "一"}]
    with reading(provider.engine) as session:
        assert count_quarantined(session, batch_ids=[batch_id]) == {batch_id: {"redriven": 1, "waiting": 2}}
        assert count_waiting(session, dataset_id=dataset_id) == 2
        acts = [one for one in session.scalars(select(JournalEntry)) if one.act == "quarantine.redriven"]
    assert [one.after["places"] for one in acts if one.after] == [[2]]


def test_the_same_again_is_published_once_and_other_content_is_refused(provider: Provider) -> None:
    dataset_id, batch_id = publish_bad(provider)
    first = correct(provider, batch_id, MENDED[:2])
    assert correct(provider, batch_id, MENDED[:2]) == first
    more = correct(provider, batch_id, MENDED)
    assert (more.redriven, len(more.receipts), more.receipts[0]) == (3, 2, first.receipts[0])
    assert len(values(provider, dataset_id)) == 4
    with pytest.raises(CorrectionSettled, match=str(first.receipts[0].id)):
        correct(provider, batch_id, [Change({"id": "a", "name": "二"}, place=2)])
    assert len(values(provider, dataset_id)) == 4


def test_several_at_once_store_each_record_once(provider: Provider) -> None:
    dataset_id, batch_id = publish_bad(provider)

    def one(turn: int) -> Redriven | None:
        chosen = [MENDED[:2], MENDED[1:], MENDED][turn % 3]
        for _ in range(20):
            try:
                return correct(provider, batch_id, chosen)
            except (BatchInProgress, CorrectionSettled, IdsInProgress):
                continue
        return None

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(one, range(6)))
    assert all(found)
    assert values(provider, dataset_id) == sorted(
        [people(1)[0].value, *(each.value for each in MENDED)], key=json.dumps
    )


def test_a_record_that_was_published_since_is_overwritten_only_by_force(provider: Provider) -> None:
    dataset_id, batch_id = publish_bad(provider)
    later = provider.publish(dataset_id, [Change({"id": "a", "name": "新"})], key="later")
    with pytest.raises(NewerRecords, match=rf"places 2 .*receipts {later.id}\)"):
        correct(provider, batch_id, MENDED)
    assert {state for state, _ in states(provider, batch_id).values()} == {"waiting"}
    assert correct(provider, batch_id, MENDED[1:]).redriven == 2
    forced = correct(provider, batch_id, MENDED[:1], force="以更正为准")
    assert forced.redriven == 1
    assert values(provider, dataset_id).count({"id": "a", "name": "一"}) == 1
    with reading(provider.engine) as session:
        record = session.scalars(select(QuarantinedRecord).where(QuarantinedRecord.place == 2)).one()
    assert record.reason == "以更正为准"


def test_a_generation_is_published_anew_with_what_was_corrected(provider: Provider) -> None:
    dataset_id, batch_id = publish_bad(provider, update_mode="full")
    second = correct(provider, batch_id, MENDED[:1]).receipts[0]
    third = correct(provider, batch_id, MENDED[1:]).receipts[0]
    assert (second.upserts, third.upserts, third.corrects_id) == (2, 4, batch_id)
    assert correct(provider, batch_id, MENDED).receipts == (second, third)
    fresh = provider.publish(dataset_id, [Change({"id": "z"}), Change({"id": 5})], key="fresh")
    _, other_id = dataset_id, fresh.id
    newest = provider.publish(dataset_id, people(3), key="newest")
    with pytest.raises(NotRedrivable, match=str(newest.id)):
        correct(provider, other_id, [Change({"id": "y"}, place=2)])


def test_discarded_records_stay_so(provider: Provider) -> None:
    _, batch_id = publish_bad(provider)
    how: dict[str, Any] = {"batch_id": batch_id, "actor": "person:1", "at": provider.at}
    with transaction(provider.engine) as session, pytest.raises(CorrectionInvalid, match="reason"):
        discard(session, places=[2], reason=" ", **how)
    with transaction(provider.engine) as session:
        assert discard(session, places=[2, 3], reason="测试数据", **how) == 2
        assert discard(session, places=[2], reason="测试数据", **how) == 0
        with pytest.raises(CorrectionInvalid, match="place 9"):
            discard(session, places=[9], reason="x", **how)
    with pytest.raises(CorrectionSettled, match="discarded"):
        correct(provider, batch_id, MENDED)
    correct(provider, batch_id, MENDED[2:])
    with transaction(provider.engine) as session, pytest.raises(CorrectionSettled, match="redriven"):
        discard(session, places=[4], reason="x", **how)


@pytest.fixture
def failing(database: Engine, tmp_path: Path, at: datetime) -> Iterator[Provider]:
    with open_provider(database, tmp_path, at) as opened:
        yield opened


@pytest.mark.parametrize("mode", ["incremental", "full"])
@pytest.mark.parametrize("outcome", ["down", "done_but_unanswered"])
def test_broken_off_it_is_gone_on_with_by_the_same_again(failing: Provider, outcome: Any, mode: str) -> None:
    dataset_id, batch_id = publish_bad(failing, update_mode=mode)
    before = len(failing.stored(dataset_id))
    failing.log.inject("append", outcome)
    with pytest.raises(BrokerRetryable):
        correct(failing, batch_id, MENDED)
    with pytest.raises(IdsInProgress):
        correct(failing, batch_id, MENDED[:1])
    done = correct(failing, batch_id, MENDED)
    assert (done.redriven, len(done.receipts)) == (3, 1)
    assert len(failing.stored(dataset_id)) == before + done.receipts[0].upserts


@pytest.mark.parametrize("outcome", ["down", "done_but_unanswered"])
def test_left_behind_the_sweep_settles_it_or_lets_its_records_wait_again(
    failing: Provider, outcome: Any
) -> None:
    dataset_id, batch_id = publish_bad(failing)
    failing.log.inject("append", outcome)
    with pytest.raises(BrokerRetryable):
        correct(failing, batch_id, MENDED)
    sweep(failing.engine, failing.log, at=failing.at + timedelta(minutes=5))
    is_in_log = outcome != "down"
    wanted = "redriven" if is_in_log else "waiting"
    assert {state for state, _ in states(failing, batch_id).values()} == {wanted}
    with reading(failing.engine) as session:
        assert {one.state for one in session.scalars(select(Batch))} == {"settled"}
    assert correct(failing, batch_id, MENDED).redriven == 3
    assert len(failing.stored(dataset_id)) == 4
