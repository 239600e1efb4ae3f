"""Pulling by cursor: read the log, mask what was released, record the delivery, then hand it out.

An incremental dataset is read from its beginning on. A full one is read by generations: a reader finishes the
one it began and goes on with the newest, so that it never mixes two; `complete` says that it has all of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from exchange.broker.driver import Broker, LogRecord
from exchange.digest import chain_by_partition, combine
from exchange.errors import PlaceBeyondLog
from exchange.models import Batch, Delivery
from exchange.place import Place, write_cursor
from exchange.queries import find_generation, get_batch
from exchange.service.entitled import entitled
from exchange.service.positions import place_of
from exchange.service.shown import DeliveredRecord, View, view_of
from infra.database import reading, transaction
from infra.journal import append

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
    way: str = "pull",
) -> Page:
    """The next at most `limit` records for the subscribing system; without a `cursor` from where it stands.

    `items` narrows what was released. The delivery is recorded before it is handed out. Raises NotFound,
    NotEntitled, CursorInvalid, PlaceBeyondLog, SubscriptionInvalid and the broker's failures.
    """
    with reading(engine) as session:
        subscription = entitled(session, subscription_id=subscription_id, system_id=system_id, at=at)
        view = view_of(session, subscription, items)
        place = place_of(session, subscription, cursor)
        batch = _generation(session, subscription.dataset_id, place) if view.full else None
        session.expunge_all()
    limit = max(1, min(limit, MAX_PAGE))
    found: list[LogRecord] = []
    after, complete = place, True
    if broker.partitions(view.topic) is not None:
        if batch is not None:
            found, after, complete = _read_generation(broker, view, batch, place, limit)
        elif not view.full:
            found, after, complete = _read_on(broker, view, place, limit)
    records = tuple(view.lens.show(record) for record in found)
    digests = chain_by_partition((r.partition, bytes.fromhex(r.digest)) for r in records)
    page = Page(
        records=records,
        cursor="",
        complete=complete,
        generation=after.generation,
        digest=combine(digests),
        digests=digests,
        delivery_id=None,
    )
    with transaction(engine) as session:
        entitled(session, subscription_id=subscription_id, system_id=system_id, at=at)
        delivery_id = _record(session, page, view, subscription_id, system_id, actor=actor, at=at, way=way)
    after = replace(after, delivery=delivery_id or place.delivery, rewinds=place.rewinds)
    told = write_cursor(after, key=view.lens.key, subscription_id=subscription_id)
    return replace(page, cursor=told, delivery_id=delivery_id)


def _generation(session: Session, dataset_id: int, place: Place) -> Batch | None:
    """The full batch to read: the one begun unless it is finished, then the newest."""
    if place.generation is not None:
        begun = get_batch(session, batch_id=place.generation)
        if _unread(begun, place):
            return begun
    return find_generation(session, dataset_id=dataset_id)


def _unread(batch: Batch, place: Place) -> list[tuple[int, int, int]]:
    """(partition, next offset, last offset) of what is left of a generation."""
    own = place.positions if place.generation == batch.id else {}
    spans = {int(p): span for p, span in (batch.spans or {}).items()}
    left = [(p, max(first, own.get(p, 0)), last) for p, (first, last, _count) in sorted(spans.items())]
    return [(p, position, last) for p, position, last in left if position <= last]


def _read_on(broker: Broker, view: View, place: Place, limit: int) -> tuple[list[LogRecord], Place, bool]:
    found: list[LogRecord] = []
    positions, turn = dict(place.positions), place.turn
    for step in range(view.partitions):
        partition = (place.turn + step) % view.partitions
        part = broker.read(
            view.topic, partition=partition, offset=positions.get(partition, 0), limit=limit - len(found)
        )
        found += part.records
        positions[partition] = part.next_offset
        if len(found) >= limit:
            turn = (partition + 1) % view.partitions
            break
    ends = broker.end_offsets(view.topic)
    for partition, position in positions.items():
        if position > ends.get(partition, 0):
            raise PlaceBeyondLog(
                dataset=view.dataset, partition=partition, offset=position, end=ends.get(partition, 0)
            )
    complete = all(positions.get(partition, 0) >= end for partition, end in ends.items())
    return found, Place(positions, turn), complete


def _read_generation(
    broker: Broker, view: View, batch: Batch, place: Place, limit: int
) -> tuple[list[LogRecord], Place, bool]:
    found: list[LogRecord] = []
    positions = dict(place.positions) if place.generation == batch.id else {}
    for partition, start, last in _unread(batch, place):
        position = start
        while position <= last and len(found) < limit:
            part = broker.read(view.topic, partition=partition, offset=position, limit=limit - len(found))
            if part.next_offset <= position:
                break  # nothing was given, yet more may be there: it is asked for again
            own = [r for r in part.records if r.offset <= last and r.headers.get("batch") == batch.marker]
            found += own
            position = part.next_offset
        positions[partition] = position
    after = Place(positions, generation=batch.id)
    return found, after, not _unread(batch, after)


def _record(
    session: Session,
    page: Page,
    view: View,
    subscription_id: int,
    system_id: int,
    *,
    actor: str,
    at: datetime,
    way: str,
) -> int | None:
    if not page.records:
        return None
    ranges: dict[str, list[int]] = {}
    for record in page.records:
        span = ranges.setdefault(str(record.partition), [record.offset, record.offset])
        span[1] = record.offset
    delivery = Delivery(
        subscription_id=subscription_id,
        system_id=system_id,
        at=at,
        way=way,
        items=list(view.lens.items),
        masks={name: mask.document() for name, mask in view.lens.masks.items()},
        generation=page.generation,
        ranges=ranges,
        count=len(page.records),
        digest=page.digest,
        digests={str(p): digest for p, digest in page.digests.items()},
    )
    session.add(delivery)
    session.flush()
    if view.personal:
        append(
            session,
            actor=actor,
            act="dataset.delivered",
            subject=f"subscription:{subscription_id}",
            bureau_id=view.bureau_id,
            at=at,
            after={
                "delivery": delivery.id,
                "count": delivery.count,
                "items": delivery.items,
                "digest": page.digest,
            },
            personal=True,
        )
    return delivery.id
