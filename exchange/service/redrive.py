"""Redriving: quarantined records, corrected, are published as a batch of their own.

What is still bad stays where it is. A record is redriven once: it is marked in the transaction that claims
the batch, so that of two at once one goes, and the same again gets its receipt. A claim that was left is
ended by the sweep, and its records wait again.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from exchange.batch import Bad, Change, Good, Sorted, encode, request_digest, sort_batch
from exchange.broker.driver import Broker
from exchange.errors import IdsInProgress, NewerRecords
from exchange.models import Batch, Dataset, QuarantinedRecord
from exchange.queries import get_batch, get_dataset
from exchange.schema import Item, RecordRules
from exchange.service.claims import CLAIM_PATIENCE
from exchange.service.generations import Base, base_of, check_base
from exchange.service.newer import find_newer
from exchange.service.publish import OnClaim, publish_batch
from exchange.service.quarantine import lock_records, note_act, settled
from exchange.service.receipts import Receipt, get_receipt
from exchange.version_queries import get_items
from infra.database import locked, reading, transaction

SHOWN = 10


@dataclass(frozen=True)
class Redriven:
    """What became of corrections: how many are stored, in which receipts, and which are still bad."""

    redriven: int
    receipts: tuple[Receipt, ...]
    still_bad: tuple[Bad, ...]


@dataclass(frozen=True)
class _Task:
    """The corrections by place, of which batch, with what stands at those places."""

    batch: Batch
    dataset: Dataset
    items: Sequence[Item]
    changes: Mapping[int, Change]
    digests: Mapping[int, str]
    records: Mapping[int, QuarantinedRecord]
    begun: Mapping[int, Batch]
    actor: str
    force: str


def redrive(
    engine: Engine,
    broker: Broker,
    *,
    batch_id: int,
    corrections: Sequence[Change],
    actor: str,
    at: datetime,
    now: Callable[[], datetime],
    force: str = "",
) -> Redriven:
    """Publish the corrections, each of the bad record at its `place`; whether `actor` may is decided before.

    Without an id a correction has that of its record. Sent again they are found redriven. `force` is why
    records that were published since are overwritten. Of a dataset that is replaced in full, its generation
    is published anew with them. Raises NotFound, CorrectionInvalid, CorrectionSettled, NewerRecords,
    NotRedrivable, and as `publish_batch`.
    """
    task = _task(engine, batch_id, corrections, actor=actor, force=force.strip())
    into = {one.redriven_into for one in task.records.values()}
    told = [number for number in into if number is not None and number not in task.begun]
    for claim in task.begun.values():
        told.append(_finish(engine, broker, task, claim, at=at, now=now))
    going = [task.changes[place] for place, one in task.records.items() if one.state == "waiting"]
    base = base_of(engine, broker, task.batch, task.dataset) if going and _is_full(task) else None
    found = _sort(task, base, going)
    good = [record for record in found.good if record.place in task.changes]
    if good:
        if base is None and not task.force:
            _check_newer(engine, broker, task, good)
        places = {record.place for record in good}
        sent = [change for change in going if change.place in places]
        key = f"redrive:{batch_id}:{request_digest(sent, encode(sent))}"
        marking = _marking(task, places, base, at=at)
        told.append(_publish(engine, broker, task, key, sent, base, at=at, now=now, on_claim=marking))
    with reading(engine) as session:
        receipts = tuple(get_receipt(session, batch_id=one) for one in sorted(set(told)))
    return Redriven(len(task.changes) - len(found.bad), receipts, found.bad)


def list_left(session: Session, *, at: datetime) -> list[int]:
    """The claims of corrected records that nobody seems to be storing any more."""
    query = select(Batch.id).where(
        Batch.state == "claimed", Batch.claimed_at <= at - CLAIM_PATIENCE, Batch.corrects_id.is_not(None)
    )
    return list(session.scalars(query.order_by(Batch.id)))


def _task(engine: Engine, batch_id: int, corrections: Sequence[Change], *, actor: str, force: str) -> _Task:
    """Raises NotFound, CorrectionInvalid, CorrectionSettled."""
    with transaction(engine) as session:
        batch = get_batch(session, batch_id=batch_id)
        dataset = get_dataset(session, dataset_id=batch.dataset_id)
        places = [change.place or 0 for change in corrections]
        records = {one.place: one for one in lock_records(session, batch_id=batch_id, places=places)}
        items = get_items(session, dataset_id=dataset.id, version=dataset.version)
        into = {one.redriven_into for one in records.values() if one.redriven_into}
        unsettled = select(Batch).where(Batch.id.in_(into), Batch.state == "claimed").order_by(Batch.id)
        begun = {one.id: one for one in session.scalars(unsettled)}
        session.expunge_all()
    by_place = {change.place or 0: change for change in corrections}
    changes = {
        place: replace(by_place[place], id=by_place[place].id or record.record_id)
        for place, record in records.items()
    }
    digests = {place: request_digest([one], encode([one])) for place, one in changes.items()}
    for place, record in records.items():
        if record.state == "discarded" or record.corrected not in ("", digests[place]):
            raise settled(record)
    return _Task(batch, dataset, items, changes, digests, records, begun, actor, force)


def _finish(
    engine: Engine,
    broker: Broker,
    task: _Task,
    claim: Batch,
    *,
    at: datetime,
    now: Callable[[], datetime],
) -> int:
    """Store what was claimed with the same corrections and not stored. Raises IdsInProgress."""
    with reading(engine) as session:
        query = select(QuarantinedRecord.place).where(QuarantinedRecord.redriven_into == claim.id)
        places = set(session.scalars(query))
    if not places <= task.changes.keys():
        raise IdsInProgress(dataset=task.dataset.code, batch=claim.id)
    base = base_of(engine, broker, task.batch, task.dataset, before=claim.id) if _is_full(task) else None
    sent = [change for place, change in task.changes.items() if place in places]
    return _publish(engine, broker, task, claim.key, sent, base, at=at, now=now)


def _publish(
    engine: Engine,
    broker: Broker,
    task: _Task,
    key: str,
    sent: Sequence[Change],
    base: Base | None,
    *,
    at: datetime,
    now: Callable[[], datetime],
    on_claim: OnClaim | None = None,
) -> int:
    return publish_batch(
        engine,
        broker,
        dataset_id=task.dataset.id,
        publisher_id=task.batch.publisher_id,
        key=key,
        changes=[*(base.changes if base else ()), *sent],
        at=at,
        now=now,
        on_claim=on_claim,
    ).id


def _marking(task: _Task, places: Collection[int], base: Base | None, *, at: datetime) -> OnClaim:
    """What happens with the claim: the records are marked. Raises CorrectionSettled, NotRedrivable."""

    def mark(session: Session, claim: Batch) -> None:
        batch_id = task.batch.id
        if base is not None:
            check_base(session, task.batch, base, claim)
        else:
            session.scalar(locked(select(Batch.id).where(Batch.id == batch_id), key_share=True))
        claim.corrects_id = batch_id
        for one in lock_records(session, batch_id=batch_id, places=sorted(places)):
            if one.state != "waiting":
                raise settled(one)
            one.state, one.redriven_into, one.corrected = "redriven", claim.id, task.digests[one.place]
            one.reason, one.settled_by, one.settled_at = task.force, task.actor, at
        note_act(
            session,
            "redriven",
            batch_id=batch_id,
            actor=task.actor,
            at=at,
            places=sorted(places),
            receipt=claim.id,
            forced_because=task.force,
        )

    return mark


def _sort(task: _Task, base: Base | None, going: Sequence[Change]) -> Sorted:
    """The corrections, and the generation that they are laid upon, held to the rules of now."""
    changes = [*(base.changes if base else ()), *going]
    rules = RecordRules(task.items, task.dataset.key_items)
    return sort_batch(
        changes, encode(changes), rules=rules, partitions=task.dataset.partitions, full=_is_full(task)
    )


def _is_full(task: _Task) -> bool:
    return task.dataset.update_mode == "full"


def _check_newer(engine: Engine, broker: Broker, task: _Task, good: Sequence[Good]) -> None:
    """Raises NewerRecords."""
    keys: dict[int, set[bytes]] = {}
    for record in good:
        keys.setdefault(record.partition, set()).add(record.key)
    newer = find_newer(engine, broker, task.batch, task.dataset, keys)
    hit = [record for record in good if record.key in newer]
    if hit:
        places, receipts = [record.place for record in hit], sorted({newer[record.key] for record in hit})
        raise NewerRecords(
            batch=task.batch.id,
            places=", ".join(map(str, places[:SHOWN])) + (" …" if len(places) > SHOWN else ""),
            receipts=", ".join(map(str, receipts[:SHOWN])) + (" …" if len(receipts) > SHOWN else ""),
        )
