"""SELECTs of the exchange; no decisions. What pages takes `after`, the last id seen, and `limit`."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import BigInteger, ColumnElement, Select, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from approval.flow import OPEN
from approval.models import Case
from exchange.models import (
    GRANTED_STATES,
    LIVE_STATES,
    Batch,
    Dataset,
    Delivery,
    Position,
    QuarantinedRecord,
    Subscription,
)
from identity.models import Bureau, System
from infra.database import locked
from infra.errors import NotFound


def find_dataset(session: Session, *, code: str) -> Dataset | None:
    """The dataset of that code."""
    return session.scalars(select(Dataset).where(Dataset.code == code)).one_or_none()


def get_dataset_by_code(session: Session, *, code: str) -> Dataset:
    """The dataset of that code; NotFound."""
    found = find_dataset(session, code=code)
    if found is None:
        raise NotFound(what_zh="数据集", what_en="dataset", key=code)
    return found


def get_dataset(
    session: Session, *, dataset_id: int, lock: Literal["to_edit", "to_refer"] | None = None
) -> Dataset:
    """The dataset; NotFound. With a lock: as last committed, and nobody else edits it, hands it over or ends
    it until the commit; those who only refer to it pass together.
    """
    if lock is None:
        found = session.get(Dataset, dataset_id)
    else:
        query = select(Dataset).where(Dataset.id == dataset_id)
        found = session.scalar(locked(query, read=lock == "to_refer"))
    if found is None:
        raise NotFound(what_zh="数据集", what_en="dataset", key=dataset_id)
    return found


def list_datasets_without_topic(session: Session) -> list[int]:
    """Ids of datasets whose topic nobody has made yet; those that ended need none."""
    waiting = select(Dataset.id).where(Dataset.topic_made_at.is_(None), Dataset.ended_at.is_(None))
    return list(session.scalars(waiting.order_by(Dataset.id)))


def get_subscription(session: Session, *, subscription_id: int, lock: bool = False) -> Subscription:
    """The subscription, its row locked and as last committed if asked; NotFound."""
    held = locked(select(Subscription).where(Subscription.id == subscription_id))
    found = session.scalar(held) if lock else session.get(Subscription, subscription_id)
    if found is None:
        raise NotFound(what_zh="共享申请", what_en="subscription", key=subscription_id)
    return found


def lock_live_subscription(session: Session, *, dataset_id: int, system_id: int) -> Subscription | None:
    """The system's subscription to the dataset that is pending, active or paused, if there is one, locked."""
    query = select(Subscription).where(
        Subscription.dataset_id == dataset_id,
        Subscription.system_id == system_id,
        Subscription.state.in_(LIVE_STATES),
    )
    return session.scalars(locked(query)).one_or_none()


def find_subscription_of_case(session: Session, *, case_id: int) -> Subscription | None:
    """The subscription that a case of approval is about."""
    return session.scalars(select(Subscription).where(Subscription.case_id == case_id)).one_or_none()


def subscriptions_to(dataset_codes: Collection[str]) -> Select[int]:
    """The ids of the subscriptions to these datasets, to be looked for within another SELECT."""
    query = select(Subscription.id).join(Dataset, Dataset.id == Subscription.dataset_id)
    return query.where(Dataset.code.in_(dataset_codes))


def list_left_behind(session: Session) -> list[int]:
    """The ended cases whose subscriptions still wait for an answer."""
    query = select(Case.id).join(Subscription, Subscription.case_id == Case.id)
    query = query.where(Subscription.state == "pending", Case.state.not_in(OPEN))
    return list(session.scalars(query.order_by(Case.id)))


def list_subscriptions(
    session: Session,
    *,
    dataset_id: int | None = None,
    bureau_id: int | None = None,
    system_id: int | None = None,
    provider_id: int | None = None,
    states: tuple[str, ...] = (),
    after: int = 0,
    limit: int = 50,
) -> list[Subscription]:
    """Subscriptions by id: to a dataset, of a bureau or system, or to datasets of a provider bureau."""
    query = select(Subscription).where(Subscription.id > after).order_by(Subscription.id).limit(limit)
    if dataset_id is not None:
        query = query.where(Subscription.dataset_id == dataset_id)
    if bureau_id is not None:
        query = query.where(Subscription.bureau_id == bureau_id)
    if system_id is not None:
        query = query.where(Subscription.system_id == system_id)
    if provider_id is not None:
        query = query.join(Dataset, Dataset.id == Subscription.dataset_id).where(
            Dataset.bureau_id == provider_id
        )
    if states:
        query = query.where(Subscription.state.in_(states))
    return list(session.scalars(query))


def list_overdue_subscriptions(session: Session, *, today: date) -> list[int]:
    """Ids of active and paused subscriptions whose last day is past."""
    query = select(Subscription.id).where(
        Subscription.state.in_(GRANTED_STATES), Subscription.until_on < today
    )
    return list(session.scalars(query.order_by(Subscription.id)))


