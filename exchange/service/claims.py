"""Claims of batches that are not settled yet: settled, given up, or ended by whoever needs to know."""

from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, update
from sqlalchemy.orm import Session

from exchange.broker.driver import Broker, Span
from exchange.errors import BatchInProgress
from exchange.models import Batch, Dataset, QuarantinedRecord
from exchange.queries import find_claim, get_dataset, list_claims
from exchange.service.catalogue import make_topic
from exchange.service.receipts import Receipt, receipt_of
from exchange.service.record_ids import free_ids
from exchange.service.relays import nudge_relays
from exchange.service.webhooks import nudge_webhooks
from infra.database import reading, transaction

CLAIM_PATIENCE = timedelta(seconds=60)


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
    spans = stored(broker, topic, marker)
    if spans is not None:
        settle(engine, batch_id=batch_id, spans=spans, at=at)


def end_claim(engine: Engine, broker: Broker, *, batch_id: int, at: datetime) -> Receipt | None:
    """Know for good what became of a claim: its receipt if it is in the log, else None, and it is no more.

    Nothing is appended under its marker, which shuts out whoever is still at it: that one finds a batch of no
    records and begins anew. May be repeated. Raises NotFound for the dataset and the broker's failures.
    """
    with reading(engine) as session:
        claim = session.get(Batch, batch_id)
        if claim is None:
            return None
        if claim.state == "settled":
            return receipt_of(claim)
        dataset = get_dataset(session, dataset_id=claim.dataset_id)
        topic, marker, dataset_id = dataset.topic, claim.marker, dataset.id
    make_topic(engine, broker, dataset_id=dataset_id, at=at)
    spans = broker.append(topic, marker=marker, records=[])
    return settle(engine, batch_id=batch_id, spans=spans, at=at)


def count_attempt(engine: Engine, claim: Batch, dataset: Dataset) -> None:
    """Before storing what another process claimed: it is not given up from now on. Raises BatchInProgress."""
    with transaction(engine) as session:
        batch = find_claim(session, batch_id=claim.id)
        if batch is None:
            raise BatchInProgress(key=claim.key, dataset=dataset.code)
        batch.attempts += 1


def settle(engine: Engine, *, batch_id: int, spans: dict[int, Span], at: datetime) -> Receipt | None:
    """Transaction 2: the offsets; whoever comes second finds it done. None if the claim was given up.

    Where fewer records lie in the log than were claimed, somebody ended the claim: it goes.
    """
    with transaction(engine) as session:
        batch = find_claim(session, batch_id=batch_id)
        if batch is None:
            return None
        if batch.state == "claimed":
            if sum(span.count for span in spans.values()) != batch.upserts + batch.deletes:
                _drop(session, batch)
                return None
            batch.state, batch.settled_at = "settled", at
            batch.spans = {str(p): [span.first, span.last, span.count] for p, span in spans.items()}
            nudge_webhooks(session, dataset_id=batch.dataset_id, at=at)
            nudge_relays(session, dataset_id=batch.dataset_id, at=at)
        return receipt_of(batch)


def give_up(engine: Engine, *, batch_id: int) -> None:
    """Instead of transaction 2: nothing is left of a claim that the log refused, and its key is free.

    Only if this was the one attempt at it: another one may yet end in the log, and is found by the claim.
    """
    with transaction(engine) as session:
        batch = find_claim(session, batch_id=batch_id)
        if batch and batch.state == "claimed" and batch.attempts == 1:
            _drop(session, batch)


def stored(broker: Broker, topic: str, marker: str) -> dict[int, Span] | None:
    """Where the batch lies in the log, None if it does not; also of a topic that nobody has made yet."""
    return None if broker.partitions(topic) is None else broker.find_batch(topic, marker=marker)


def _drop(session: Session, batch: Batch) -> None:
    """The claim and all that hangs on it; the quarantined records that it was to bring wait again."""
    session.execute(delete(QuarantinedRecord).where(QuarantinedRecord.batch_id == batch.id))
    waits_again = {"state": "waiting", "redriven_into": None, "corrected": "", "reason": ""}
    session.execute(
        update(QuarantinedRecord)
        .where(QuarantinedRecord.redriven_into == batch.id)
        .values(**waits_again, settled_by="", settled_at=None)
    )
    free_ids(session, batch_id=batch.id)
    session.delete(batch)
