"""Publishing a batch: claim it in the records, append it to the log, settle its receipt.

Killed anywhere, the same batch sent again ends in the same receipt: the claim holds everything of it but the
offsets, and the log stores a marker only once. Who meets a claim counts an attempt in it before setting about
storing it, so that nobody gives it up meanwhile. No transaction is open while the log is called.

Ids of records are taken with the claim. What another batch has that is not settled yet is waited for, and
once that one has been left for long it is ended: whether its records count is known before ours are sorted.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from exchange.batch import Change, Sorted, encode, request_digest, sort_batch, without_taken
from exchange.broker.driver import Broker, BrokerConflict, BrokerPermanent, NewRecord, Span
from exchange.errors import (
    BatchInProgress,
    BatchRefused,
    BatchTooLarge,
    IdsInProgress,
    KeyReused,
    NotProvider,
)
from exchange.models import Batch, Dataset, DatasetVersion, QuarantinedRecord
from exchange.queries import find_batch, get_dataset
from exchange.schema import RecordRules, read_item
from exchange.service.catalogue import check_not_ended, make_topic
from exchange.service.claims import CLAIM_PATIENCE, count_attempt, end_claim, give_up, settle, stored
from exchange.service.receipts import Receipt, receipt_of
from exchange.service.record_ids import others_ids, take_ids, unsettled_among
from exchange.version_queries import get_version
from identity.models import System
from infra.database import reading, transaction
from infra.errors import NotFound

MAX_BATCH_RECORDS = 200_000
IDS_WAIT_S = 10.0
PAUSE_S = 0.1

OnClaim = Callable[[Session, Batch], None]
"""What else happens in the transaction that claims a batch; it may refuse by raising."""


@dataclass(frozen=True)
class Wish:
    """What is to be claimed: whose batch under which key, and how it was sent and read."""

    publisher_id: int
    key: str
    digest: str
    version: int
    marker: str
    at: datetime
    on_claim: OnClaim | None


class _Held(Exception):
    """Ids of the batch are those of a claim that is not settled."""

    def __init__(self, claim: Batch) -> None:
        super().__init__()
        self.batch_id, self.claimed_at = claim.id, claim.claimed_at


def publish_batch(
    engine: Engine,
    broker: Broker,
    *,
    dataset_id: int,
    publisher_id: int,
    key: str,
    changes: Sequence[Change],
    at: datetime,
    now: Callable[[], datetime],
    version: int | None = None,
    on_claim: OnClaim | None = None,
) -> Receipt:
    """Store a batch of the provider's system `publisher_id` once, however often its idempotency `key` comes.

    It is claimed `at`, and settled when `now` says so, once it is in the log: later than all that it took.
    `version` is the one whose items the changes were read under, if they were: `version_for` says which to
    take. What was stored gets its receipt whatever became of the dataset and its provider since.

    Bad records go to quarantine; those whose ids the publisher's earlier batches have are duplicates, or bad
    if they differ. A full batch whose records are all bad replaces nothing. Raises BatchTooLarge,
    BatchRefused, DatasetEnded, NotProvider, KeyReused, BatchInProgress, IdsInProgress, NotFound, what
    `on_claim` raises, and the broker's failures; after one that is retryable, send the same again. What the
    log refuses for good is BatchRefused: nothing of it is left, and the key may be used for something else,
    unless it was tried before and somebody may still be at it.
    """
    if len(changes) > MAX_BATCH_RECORDS:
        raise BatchTooLarge(limit=MAX_BATCH_RECORDS)
    encoded = encode(changes)
    digest = request_digest(changes, encoded)
    with reading(engine) as session:
        dataset = get_dataset(session, dataset_id=dataset_id)
        claim = _find_claim(session, dataset, publisher_id=publisher_id, key=key)
        if claim and claim.state == "settled" and claim.request_digest == digest:
            return receipt_of(claim)
        _check_provider(session, dataset, publisher_id=publisher_id)
        if claim:
            _known(claim, digest, dataset)
        valid = claim.version if claim else dataset.version
        if version not in (None, valid):  # the items changed, or a claim was made, since they were read
            raise BatchInProgress(key=key, dataset=dataset.code)
        version = valid
        schema = get_version(session, dataset_id=dataset_id, version=version)
        session.expunge_all()
    batch = _sort(dataset, schema, changes, encoded)
    marker = None
    if claim is None:
        marker = broker.new_marker(dataset.topic)
        wish = Wish(publisher_id, key, digest, version, marker, at, on_claim)
        claim, batch = _claim_once_free(engine, broker, dataset, batch, wish)
        if receipt := _known(claim, digest, dataset):
            return receipt
        if claim.version != version:  # claimed by another process, just after the items changed
            raise BatchInProgress(key=key, dataset=dataset.code)
    if claim.marker != marker:  # another process's
        batch = _as_claimed(engine, claim, batch)
    if claim.digest != batch.digest:  # never is anything stored but what was claimed
        raise KeyReused(key=key, dataset=dataset.code, batch=claim.id)
    if claim.marker != marker:
        count_attempt(engine, claim, dataset)
    spans = _store(engine, broker, dataset, schema, claim, batch, at=at)
    receipt = settle(engine, batch_id=claim.id, spans=spans, at=now())
    if receipt is None:  # given up by another process that the log refused, or ended by one
        raise BatchInProgress(key=key, dataset=dataset.code)
    return receipt


def version_for(session: Session, dataset: Dataset, *, publisher_id: int, key: str) -> int:
    """Under which version's items a batch with that key is read: its claim's, else the dataset's own.

    Raises BatchRefused.
    """
    claim = _find_claim(session, dataset, publisher_id=publisher_id, key=key)
    return claim.version if claim else dataset.version


def _find_claim(session: Session, dataset: Dataset, *, publisher_id: int, key: str) -> Batch | None:
    if not 1 <= len(key) <= 200 or not key.isprintable():
        raise BatchRefused(
            dataset=dataset.code,
            why_zh="幂等键应为 1 至 200 个可打印字符",
            why_en="the idempotency key has 1 to 200 printable characters",
        )
    return find_batch(session, dataset_id=dataset.id, publisher_id=publisher_id, key=key)


def _check_provider(session: Session, dataset: Dataset, *, publisher_id: int) -> None:
    check_not_ended(dataset)
    system = session.get(System, publisher_id)
    if system is None:
        raise NotFound(what_zh="信息系统", what_en="information system", key=publisher_id)
    if system.bureau_id != dataset.bureau_id or system.retired_at is not None:
        raise NotProvider(system=system.code, dataset=dataset.code)


def _known(claim: Batch, digest: str, dataset: Dataset) -> Receipt | None:
    """The receipt of a batch that is settled, None for one that is not; KeyReused if it is another."""
    if claim.request_digest != digest:
        raise KeyReused(key=claim.key, dataset=dataset.code, batch=claim.id)
    return receipt_of(claim) if claim.state == "settled" else None


def _sort(
    dataset: Dataset, schema: DatasetVersion, changes: Sequence[Change], encoded: Sequence[bytes | None]
) -> Sorted:
    full = dataset.update_mode == "full"
    if full and any(change.id is not None for change in changes):
        raise BatchRefused(
            dataset=dataset.code,
            why_zh="它按全量更新，每批替换全部数据，记录不带标识",
            why_en="it is replaced in full by each batch, so its records have no ids",
        )
    rules = RecordRules([read_item(document) for document in schema.items], dataset.key_items)
    return sort_batch(changes, encoded, rules=rules, partitions=dataset.partitions, full=full)


def _claim_once_free(
    engine: Engine, broker: Broker, dataset: Dataset, batch: Sorted, wish: Wish
) -> tuple[Batch, Sorted]:
    """`_claim`, as soon as no id of the batch is held by one that is not settled. Raises IdsInProgress."""
    deadline = time.monotonic() + IDS_WAIT_S
    while True:
        try:
            return _claim(engine, dataset, batch, wish)
        except _Held as held:
            if wish.at - held.claimed_at > CLAIM_PATIENCE:
                end_claim(engine, broker, batch_id=held.batch_id, at=wish.at)
            elif time.monotonic() > deadline:
                raise IdsInProgress(dataset=dataset.code, batch=held.batch_id) from held
            else:
                time.sleep(PAUSE_S)


def _claim(engine: Engine, dataset: Dataset, batch: Sorted, wish: Wish) -> tuple[Batch, Sorted]:
    """Transaction 1: all of the receipt but the offsets; or the claim that another process made meanwhile.

    With the batch without the records whose ids others have. Raises _Held.
    """
    claim = Batch(
        dataset_id=dataset.id,
        publisher_id=wish.publisher_id,
        key=wish.key,
        marker=wish.marker,
        request_digest=wish.digest,
        update_mode=dataset.update_mode,
        version=wish.version,
        state="claimed",
        claimed_at=wish.at,
        **_counts(batch),
    )
    try:
        with transaction(engine) as session:
            try:
                session.add(claim)
                session.flush()
            except IntegrityError as error:  # another process claims the key
                raise BatchInProgress(key=wish.key, dataset=dataset.code) from error
            batch = _with_ids(session, claim, batch)
            session.add_all(
                QuarantinedRecord(
                    batch_id=claim.id,
                    place=bad.place,
                    is_delete=bad.delete,
                    record_id=bad.id,
                    reasons=[reason.document() for reason in bad.reasons],
                    raw=bad.raw,
                )
                for bad in batch.bad
            )
            if wish.on_claim is not None:
                wish.on_claim(session, claim)
    except BatchInProgress:
        with reading(engine) as session:
            other = find_batch(session, dataset_id=dataset.id, publisher_id=wish.publisher_id, key=wish.key)
            session.expunge_all()
        if other is None:  # the log refused it meanwhile, and the other process gave it up
            raise
        return other, batch
    return claim, batch


def _with_ids(session: Session, claim: Batch, batch: Sorted) -> Sorted:
    """Take the ids of the batch, and leave out the records whose ids others have. Raises _Held."""
    if take_ids(session, claim, batch.ids):
        return batch
    taken = others_ids(session, claim, batch.ids)
    held = unsettled_among(session, {one.batch_id for one in taken.values()})
    if held is not None:
        raise _Held(held)
    batch = without_taken(batch, taken)
    for name, value in _counts(batch).items():
        setattr(claim, name, value)
    return batch


def _as_claimed(engine: Engine, claim: Batch, batch: Sorted) -> Sorted:
    """The batch without the records whose ids others had when it was claimed: they have them still."""
    with reading(engine) as session:
        return without_taken(batch, others_ids(session, claim, batch.ids))


def _counts(batch: Sorted) -> dict[str, Any]:
    return {
        "received": len(batch.good) + len(batch.bad) + batch.duplicates,
        "upserts": batch.upserts,
        "deletes": len(batch.good) - batch.upserts,
        "quarantined": len(batch.bad),
        "duplicates": batch.duplicates,
        "digest": batch.digest,
        "digests": {str(p): chained for p, chained in batch.digests.items()},
    }


def _store(
    engine: Engine,
    broker: Broker,
    dataset: Dataset,
    schema: DatasetVersion,
    claim: Batch,
    batch: Sorted,
    *,
    at: datetime,
) -> dict[int, Span]:
    """Between the transactions: the batch in the log, or, if the log refuses it for good, no claim on it."""
    try:
        make_topic(engine, broker, dataset_id=dataset.id, at=at)
        return _append(broker, dataset, schema, claim, batch)
    except BrokerPermanent as error:
        spans = stored(broker, dataset.topic, claim.marker)
        if spans is not None:  # by an earlier attempt, or by another process
            return spans
        give_up(engine, batch_id=claim.id)
        raise BatchRefused(
            dataset=dataset.code,
            why_zh=f"数据交换日志拒绝写入：{error.facts['why_zh']}",
            why_en=f"the exchange's log refuses it: {error.facts['why_en']}",
        ) from error


def _append(
    broker: Broker, dataset: Dataset, schema: DatasetVersion, claim: Batch, batch: Sorted
) -> dict[int, Span]:
    headers = {
        "batch": claim.marker,
        "schema": dataset.code,
        "schema_id": str(schema.id),
        "version": str(claim.version),
        "at": claim.claimed_at.isoformat(),
    }
    records = [NewRecord(good.partition, good.key, good.value, headers) for good in batch.good]
    try:
        return broker.append(dataset.topic, marker=claim.marker, records=records)
    except BrokerConflict as error:
        spans = broker.find_batch(dataset.topic, marker=claim.marker)
        if spans is None:
            raise BatchInProgress(key=claim.key, dataset=dataset.code) from error
        return spans
