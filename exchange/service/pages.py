"""What a way of delivery does with a page of records: read it from the log, look at it, note the delivery.

An incremental dataset is read from its beginning on. A full one is read by generations: a reader finishes the
one it began and goes on with the newest, so that it never mixes two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from exchange.broker.driver import Broker, BrokerRetryable, LogRecord
from exchange.digest import chain_by_partition, combine
from exchange.errors import PlaceBeyondLog
from exchange.models import Batch, Delivery, Subscription
from exchange.place import Place
from exchange.queries import find_generation, get_batch
from exchange.service.outcomes import DONE, FILE, PULL
from exchange.service.shown import DeliveredRecord, View
from infra.journal import append


@dataclass(frozen=True)
class Read:
    """What a page shows of what was read, the place behind it, and whether it reaches the end.

    `digests` are by partition, `digest` is over them.
    """

    records: tuple[DeliveredRecord, ...]
    after: Place
    complete: bool
    digests: Mapping[int, str]
    digest: str


def read_page(broker: Broker, view: View, batch: Batch | None, place: Place, *, limit: int) -> Read:
    """The next at most `limit` records behind `place`; of a full dataset those of `batch`, its generation.

    Raises PlaceBeyondLog and the broker's failures.
    """
    found: list[LogRecord] = []
    after, complete = place, True
    if broker.partitions(view.topic) is not None:
        if batch is not None:
            found, after, complete = _read_generation(broker, view, batch, place, limit)
        elif not view.full:
            found, after, complete = _read_on(broker, view, place, limit)
    return _looked_at(view, found, after, complete)


def read_again(broker: Broker, view: View, batch: Batch | None, place: Place, *, until: Place) -> Read:
    """The page that was read from `place` and led to `until`, as the view shows it now.

    Raises the broker's failures, BrokerRetryable too if the log gives only a part of it.
    """
    if batch is not None:
        spans = [(partition, start) for partition, start, _last in unread(batch, place)]
    else:
        turns = ((place.turn + step) % view.partitions for step in range(view.partitions))
        spans = [(partition, place.positions.get(partition, 0)) for partition in turns]
    found: list[LogRecord] = []
    for partition, start in spans:
        position, end = start, until.positions.get(partition, 0)
        while position < end:
            part = broker.read(view.topic, partition=partition, offset=position, limit=end - position)
            if part.next_offset <= position:
                raise BrokerRetryable(
                    operation="read", topic=view.topic, why_zh="只读到一部分", why_en="it gave only a part"
                )
            found += [record for record in part.records if record.offset < end and _is_of(batch, record)]
            position = part.next_offset
    complete = batch is not None and not unread(batch, until)
    return _looked_at(view, found, until, complete)


def _is_of(batch: Batch | None, record: LogRecord) -> bool:
    return batch is None or record.headers.get("batch") == batch.marker


def _looked_at(view: View, found: Sequence[LogRecord], after: Place, complete: bool) -> Read:
    records = tuple(shown for record in found if (shown := view.lens.show(record)) is not None)
    digests = chain_by_partition((r.partition, bytes.fromhex(r.digest)) for r in records)
    return Read(records, after, complete, digests, combine(digests))


def record_delivery(
    session: Session,
    read: Read,
    view: View,
    subscription: Subscription,
    *,
    actor: str,
    at: datetime,
    way: str,
) -> int | None:
    """Note what is handed out, before it is; its delivery's id, None if nothing is."""
    if not read.records:
        return None
    ranges: dict[str, list[int]] = {}
    for record in read.records:
        span = ranges.setdefault(str(record.partition), [record.offset, record.offset])
        span[1] = record.offset
    delivery = Delivery(
        way=way,
        generation=read.after.generation,
        ranges=ranges,
        count=len(read.records),
        digest=read.digest,
        digests={str(p): digest for p, digest in read.digests.items()},
    )
    return _record(session, delivery, view, subscription, actor=actor, at=at)


def record_whole(
    session: Session,
    view: View,
    subscription: Subscription,
    *,
    after: Place,
    spans: Mapping[str, Any],
    count: int,
    digests: Mapping[int, str],
    actor: str,
    at: datetime,
) -> int:
    """Note that a file of the latest record of each key before `after`, a generation's within its `spans`, is
    handed out; its delivery's id. Count and digests are of what is in the file.
    """
    read = {str(p): [0, end - 1] for p, end in sorted(after.positions.items()) if end}
    whole = {p: [first, last] for p, (first, last, _count) in spans.items()}
    delivery = Delivery(
        way=FILE,
        generation=after.generation,
        ranges=read if after.generation is None else whole,
        count=count,
        digest=combine(digests),
        digests={str(p): digest for p, digest in digests.items()},
    )
    return _record(session, delivery, view, subscription, actor=actor, at=at)


def _record(
    session: Session, delivery: Delivery, view: View, subscription: Subscription, *, actor: str, at: datetime
) -> int:
    delivery.subscription_id, delivery.system_id = subscription.id, subscription.system_id
    delivery.at = at
    delivery.outcome = DONE if delivery.way == PULL else None
    delivery.items = list(view.lens.items)
    delivery.masks = {name: mask.document() for name, mask in view.lens.masks.items()}
    delivery.filters = [one.document() for one in view.lens.filters]
    session.add(delivery)
    session.flush()
    if view.personal:
        append(
            session,
            actor=actor,
            act="dataset.delivered",
            subject=f"subscription:{subscription.id}",
            bureau_id=view.bureau_id,
            at=at,
            after={
                "delivery": delivery.id,
                "count": delivery.count,
                "items": delivery.items,
                "digest": delivery.digest,
            },
            personal=True,
        )
    return delivery.id


def generation_of(session: Session, dataset_id: int, place: Place) -> Batch | None:
    """The full batch to read: the one begun unless it is finished, then the newest."""
    if place.generation is not None:
        begun = get_batch(session, batch_id=place.generation)
        if unread(begun, place):
            return begun
    return find_generation(session, dataset_id=dataset_id)


def ends_generation(read: Read, batch: Batch | None, before: Place) -> bool:
    """Whether the page that began at `before` is the one with which its reader has all of the generation."""
    if batch is None or not read.complete:
        return False
    return before.generation != batch.id or bool(unread(batch, before))


def unread(batch: Batch, place: Place) -> list[tuple[int, int, int]]:
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
    for partition, start, last in unread(batch, place):
        position = start
        while position <= last and len(found) < limit:
            part = broker.read(view.topic, partition=partition, offset=position, limit=limit - len(found))
            if part.next_offset <= position:
                break  # nothing was given, yet more may be there: it is asked for again
            found += [r for r in part.records if r.offset <= last and _is_of(batch, r)]
            position = part.next_offset
        positions[partition] = position
    after = Place(positions, generation=batch.id)
    return found, after, not unread(batch, after)
