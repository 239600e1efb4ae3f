"""Publishing a batch: claim it in the records, append it to the log, settle its receipt.

Killed anywhere, the same batch sent again ends in the same receipt: the claim holds everything of it but the
offsets, and the log stores a marker only once. Who meets a claim counts an attempt in it before setting about
storing it, so that nobody gives it up meanwhile. No transaction is open while the log is called.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from exchange.batch import Change, Sorted, encode, request_digest, sort_batch
from exchange.broker.driver import Broker, BrokerConflict, BrokerPermanent, NewRecord, Span
from exchange.errors import BatchInProgress, BatchRefused, BatchTooLarge, KeyReused, NotProvider
from exchange.models import Batch, Dataset, DatasetVersion, QuarantinedRecord
from exchange.queries import find_batch, find_claim, get_batch, get_dataset, list_claims
from exchange.schema import RecordRules, read_item
from exchange.service.catalogue import check_not_ended, make_topic
from exchange.version_queries import get_version
from identity.models import System
from infra.database import reading, transaction
from infra.errors import NotFound

MAX_BATCH_RECORDS = 200_000
CLAIM_PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True)
class Receipt:
    """What became of a batch. `spans` are offsets by partition, None until it is `settled`."""

    id: int
    dataset_id: int
    publisher_id: int
    key: str
    state: str
    update_mode: str
    version: int
    received: int
    upserts: int
    deletes: int
    quarantined: int
    digest: str
    digests: dict[int, str]
    spans: dict[int, Span] | None
    claimed_at: datetime
    settled_at: datetime | None

    def is_older(self, at: datetime) -> bool:
        """Whether an earlier request than the one that came `at` settled the batch, or none has."""
        return self.settled_at is None or self.settled_at < at


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
) -> Receipt:
    """Store a batch of the provider's system `publisher_id` once, however often its idempotency `key` comes.

    It is claimed `at`, and settled when `now` says so, once it is in the log: later than all that it took.
    `version` is the one whose items the changes were read under, if they were: `version_for` says which to
    take. What was stored gets its receipt whatever became of the dataset and its provider since.

    Bad records go to quarantine. A full batch whose records are all bad replaces nothing. Raises
    BatchTooLarge, BatchRefused, DatasetEnded, NotProvider, KeyReused, BatchInProgress, NotFound and the
    broker's failures; after one that is retryable, send the same again. What the log refuses for good is
    BatchRefused: nothing of it is left, and the key may be used for something else, unless it was tried
    before and somebody may still be at it.
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
    items = [read_item(document) for document in schema.items]
    rules, full = RecordRules(items, dataset.key_items), dataset.update_mode == "full"
    batch = sort_batch(changes, encoded, rules=rules, partitions=dataset.partitions, full=full)
    marker = None
    if claim is None:
        marker = broker.new_marker(dataset.topic)
        claim = _claim(
            engine,
            dataset,
            batch,
            version=version,
            publisher_id=publisher_id,
            key=key,
            marker=marker,
            digest=digest,
            at=at,
        )
        if receipt := _known(claim, digest, dataset):
            return receipt
        if claim.version != version:  # claimed by another process, just after the items changed
            raise BatchInProgress(key=key, dataset=dataset.code)
    if claim.digest != batch.digest:  # never is anything stored but what was claimed
        raise KeyReused(key=key, dataset=dataset.code, batch=claim.id)
    if claim.marker != marker:  # another process's
        _count_attempt(engine, claim, dataset)
    spans = _store(engine, broker, dataset, schema, claim, batch, at=at)
    receipt = _settle(engine, batch_id=claim.id, spans=spans, at=now())
    if receipt is None:  # given up by another process that the log refused
        raise BatchInProgress(key=key, dataset=dataset.code)
    return receipt


def version_for(session: Session, dataset: Dataset, *, publisher_id: int, key: str) -> int:
    """Under which version's items a batch with that key is read: its claim's, else the dataset's own.

    Raises BatchRefused.
    """
    claim = _find_claim(session, dataset, publisher_id=publisher_id, key=key)
    return claim.version if claim else dataset.version


def list_unsettled(session: Session, *, at: datetime) -> list[tuple[int, str, str]]:
    """(batch id, topic, marker) of the claims that nobody seems to be storing any more.

    One whose publisher never comes back stays, and looking for it costs the more the longer it lies: after
    an hour it is looked for once an hour, after a day once a day, not all of them in the same minute.
    """
    claims = list_claims(session, claimed_before=at - CLAIM_PATIENCE)
    minute = int(at.timestamp()) // 60
    return [
        (batch_id, topic, marker)
        for batch_id, topic, marker, claimed_at in claims
        if (batch_id + minute) % _looked_for_every(at - claimed_at) == 0
    ]


def _looked_for_every(age: timedelta) -> int:
    """Minutes between two looks."""
    return 1 if age < timedelta(hours=1) else 60 if age < timedelta(days=1) else 24 * 60


