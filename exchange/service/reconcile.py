"""Do receipts and deliveries of a period agree with what is in the log: counts and SM3 digests of both sides.

The ledger is what was acknowledged when it happened; beside it the same is counted anew from the log, through
the masks and filters of then. Both sides of a subscription can hold their own figures against the ledger's.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from exchange.broker.driver import Broker, LogRecord
from exchange.digest import chain, chain_by_partition, combine, read_canonical, record_digest, sm3
from exchange.models import Batch, Dataset, Delivery, Subscription
from exchange.queries import get_dataset_by_code, handed_out
from exchange.service.latest import keeping_latest
from exchange.service.outcomes import FILE
from exchange.service.ranges import read_range
from exchange.service.shown import Lens, lens_then
from infra.database import reading


@dataclass(frozen=True)
class Tally:
    """How many batches or deliveries with how many records; `digest` is over theirs in order, SM3 in hex."""

    acts: int
    records: int
    digest: str


@dataclass(frozen=True)
class Account:
    """One side of the exchange in the period. `wrong` are the receipts or deliveries that do not agree."""

    side: Literal["published", "delivered"]
    dataset: str
    subscription_id: int | None
    ledger: Tally
    log: Tally
    wrong: tuple[int, ...]

    @property
    def agrees(self) -> bool:
        """Whether ledger and log say the same."""
        return self.ledger == self.log


@dataclass(frozen=True)
class _Act:
    """A batch or a delivery: what its row says, where its records lie (of one `marker` alone, if it has one),
    and the digest that a record had in it, None if it was not; `file_of` is what a file was seen through.
    """

    id: int
    count: int
    digest: str
    ranges: Mapping[int, tuple[int, int]]
    marker: str | None
    digest_of: Callable[[LogRecord], bytes | None]
    file_of: Lens | None = None


def reconcile(
    engine: Engine, broker: Broker, *, start: datetime, end: datetime, dataset: str | None = None
) -> Iterator[Account]:
    """Each dataset's receipts settled in [start, end), then what was delivered of it then, by subscription.

    Where nothing happened there is no account. No transaction is open while the log is read. Raises NotFound
    and the broker's failures.
    """
    with reading(engine) as session:
        query = select(Dataset).order_by(Dataset.id)
        found = [get_dataset_by_code(session, code=dataset)] if dataset else session.scalars(query).all()
        session.expunge_all()
    for one in found:
        with reading(engine) as session:
            batches = _batches(session, one, start, end)
            under = _deliveries(session, one, start, end)
        if batches:
            yield _account(broker, one, None, batches)
        for subscription_id, deliveries in under.items():
            yield _account(broker, one, subscription_id, deliveries)


def _account(broker: Broker, dataset: Dataset, subscription_id: int | None, acts: Sequence[_Act]) -> Account:
    counted = [_count(broker, dataset.topic, act) for act in acts]
    return Account(
        side="published" if subscription_id is None else "delivered",
        dataset=dataset.code,
        subscription_id=subscription_id,
        ledger=_tally([(act.count, act.digest) for act in acts]),
        log=_tally(counted),
        wrong=tuple(act.id for act, one in zip(acts, counted, strict=True) if one != (act.count, act.digest)),
    )


def _tally(acts: Sequence[tuple[int, str]]) -> Tally:
    digest = chain(bytes.fromhex(each) for _, each in acts)
    return Tally(len(acts), sum(count for count, _ in acts), digest)


def _count(broker: Broker, topic: str, act: _Act) -> tuple[int, str]:
    """How many records of the act are in the log, and their digest."""
    if act.file_of is not None:
        return _count_latest(broker, topic, act, act.file_of)
    count, digests = 0, {}
    for partition, (first, last) in sorted(act.ranges.items()):
        seen = map(
            act.digest_of, read_range(broker, topic, partition, first, last, marker=act.marker, may_end=True)
        )
        found = [digest for digest in seen if digest is not None]
        count += len(found)
        if found:
            digests[partition] = chain(found)
    return count, combine(digests)


def _count_latest(broker: Broker, topic: str, act: _Act, lens: Lens) -> tuple[int, str]:
    """The same of a file, which has the latest record of each key."""
    with keeping_latest() as latest:
        for partition, (first, last) in sorted(act.ranges.items()):
            for record in read_range(broker, topic, partition, first, last, marker=act.marker, may_end=True):
                latest.take(lens.show(record))
        return len(latest), combine(chain_by_partition(latest.digests()))


def _batches(session: Session, dataset: Dataset, start: datetime, end: datetime) -> list[_Act]:
    query = select(Batch).where(
        Batch.dataset_id == dataset.id, Batch.settled_at >= start, Batch.settled_at < end
    )
    return [
        _Act(one.id, one.upserts + one.deletes, one.digest, _ranges(one.spans), one.marker, _as_published)
        for one in session.scalars(query.order_by(Batch.id))
    ]


def _deliveries(session: Session, dataset: Dataset, start: datetime, end: datetime) -> dict[int, list[_Act]]:
    query = (
        select(Delivery, Subscription, Batch.marker)
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .outerjoin(Batch, Batch.id == Delivery.generation)
        .where(Subscription.dataset_id == dataset.id, Delivery.at >= start, Delivery.at < end)
        .where(handed_out())
    )
    found: dict[int, list[_Act]] = defaultdict(list)
    for delivery, subscription, marker in session.execute(query.order_by(Delivery.id)):
        lens = lens_then(subscription, delivery)
        found[subscription.id].append(
            _Act(
                delivery.id,
                delivery.count,
                delivery.digest,
                _ranges(delivery.ranges),
                marker,
                partial(_as_seen, lens),
                lens if delivery.way == FILE else None,
            )
        )
    return dict(sorted(found.items()))


def _ranges(document: Mapping[str, Any] | None) -> dict[int, tuple[int, int]]:
    return {int(partition): (span[0], span[1]) for partition, span in (document or {}).items()}


def _as_published(record: LogRecord) -> bytes:
    if record.value is None:
        return record_digest(read_canonical(record.key), delete=True)
    return sm3(record.value)


def _as_seen(lens: Lens, record: LogRecord) -> bytes | None:
    seen = lens.show(record)
    return None if seen is None else bytes.fromhex(seen.digest)
