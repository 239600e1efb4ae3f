"""A provider's side of the exchange for the tests of publishing."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from exchange.batch import Change
from exchange.broker.driver import Broker
from exchange.models import Dataset
from exchange.service.publish import publish_batch
from exchange.service.receipts import Receipt
from infra.database import reading, transaction
from tests.brokers import everything, open_log
from tests.factories import Exchange, make_dataset, make_exchange


class Provider:
    """Datasets of one bureau and a log of the test's own, with short words for publishing to them."""

    def __init__(self, engine: Engine, log: Broker, place: Exchange, at: datetime) -> None:
        self.engine, self.place, self.at = engine, place, at
        self.log: Any = log  # tests let the embedded one fail, which is no part of the Protocol

    def catalogue(self, **changes: Any) -> int:
        """One dataset more; its id."""
        with transaction(self.engine) as session:
            known = session.scalar(select(func.count()).select_from(Dataset))
            return make_dataset(session, self.place, at=self.at, **({"code": f"people-{known}"} | changes)).id

    def publish(
        self, dataset_id: int, changes: Sequence[Change], *, log: Broker | None = None, **other: Any
    ) -> Receipt:
        """Publish under the key `k`, now and by the provider's system, unless `other` says otherwise."""
        act: dict[str, Any] = {"publisher_id": self.place.publisher_id, "key": "k", "at": self.at} | other
        act = {"now": lambda: act["at"]} | act
        return publish_batch(self.engine, log or self.log, dataset_id=dataset_id, changes=changes, **act)

    def stored(self, dataset_id: int) -> list[tuple[int, int, Any]]:
        """What lies in the dataset's log: (partition, offset, value or None)."""
        with reading(self.engine) as session:
            dataset = session.get_one(Dataset, dataset_id)
            topic, partitions = dataset.topic, dataset.partitions
        found = [everything(self.log, topic, p) for p in range(partitions)]
        return [(r.partition, r.offset, r.value and json.loads(r.value)) for part in found for r in part]


@contextmanager
def open_provider(
    engine: Engine, folder: Path, at: datetime, *, kind: str = "embedded"
) -> Iterator[Provider]:
    """A provider whose log lies in the folder, or is the lab's Kafka."""
    log = open_log(kind, folder)
    with transaction(engine) as session:
        place = make_exchange(session, at=at)
    yield Provider(engine, log, place, at)
    log.close()


def people(count: int) -> list[Change]:
    """As many upserts of the usual items."""
    return [Change({"id": f"{n}", "name": f"𠮷{n}"}) for n in range(count)]