def find_batch(session: Session, *, dataset_id: int, publisher_id: int, key: str) -> Batch | None:
    """The batch with that idempotency key."""
    query = select(Batch).where(
        Batch.dataset_id == dataset_id, Batch.publisher_id == publisher_id, Batch.key == key
    )
    return session.scalars(query).one_or_none()


def find_claim(session: Session, *, batch_id: int) -> Batch | None:
    """The batch, its row locked and as last committed; None if it was given up."""
    return session.scalar(locked(select(Batch).where(Batch.id == batch_id)))


def get_batch(session: Session, *, batch_id: int) -> Batch:
    """The batch; NotFound."""
    found = session.get(Batch, batch_id)
    if found is None:
        raise NotFound(what_zh="批次回执", what_en="receipt", key=batch_id)
    return found


def list_batches(
    session: Session, *, dataset_id: int, before: int | None = None, limit: int = 50
) -> list[Batch]:
    """Batches of a dataset, newest first; `before` is the last id seen."""
    query = select(Batch).where(Batch.dataset_id == dataset_id).order_by(Batch.id.desc()).limit(limit)
    return list(session.scalars(query if before is None else query.where(Batch.id < before)))


def last_batches(session: Session, dataset_ids: Collection[int]) -> dict[int, Batch]:
    """The newest settled batch of each dataset that has one, by dataset; one statement."""
    newest = (
        select(func.max(Batch.id))
        .where(Batch.dataset_id.in_(dataset_ids), Batch.state == "settled")
        .group_by(Batch.dataset_id)
    )
    found = session.scalars(select(Batch).where(Batch.id.in_(newest)))
    return {batch.dataset_id: batch for batch in found}


def list_claims(session: Session, *, claimed_before: datetime) -> list[tuple[int, str, str, datetime]]:
    """(batch id, its topic, marker, claimed at) of what was claimed before then and is not settled."""
    query = (
        select(Batch.id, Dataset.topic, Batch.marker, Batch.claimed_at)
        .join(Dataset, Dataset.id == Batch.dataset_id)
        .where(Batch.state == "claimed", Batch.claimed_at <= claimed_before)
        .order_by(Batch.id)
    )
    return list(session.execute(query))


def find_generation(session: Session, *, dataset_id: int, settled_by: datetime | None = None) -> Batch | None:
    """The newest settled full batch, or the newest one then; one whose records were all bad replaces nothing
    and is none.
    """
    query = select(Batch).where(
        Batch.dataset_id == dataset_id,
        Batch.state == "settled",
        Batch.update_mode == "full",
        (Batch.upserts > 0) | (Batch.received == 0),
    )
    if settled_by is not None:
        query = query.where(Batch.settled_at <= settled_by)
    return session.scalars(query.order_by(Batch.id.desc()).limit(1)).one_or_none()


def list_ends(session: Session, *, dataset_id: int, settled_by: datetime) -> dict[int, int]:
    """By partition, the offset behind everything that was settled by then: later batches lie behind it."""
    query = select(Batch.spans).where(Batch.dataset_id == dataset_id, Batch.settled_at <= settled_by)
    ends: dict[int, int] = {}
    for spans in session.scalars(query.execution_options(yield_per=1_000)):
        for partition, (_first, last, _count) in (spans or {}).items():
            ends[int(partition)] = max(ends.get(int(partition), 0), last + 1)
    return ends


def find_position(session: Session, *, subscription_id: int, lock: bool = False) -> Position | None:
    """Where the subscriber stands, if it ever acknowledged or was rewound."""
    query = select(Position).where(Position.subscription_id == subscription_id)
    return session.scalar(locked(query) if lock else query)


def list_quarantined(
    session: Session, *, batch_id: int, after: int = 0, limit: int = 50, waiting: bool = False
) -> list[QuarantinedRecord]:
    """Quarantined records of a batch in order of place, behind `after`, or those of them that wait.

    `raw` is for the provider only.
    """
    query = select(QuarantinedRecord).where(
        QuarantinedRecord.batch_id == batch_id, QuarantinedRecord.place > literal(after, BigInteger)
    )
    if waiting:
        query = query.where(QuarantinedRecord.state == "waiting")
    return list(session.scalars(query.order_by(QuarantinedRecord.place).limit(limit)))


def lock_quarantined(session: Session, *, batch_id: int, places: Collection[int]) -> list[QuarantinedRecord]:
    """The bad records at those places of a batch, locked, by place."""
    query = select(QuarantinedRecord).where(
        QuarantinedRecord.batch_id == batch_id, QuarantinedRecord.place.in_(places)
    )
    return list(session.scalars(locked(query.order_by(QuarantinedRecord.place))))


