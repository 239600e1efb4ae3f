"""Looking at the raw values of quarantined records: for the provider's people, each look journalled."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from exchange.models import QuarantinedRecord
from exchange.queries import get_batch, get_dataset, list_quarantined
from infra.journal import append


def look_at_quarantine(
    session: Session, *, batch_id: int, actor: str, at: datetime, after: int = 0, limit: int = 50
) -> Sequence[QuarantinedRecord]:
    """A page of a batch's bad records with their raw values, by place; the look is journalled as personal.

    Whether `actor` may look is decided before. Raises NotFound.
    """
    batch = get_batch(session, batch_id=batch_id)
    dataset = get_dataset(session, dataset_id=batch.dataset_id)
    found = list_quarantined(session, batch_id=batch_id, after=after, limit=limit)
    append(
        session,
        actor=actor,
        act="quarantine.looked_at",
        subject=f"batch:{batch_id}",
        bureau_id=dataset.bureau_id,
        at=at,
        after={"dataset": dataset.code, "places": [record.place for record in found]},
        personal=True,
    )
    return found