def settle_claim(
    engine: Engine, broker: Broker, *, batch_id: int, topic: str, marker: str, at: datetime
) -> None:
    """Settle a batch if it reached the log although its publisher died. Raises the broker's failures.

    A claim that did not reach it stays: it was never acknowledged, and its publisher sends it again.
    """
    spans = _stored(broker, topic, marker)
    if spans is not None:
        _settle(engine, batch_id=batch_id, spans=spans, at=at)


def get_receipt(session: Session, *, batch_id: int) -> Receipt:
    """The receipt of a batch; NotFound."""
    return receipt_of(get_batch(session, batch_id=batch_id))


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


def _claim(
    engine: Engine,
    dataset: Dataset,
    batch: Sorted,
    *,
    version: int,
    publisher_id: int,
    key: str,
    marker: str,
    digest: str,
    at: datetime,
) -> Batch:
    """Transaction 1: all of the receipt but the offsets; or the claim that another process made meanwhile."""
    claim = Batch(
        dataset_id=dataset.id,
        publisher_id=publisher_id,
        key=key,
        marker=marker,
        request_digest=digest,
        update_mode=dataset.update_mode,
        version=version,
        state="claimed",
        received=len(batch.good) + len(batch.bad),
        upserts=batch.upserts,
        deletes=len(batch.good) - batch.upserts,
        quarantined=len(batch.bad),
        digest=batch.digest,
        digests={str(p): chained for p, chained in batch.digests.items()},
        claimed_at=at,
    )
    try:
        with transaction(engine) as session:
            try:
                session.add(claim)
                session.flush()
            except IntegrityError as error:  # another process claims the key
                raise BatchInProgress(key=key, dataset=dataset.code) from error
            session.add_all(
                QuarantinedRecord(
                    batch_id=claim.id,
                    place=bad.place,
                    is_delete=bad.delete,
                    reasons=[reason.document() for reason in bad.reasons],
                    raw=bad.raw,
                )
                for bad in batch.bad
            )
    except BatchInProgress:
        with reading(engine) as session:
            other = find_batch(session, dataset_id=dataset.id, publisher_id=publisher_id, key=key)
            session.expunge_all()
        if other is None:  # the log refused it meanwhile, and the other process gave it up
            raise
        return other
    return claim


def _count_attempt(engine: Engine, claim: Batch, dataset: Dataset) -> None:
    """Before storing what another process claimed: it is not given up from now on."""
    with transaction(engine) as session:
        batch = find_claim(session, batch_id=claim.id)
        if batch is None:
            raise BatchInProgress(key=claim.key, dataset=dataset.code)
        batch.attempts += 1


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
        spans = _stored(broker, dataset.topic, claim.marker)
        if spans is not None:  # by an earlier attempt, or by another process
            return spans
        _give_up(engine, batch_id=claim.id)
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


def _stored(broker: Broker, topic: str, marker: str) -> dict[int, Span] | None:
    """Where the batch lies in the log, None if it does not; also of a topic that nobody has made yet."""
    return None if broker.partitions(topic) is None else broker.find_batch(topic, marker=marker)


def _give_up(engine: Engine, *, batch_id: int) -> None:
    """Instead of transaction 2: nothing is left of a claim that the log refused, and its key is free.

    Only if this was the one attempt at it: another one may yet end in the log, and is found by the claim.
    """
    with transaction(engine) as session:
        batch = find_claim(session, batch_id=batch_id)
        if batch and batch.state == "claimed" and batch.attempts == 1:
            session.execute(delete(QuarantinedRecord).where(QuarantinedRecord.batch_id == batch_id))
            session.delete(batch)


def _settle(engine: Engine, *, batch_id: int, spans: dict[int, Span], at: datetime) -> Receipt | None:
    """Transaction 2: the offsets; whoever comes second finds it done. None if the claim was given up."""
    with transaction(engine) as session:
        batch = find_claim(session, batch_id=batch_id)
        if batch is None:
            return None
        if batch.state == "claimed":
            batch.state, batch.settled_at = "settled", at
            batch.spans = {str(p): [span.first, span.last, span.count] for p, span in spans.items()}
        return receipt_of(batch)


def receipt_of(batch: Batch) -> Receipt:
    """The receipt of a batch as its row has it."""
    return Receipt(
        id=batch.id,
        dataset_id=batch.dataset_id,
        publisher_id=batch.publisher_id,
        key=batch.key,
        state=batch.state,
        update_mode=batch.update_mode,
        version=batch.version,
        received=batch.received,
        upserts=batch.upserts,
        deletes=batch.deletes,
        quarantined=batch.quarantined,
        digest=batch.digest,
        digests={int(p): digest for p, digest in batch.digests.items()},
        spans=None if batch.spans is None else {int(p): Span(*span) for p, span in batch.spans.items()},
        claimed_at=batch.claimed_at,
        settled_at=batch.settled_at,
    )
