"""What happens to a subscription once granted: pause, resume, revoke, release of further items, expiry."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from exchange.models import GRANTED_STATES, Subscription
from exchange.queries import get_dataset, get_subscription, list_overdue_subscriptions
from exchange.service.standing import (
    Masks,
    check_items,
    check_masks,
    facts,
    invalid,
    items_of,
    move,
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
) -> Subscription:
    """The provider lets a live subscription see further items, or changes the masks of those it sees.

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
    subscription.revision += 1
    record(session, subscription, "released", actor=actor, at=at, before=before)
    return subscription


def expire_subscriptions(session: Session, *, at: datetime) -> int:
    """Note which active and paused subscriptions are past their last day; how many. May be repeated."""
    expired = 0
    for subscription_id in list_overdue_subscriptions(session, today=city_date(at)):
        subscription = get_subscription(session, subscription_id=subscription_id, lock=True)
        if subscription.state in GRANTED_STATES:  # nobody revoked it since it was listed
            move(session, subscription, "expired", actor="installation", reason="", at=at)
            expired += 1
    return expired
