"""Receipts: what became of a batch, as its row has it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from exchange.broker.driver import Span
from exchange.models import Batch
from exchange.queries import get_batch


@dataclass(frozen=True)
class Receipt:
    """What became of a batch. `spans` are offsets by partition, None until it is `settled`.

    `corrects_id` is the receipt whose quarantined records it brings, corrected; `duplicates` were known by
    their ids and not stored again.
    """

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
    duplicates: int
    corrects_id: int | None
    digest: str
    digests: dict[int, str]
    spans: dict[int, Span] | None
    claimed_at: datetime
    settled_at: datetime | None

    def is_older(self, at: datetime) -> bool:
        """Whether an earlier request than the one that came `at` settled the batch, or none has."""
        return self.settled_at is None or self.settled_at < at


def get_receipt(session: Session, *, batch_id: int) -> Receipt:
    """The receipt of a batch; NotFound."""
    return receipt_of(get_batch(session, batch_id=batch_id))


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
        duplicates=batch.duplicates,
        corrects_id=batch.corrects_id,
        digest=batch.digest,
        digests={int(p): digest for p, digest in batch.digests.items()},
        spans=None if batch.spans is None else {int(p): Span(*span) for p, span in batch.spans.items()},
        claimed_at=batch.claimed_at,
        settled_at=batch.settled_at,
    )