def count_quarantined(session: Session, *, batch_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """How many bad records of each batch are in which state; nothing for a batch without any."""
    query = (
        select(QuarantinedRecord.batch_id, QuarantinedRecord.state, func.count())
        .where(QuarantinedRecord.batch_id.in_(batch_ids))
        .group_by(QuarantinedRecord.batch_id, QuarantinedRecord.state)
    )
    found: dict[int, dict[str, int]] = {}
    for batch_id, state, count in session.execute(query):
        found.setdefault(batch_id, {})[state] = count
    return found


def count_waiting(session: Session, *, dataset_id: int) -> int:
    """How many bad records of a dataset wait to be corrected or discarded."""
    query = (
        select(func.count())
        .select_from(QuarantinedRecord)
        .join(Batch, Batch.id == QuarantinedRecord.batch_id)
        .where(QuarantinedRecord.state == "waiting", Batch.dataset_id == dataset_id, Batch.quarantined > 0)
    )
    return session.scalar(query) or 0


def list_corrections(session: Session, *, batch_id: int) -> list[Batch]:
    """The batches that bring bad records of that one, corrected, oldest first."""
    query = select(Batch).where(Batch.corrects_id == batch_id).order_by(Batch.id)
    return list(session.scalars(query))


def handed_out() -> ColumnElement[bool]:
    """Of deliveries: not a run to a topic of which it is not known yet whether it is in the log."""
    return or_(Delivery.way != "topic", Delivery.outcome.is_not(None))


def list_deliveries(
    session: Session, *, subscription_id: int, before: int | None = None, limit: int = 50
) -> list[Delivery]:
    """Deliveries under a subscription, newest first; `before` is the last id seen."""
    query = select(Delivery).where(Delivery.subscription_id == subscription_id, handed_out())
    if before is not None:
        query = query.where(Delivery.id < before)
    return list(session.scalars(query.order_by(Delivery.id.desc()).limit(limit)))


def list_entries(
    session: Session,
    *,
    search: str = "",
    share_type: str = "",
    bureau_ids: Collection[int] | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[tuple[Dataset, Bureau]]:
    """Catalogue entries that have not ended, by id with their providers; `search` in the code, the name or
    the provider's name.
    """
    query = (
        select(Dataset, Bureau)
        .join(Bureau, Bureau.id == Dataset.bureau_id)
        .where(Dataset.id > after, Dataset.ended_at.is_(None))
        .order_by(Dataset.id)
        .limit(limit)
    )
    if search:
        fields = (Dataset.code, Dataset.name, Bureau.name)
        query = query.where(or_(*(field.icontains(search, autoescape=True) for field in fields)))
    if share_type:
        query = query.where(Dataset.share_type == share_type)
    if bureau_ids is not None:
        query = query.where(Dataset.bureau_id.in_(bureau_ids))
    return [(dataset, bureau) for dataset, bureau in session.execute(query)]


@dataclass(frozen=True)
class SubscriptionRow:
    """A subscription with what it is about, whose it is, who provides it and which case decides it."""

    subscription: Subscription
    dataset: Dataset
    system: System
    bureau: Bureau
    provider: Bureau
    case: Case | None


def list_subscription_rows(
    session: Session,
    *,
    subscriber_ids: Collection[int] | None = None,
    provider_ids: Collection[int] | None = None,
    either_ids: Collection[int] | None = None,
    dataset_codes: Collection[str] | None = None,
    dataset_id: int | None = None,
    system_id: int | None = None,
    states: Collection[str] = (),
    before: int | None = None,
    limit: int = 50,
) -> list[SubscriptionRow]:
    """Subscriptions, newest first: of subscribers, to providers, or with either among these; None: all."""
    query = _rows().order_by(Subscription.id.desc()).limit(limit)
    if subscriber_ids is not None:
        query = query.where(Subscription.bureau_id.in_(subscriber_ids))
    if provider_ids is not None:
        query = query.where(Dataset.bureau_id.in_(provider_ids))
    if either_ids is not None:
        query = query.where(or_(Subscription.bureau_id.in_(either_ids), Dataset.bureau_id.in_(either_ids)))
    if dataset_codes is not None:
        query = query.where(Dataset.code.in_(dataset_codes))
    if dataset_id is not None:
        query = query.where(Subscription.dataset_id == dataset_id)
    if system_id is not None:
        query = query.where(Subscription.system_id == system_id)
    if states:
        query = query.where(Subscription.state.in_(states))
    if before is not None:
        query = query.where(Subscription.id < before)
    return [SubscriptionRow(*row) for row in session.execute(query)]


def get_subscription_row(session: Session, *, subscription_id: int) -> SubscriptionRow:
    """One subscription with all that names it; NotFound."""
    row = session.execute(_rows().where(Subscription.id == subscription_id)).one_or_none()
    if row is None:
        raise NotFound(what_zh="共享申请", what_en="subscription", key=subscription_id)
    return SubscriptionRow(*row)


def _rows() -> Select[Subscription, Dataset, System, Bureau, Bureau, Case]:
    provider = aliased(Bureau)
    return (
        select(Subscription, Dataset, System, Bureau, provider, Case)
        .join(Dataset, Dataset.id == Subscription.dataset_id)
        .join(System, System.id == Subscription.system_id)
        .join(Bureau, Bureau.id == Subscription.bureau_id)
        .join(provider, provider.id == Dataset.bureau_id)
        .outerjoin(Case, Case.id == Subscription.case_id)
    )
