"""What happens to a subscription once granted: pause, resume, revoke, release of more, narrowing, expiry."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from exchange.filtering import Filter, read_filter
from exchange.models import GRANTED_STATES, Subscription
from exchange.queries import get_dataset, get_subscription, list_overdue_subscriptions
from exchange.service.relays import nudge
from exchange.service.standing import (
    Filters,
    Masks,
    check_filters,
    check_items,
    check_masks,
    documents_of,
    facts,
    invalid,
    items_of,
    move,
    narrowed,
    record,
    seen,
)
from infra.clock import city_date


def pause_subscription(
    session: Session, *, subscription_id: int, revision_seen: int, actor: str, reason: str, at: datetime
) -> Subscription:
    """Give nothing until it is resumed. NotFound, SubscriptionState, Stale."""
    subscription = seen(session, subscription_id, ("active",), revision_seen)
    move(session, subscription, "paused", actor=actor, reason=reason, at=at)
    return subscription


def resume_subscription(
    session: Session, *, subscription_id: int, revision_seen: int, actor: str, at: datetime
) -> Subscription:
    """Go on with what was paused. NotFound, SubscriptionState, Stale."""
    subscription = seen(session, subscription_id, ("paused",), revision_seen)
    move(session, subscription, "active", actor=actor, reason="", at=at)
    nudge(session, [subscription_id], at=at)
    return subscription


def revoke_subscription(
    session: Session, *, subscription_id: int, revision_seen: int, actor: str, reason: str, at: datetime
) -> Subscription:
    """End it for good, with a reason. NotFound, SubscriptionState, SubscriptionInvalid, Stale."""
    subscription = seen(session, subscription_id, GRANTED_STATES, revision_seen)
    if not reason.strip():
        dataset = get_dataset(session, dataset_id=subscription.dataset_id)
        raise invalid(dataset, "撤销须写明理由", "a revocation needs a reason")
    move(session, subscription, "revoked", actor=actor, reason=reason, at=at)
    return subscription


def release_items(
    session: Session,
    *,
    subscription_id: int,
    items: Sequence[str],
    revision_seen: int,
    actor: str,
    at: datetime,
    masks: Masks | None = None,
    filters: Filters | None = None,
) -> Subscription:
    """The provider lets a live subscription see further items, or changes the masks of those it sees.

    `filters`, if given, are all that shall hold from now on: those it has and that are among them stay as
    they are. What a wider filter lets through of the past comes to who reads from the beginning again.
    Raises NotFound, SubscriptionState, SubscriptionInvalid, Stale.
    """
    subscription = seen(session, subscription_id, GRANTED_STATES, revision_seen)
    dataset = get_dataset(session, dataset_id=subscription.dataset_id)
    known = items_of(session, dataset)
    before = facts(subscription)
    released = [*subscription.items, *(name for name in items if name not in subscription.items)]
    check_items(dataset, known, released)
    check_masks(dataset, known, released, masks or {})
    subscription.items = released
    subscription.masks = {**subscription.masks, **(masks or {})}
    if filters is not None:
        subscription.filters = _replaced(
            subscription, check_filters(dataset, known, filters, before_grant=False)
        )
    subscription.revision += 1
    record(session, subscription, "released", actor=actor, at=at, before=before)
    return subscription


def narrow_subscription(
    session: Session,
    *,
    subscription_id: int,
    filters: Filters,
    revision_seen: int,
    actor: str,
    at: datetime,
) -> Subscription:
    """The provider lets a live subscription see fewer records: `filters`, on any item, hold beside its own.

    Raises NotFound, SubscriptionState, SubscriptionInvalid, Stale.
    """
    subscription = seen(session, subscription_id, GRANTED_STATES, revision_seen)
    dataset = get_dataset(session, dataset_id=subscription.dataset_id)
    if not filters:
        raise invalid(dataset, "须至少写明一条筛选条件", "it takes at least one filter")
    before = facts(subscription)
    subscription.filters = narrowed(subscription, dataset, items_of(session, dataset), filters)
    subscription.revision += 1
    record(session, subscription, "narrowed", actor=actor, at=at, before=before)
    return subscription


def prolong_subscription(
    session: Session,
    *,
    subscription_id: int,
    until_on: date,
    revision_seen: int,
    actor: str,
    at: datetime,
) -> Subscription:
    """The provider lets a live subscription go on until a later day, inclusive, without a break.

    Raises NotFound, SubscriptionState, SubscriptionInvalid, Stale.
    """
    subscription = seen(session, subscription_id, GRANTED_STATES, revision_seen)
    dataset = get_dataset(session, dataset_id=subscription.dataset_id)
    if until_on <= subscription.until_on or until_on < city_date(at):
        raise invalid(
            dataset, "新的使用期限须晚于现有期限，且不早于今天", "its new last day is not a later one"
        )
    before = facts(subscription)
    subscription.until_on = until_on
    subscription.revision += 1
    record(session, subscription, "prolonged", actor=actor, at=at, before=before)
    nudge(session, [subscription_id], at=at)
    return subscription


def _replaced(subscription: Subscription, wanted: Sequence[Filter]) -> list[dict[str, Any]]:
    """The wanted filters, as they are kept: one that has held from the start goes on as such."""
    own = [read_filter(document) for document in subscription.filters]
    return documents_of([next(filter(one.says_the_same, own), one) for one in wanted])


def expire_subscriptions(session: Session, *, at: datetime) -> int:
    """Note which active and paused subscriptions are past their last day; how many. May be repeated."""
    expired = 0
    for subscription_id in list_overdue_subscriptions(session, today=city_date(at)):
        subscription = get_subscription(session, subscription_id=subscription_id, lock=True)
        if subscription.state in GRANTED_STATES:  # nobody revoked it since it was listed
            move(session, subscription, "expired", actor="installation", reason="", at=at)
            expired += 1
    return expired
