"""Whether keys were published since a batch, as the log has it."""

from collections.abc import Collection, Mapping

from sqlalchemy import Engine, select

from exchange.broker.driver import Broker
from exchange.models import Batch, Dataset
from exchange.queries import list_ends
from exchange.service.positions import MARGIN
from exchange.service.ranges import read_range
from infra.database import reading


def find_newer(
    engine: Engine, broker: Broker, batch: Batch, dataset: Dataset, keys: Mapping[int, Collection[bytes]]
) -> dict[bytes, int]:
    """Of the keys, by partition, those with records in the batch or behind it, each with its newest receipt.

    Raises the broker's failures.
    """
    with reading(engine) as session:
        before = list_ends(session, dataset_id=dataset.id, settled_by=batch.claimed_at - MARGIN)
    own = {int(partition): first for partition, (first, _, _) in (batch.spans or {}).items()}
    ends = broker.end_offsets(dataset.topic) if broker.partitions(dataset.topic) is not None else {}
    markers: dict[bytes, str] = {}
    for partition, wanted in keys.items():
        start = own.get(partition, before.get(partition, 0))
        for record in read_range(broker, dataset.topic, partition, start, ends.get(partition, 0) - 1):
            if record.key in wanted:
                markers[record.key] = record.headers.get("batch", "")
    with reading(engine) as session:
        query = select(Batch.marker, Batch.id).where(
            Batch.dataset_id == dataset.id, Batch.marker.in_(set(markers.values()))
        )
        receipts = {marker: number for marker, number in session.execute(query)}
    return {key: receipts.get(marker, 0) for key, marker in markers.items()}
