"""Who got records that are recalled, as deliveries have it; they are told, reminded, and answer."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from approval.deadline import NotYetPublished, due_on
from approval.queries import holds_role
from approval.service import notify
from exchange.broker.driver import LogRecord
from exchange.errors import RecallAnswered, RecallInvalid
from exchange.models import Dataset, Delivery, Subscription
from exchange.queries import get_dataset, get_subscription
from exchange.recall_models import Recall, RecallReceiver
from exchange.service.positions import MARGIN
from exchange.service.shown import lens_then
from identity.roles import Role
from infra.clock import city_date
from infra.database import insert_once, locked
from infra.errors import NotFound
from infra.journal import append
from infra.workdays import load_calendar

ANSWERS = ("deleted", "kept")


def name_receivers(session: Session, recall: Recall, records: Sequence[LogRecord], *, at: datetime) -> int:
    """Name and tell those who got any of the records and are not named yet; how many those are.

    A delivery counts where the records lie in its ranges and were shown through what it was seen through;
    also one of which it is not known whether it arrived.
    """
    if not records:
        return 0
    since = min(datetime.fromisoformat(record.headers["at"]) for record in records) - MARGIN
    dataset = get_dataset(session, dataset_id=recall.dataset_id)
    query = select(Subscription).where(Subscription.dataset_id == recall.dataset_id).order_by(Subscription.id)
    named = 0
    for subscription in session.scalars(query):
        got: set[tuple[int, int]] = set()
        ways: set[str] = set()
        deliveries = select(Delivery).where(
            Delivery.subscription_id == subscription.id, Delivery.at >= since, Delivery.count > 0
        )
        for delivery in session.scalars(deliveries.execution_options(yield_per=500)):
            seen = _seen(subscription, delivery, records)
            got |= seen
            ways |= {delivery.way} if seen else set()
        if got and insert_once(
            session,
            RecallReceiver,
            recall_id=recall.id,
            subscription_id=subscription.id,
            count=len(got),
            ways=sorted(ways),
            told_at=at,
        ):
            _tell(session, recall, dataset, subscription, "recall_told", len(got), at=at)
            named += 1
    return named


def answer_recall(
    session: Session,
    *,
    recall_id: int,
    subscription_id: int,
    answer: str,
    reason: str,
    actor: str,
    at: datetime,
) -> RecallReceiver:
    """Say what a receiver did: `deleted`, or `kept` with a reason, which may become `deleted` later.

    Whether `actor` may is decided before. Raises NotFound, RecallInvalid, RecallAnswered.
    """
    query = select(RecallReceiver).where(
        RecallReceiver.recall_id == recall_id, RecallReceiver.subscription_id == subscription_id
    )
    receiver = session.scalar(locked(query))
    if receiver is None:
        raise NotFound(what_zh="撤回", what_en="recall", key=recall_id)
    subscription = get_subscription(session, subscription_id=subscription_id)
    reason = reason.strip()
    if answer not in ANSWERS or len(reason) > 2000 or (answer == "kept" and not reason):
        raise RecallInvalid(
            dataset=get_dataset(session, dataset_id=subscription.dataset_id).code,
            why_zh="请确认已删除，或写明不能删除的理由",
            why_en="confirm the deletion, or give the reason why it is not possible",
        )
    if (receiver.answer, receiver.reason) == (answer, reason):
        return receiver
    if receiver.answer == "deleted":
        raise RecallAnswered(subscription=subscription_id, recall=recall_id)
    receiver.answer, receiver.reason = answer, reason
    receiver.answered_by, receiver.answered_at = actor, at
    append(
        session,
        actor=actor,
        act="recall.answered",
        subject=f"recall:{recall_id}",
        bureau_id=subscription.bureau_id,
        at=at,
        after={"subscription": subscription_id, "answer": answer, "reason": reason},
    )
    return receiver


def list_receivers(session: Session, *, recall_id: int) -> list[RecallReceiver]:
    """Everybody who got any of a recall's records, by subscription."""
    query = select(RecallReceiver).where(RecallReceiver.recall_id == recall_id)
    return list(session.scalars(query.order_by(RecallReceiver.subscription_id)))


