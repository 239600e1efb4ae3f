"""A desk whose subscription has a topic of its own, for the tests of relaying and of its readers' rights."""

import json
from typing import Any

from sqlalchemy import select

from exchange.broker.driver import LogRecord, NewRecord
from exchange.models import Dataset, Delivery
from exchange.queries import get_subscription, list_deliveries
from exchange.service.relaying import Relayer
from exchange.service.relays import open_topic
from infra.database import reading, transaction
from tests.brokers import everything
from tests.service.desk import Desk


class Counter(Desk):
    """One dataset, and one subscription with a topic."""

    prefix = "siji"

    def open(self) -> str:
        with transaction(self.engine) as session:
            self.name = open_topic(
                session,
                subscription_id=self.subscription_id,
                prefix=self.prefix,
                actor="person:1",
                at=self.at,
            ).name
        return self.name

    def relayer(self, **changes: Any) -> Relayer:
        return Relayer(**({"engine": self.engine, "broker": self.log, "now": lambda: self.at} | changes))

    def relay(self, **changes: Any) -> int:
        return self.relayer(**changes).relay(self.subscription_id)

    def topic(self) -> list[LogRecord]:
        return [r for p in range(self.log.partitions(self.name)) for r in everything(self.log, self.name, p)]

    def ids(self) -> list[str]:
        return [json.loads(r.value)["id"] for r in self.topic() if r.value and r.headers["op"] == "upsert"]

    def entitle(self, act: Any, **changes: Any) -> None:
        with transaction(self.engine) as session:
            seen = get_subscription(session, subscription_id=self.subscription_id).revision
            act(
                session,
                subscription_id=self.subscription_id,
                revision_seen=seen,
                actor="person:1",
                at=self.at,
                **changes,
            )

    def deliveries(self) -> list[Delivery]:
        with reading(self.engine) as session:
            found = list_deliveries(session, subscription_id=self.subscription_id, limit=100_000)
            session.expunge_all()
            return found

    def all_deliveries(self) -> list[Delivery]:
        with reading(self.engine) as session:
            found = list(session.scalars(select(Delivery).order_by(Delivery.id)))
            session.expunge_all()
            return found

    def state(self) -> str:
        with reading(self.engine) as session:
            return get_subscription(session, subscription_id=self.subscription_id).state

    def dataset_topic(self) -> str:
        with reading(self.engine) as session:
            return session.get_one(Dataset, self.dataset_id).topic

    def some(self, count: int, first: int) -> list[NewRecord]:
        """Records as they may lie in the topic."""
        numbers = range(first, first + count)
        return [NewRecord(n % 2, f"{n}".encode(), b"{}", {"op": "upsert"}) for n in numbers]
