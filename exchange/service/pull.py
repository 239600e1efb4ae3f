"""Pulling by cursor: read the log, mask what was released, record the delivery, then hand it out.

`complete` says of a full dataset that the reader has all of one generation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Engine

from exchange.broker.driver import Broker
from exchange.place import write_cursor
from exchange.service.entitled import entitled
from exchange.service.outcomes import PULL
from exchange.service.pages import generation_of, read_page, record_delivery
from exchange.service.positions import place_of
from exchange.service.shown import DeliveredRecord, view_of
from infra.database import reading, transaction

MAX_PAGE = 10_000


@dataclass(frozen=True)
class Page:
    """What one pull hands out. `cursor` goes on behind it; `complete`: nothing more was there, or, of a full
    dataset, this `generation` (its receipt's id) is whole. `delivery_id` is None if nothing was delivered."""

    records: tuple[DeliveredRecord, ...]
    cursor: str
    complete: bool
    generation: int | None
    digest: str
    digests: dict[int, str]
    delivery_id: int | None


def pull(
    engine: Engine,
    broker: Broker,
    *,
    subscription_id: int,
    system_id: int,
    actor: str,
    at: datetime,
    cursor: str | None = None,
    limit: int = 1_000,
    items: Sequence[str] | None = None,
) -> Page:
    """The next at most `limit` records for the subscribing system; without a `cursor` from where it stands.

    `items` narrows what was released. Fewer, or none, does not mean that no more are there: filters leave
    some out. The delivery is recorded before it is handed out. Raises NotFound, NotEntitled, CursorInvalid,
    PlaceBeyondLog, SubscriptionInvalid and the broker's failures.
    """
    with reading(engine) as session:
        subscription = entitled(session, subscription_id=subscription_id, system_id=system_id, at=at)
        view = view_of(session, subscription, items)
        place = place_of(session, subscription, cursor)
        batch = generation_of(session, subscription.dataset_id, place) if view.full else None
        session.expunge_all()
    read = read_page(broker, view, batch, place, limit=max(1, min(limit, MAX_PAGE)))
    with transaction(engine) as session:
        subscription = entitled(session, subscription_id=subscription_id, system_id=system_id, at=at)
        delivery_id = record_delivery(session, read, view, subscription, actor=actor, at=at, way=PULL)
    after = replace(read.after, delivery=delivery_id or place.delivery, rewinds=place.rewinds)
    return Page(
        records=read.records,
        cursor=write_cursor(after, key=view.lens.key, subscription_id=subscription_id),
        complete=read.complete,
        generation=after.generation,
        digest=read.digest,
        digests=dict(read.digests),
        delivery_id=delivery_id,
    )