def list_received(session: Session, *, subscription_id: int) -> list[tuple[Recall, RecallReceiver]]:
    """The recalls of what was delivered under a subscription, the newest first."""
    query = (
        select(Recall, RecallReceiver)
        .join(RecallReceiver, RecallReceiver.recall_id == Recall.id)
        .where(RecallReceiver.subscription_id == subscription_id)
        .order_by(Recall.id.desc())
    )
    return [(one, receiver) for one, receiver in session.execute(query)]


def is_overdue(session: Session, recall: Recall, receiver: RecallReceiver, *, at: datetime) -> bool:
    """Whether its limit in work days is past without an answer; not while the calendar is not published."""
    return limit_of(session, recall, receiver, at=at)[1]


def limit_of(
    session: Session, recall: Recall, receiver: RecallReceiver, *, at: datetime
) -> tuple[date | None, bool]:
    """The last day to answer, None while the calendar is not published; whether it is past unanswered."""
    limit = due_on(city_date(receiver.told_at), recall.limit_days, (), load_calendar(session))
    if isinstance(limit, NotYetPublished):
        return None, False
    return limit, not receiver.answer and city_date(at) > limit


def remind_receivers(session: Session, *, at: datetime) -> int:
    """Remind, once, those whose limit is past, and tell the provider; how many were not yet."""
    query = (
        select(Recall, RecallReceiver)
        .join(RecallReceiver, RecallReceiver.recall_id == Recall.id)
        .where(RecallReceiver.answer == "")
        .order_by(RecallReceiver.id)
    )
    reminded = 0
    for recall, receiver in session.execute(query).all():
        if is_overdue(session, recall, receiver, at=at):
            dataset = get_dataset(session, dataset_id=recall.dataset_id)
            subscription = get_subscription(session, subscription_id=receiver.subscription_id)
            reminded += _tell(session, recall, dataset, subscription, "recall_overdue", receiver.count, at=at)
    return reminded


def _seen(
    subscription: Subscription, delivery: Delivery, records: Iterable[LogRecord]
) -> set[tuple[int, int]]:
    ranges = {int(partition): ends for partition, ends in delivery.ranges.items()}
    within = [
        one
        for one in records
        if one.partition in ranges and ranges[one.partition][0] <= one.offset <= ranges[one.partition][1]
    ]
    if not within:
        return set()
    lens = lens_then(subscription, delivery)
    shown = [one for one in within if (seen := lens.show(one)) is not None and seen.op == "upsert"]
    return {(one.partition, one.offset) for one in shown}


def _tell(
    session: Session,
    recall: Recall,
    dataset: Dataset,
    subscription: Subscription,
    code: str,
    count: int,
    *,
    at: datetime,
) -> bool:
    """For the stewards of the subscriber's data, or its admins where it has none; of what is overdue, for
    the provider's too."""
    bureaus = {subscription.bureau_id, *([dataset.bureau_id] if code == "recall_overdue" else [])}
    told = False
    for bureau_id in sorted(bureaus):
        stewards = holds_role(session, role=Role.data_steward, bureau_id=bureau_id, at=at, person_id=None)
        told |= notify(
            session,
            key=f"{code}:{recall.id}:{subscription.id}:{bureau_id}",
            code=code,
            facts={
                "dataset": dataset.name,
                "code": dataset.code,
                "recall": recall.id,
                "subscription": subscription.id,
                "count": count,
                "days": recall.limit_days,
                "reason": recall.reason,
            },
            subject_kind="subscription",
            subject_id=subscription.id,
            at=at,
            role=(Role.data_steward if stewards else Role.bureau_admin).value,
            bureau_id=bureau_id,
        )
    return told
