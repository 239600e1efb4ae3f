"""A subscriber's desk for the tests of pulling."""

from datetime import timedelta
from typing import Any

from exchange.batch import Change
from exchange.service.pull import Page, pull
from exchange.service.receipts import Receipt
from exchange.service.shown import DeliveredRecord
from exchange.service.subscriptions import request_subscription
from infra.clock import city_date
from infra.database import transaction
from tests.service.provider import Provider


class Desk:
    """One dataset and one subscription to it, with short words for what the tests do again and again."""

    def __init__(self, provider: Provider) -> None:
        self.provider, self.engine, self.log = provider, provider.engine, provider.log
        self.place, self.at = provider.place, provider.at
        self.dataset_id = self.subscription_id = self.keys = 0

    def catalogue(self, **changes: Any) -> None:
        self.dataset_id = self.provider.catalogue(**changes)

    def subscribe(self, *items: str, system_id: int | None = None, **changes: Any) -> int:
        until_on = city_date(self.at) + timedelta(days=300)
        wish: dict[str, Any] = {"purpose": "核验", "basis": "依据", "until_on": until_on} | changes
        with transaction(self.engine) as session:
            self.subscription_id = request_subscription(
                session,
                dataset_id=self.dataset_id,
                system_id=system_id or self.place.subscriber_id,
                person_id=self.place.hall.applicant,
                items=items,
                at=self.at,
                **wish,
            ).id
        return self.subscription_id

    def publish(self, *changes: Change) -> Receipt:
        self.keys += 1
        return self.provider.publish(self.dataset_id, changes, key=f"key-{self.keys}", at=self.at)

    def pull(self, cursor: str | None = None, **changes: Any) -> Page:
        act: dict[str, Any] = {
            "subscription_id": self.subscription_id,
            "system_id": self.place.subscriber_id,
            "actor": "token:1",
            "at": self.at,
            "cursor": cursor,
        }
        return pull(self.engine, self.log, **(act | changes))

    def pull_all(self, cursor: str | None = None, **changes: Any) -> list[DeliveredRecord]:
        found: list[DeliveredRecord] = []
        page = self.pull(cursor, **changes)
        while page.records:
            found += page.records
            page = self.pull(page.cursor, **changes)
        assert page.complete
        return found


def upserts(*ids: str, name: str = "n") -> list[Change]:
    return [Change({"id": i, "name": name}) for i in ids]
