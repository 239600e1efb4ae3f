"""What a subscriber's people do with its webhook: name it, change its secret, redrive, skip, remove."""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from exchange.errors import WebhookInvalid, WebhookState
from exchange.hooking import SECRET_BYTES, BadUrl, Network, check_url, write_secret
from exchange.models import GRANTED_STATES, Subscription, Webhook
from exchange.service.outcomes import UNCONFIRMED, end_delivery
from exchange.service.positions import stand_behind
from exchange.service.standing import SUBJECT, in_state
from infra.database import locked
from infra.errors import NotFound
from infra.jobs import enqueue
from infra.journal import append

TASK = "exchange.send_webhook"
LONGEST_OVERLAP_HOURS = 24 * 7


def find_webhook(session: Session, *, subscription_id: int, lock: bool = False) -> Webhook | None:
    """The subscription's webhook, its row locked and as last committed if asked."""
    query = select(Webhook).where(Webhook.subscription_id == subscription_id)
    return session.scalar(locked(query) if lock else query)


def get_webhook(session: Session, *, subscription_id: int) -> Webhook:
    """The subscription's webhook; NotFound."""
    hook = find_webhook(session, subscription_id=subscription_id)
    if hook is None:
        raise NotFound(what_zh="推送设置", what_en="webhook of subscription", key=subscription_id)
    return hook


def set_webhook(
    session: Session,
    *,
    subscription_id: int,
    url: str,
    networks: Sequence[Network],
    actor: str,
    at: datetime,
) -> tuple[Webhook, str | None]:
    """Post the subscription's records to `url` from where it stands; and the secret, if it is a new one.

    Raises NotFound, SubscriptionState, WebhookInvalid.
    """
    subscription = in_state(session, subscription_id, GRANTED_STATES)
    try:
        check_url(url, networks=networks)
    except BadUrl as error:
        raise WebhookInvalid(
            subscription=subscription_id, why_zh=error.why_zh, why_en=error.why_en
        ) from error
    hook = find_webhook(session, subscription_id=subscription_id, lock=True)
    before = _facts(hook)
    secret = None
    if hook is None:
        secret = _new_secret()
        hook = Webhook(
            subscription_id=subscription_id,
            secret=secret,
            state="active",
            attempts=0,
            last_fault="",
            nudges=0,
        )
        session.add(hook)
    hook.url, hook.changed_at = url, at
    _go_on(hook, at=at)
    _record(session, subscription, hook, "set", actor=actor, at=at, before=before)
    nudge(session, [subscription_id])
    return hook, secret


def remove_webhook(session: Session, *, subscription_id: int, actor: str, at: datetime) -> None:
    """Post nothing more. Raises NotFound."""
    hook, subscription = _both(session, subscription_id)
    before = _facts(hook)
    end_delivery(session, hook.delivery_id, UNCONFIRMED)
    session.execute(delete(Webhook).where(Webhook.subscription_id == subscription_id))
    _record(session, subscription, None, "removed", actor=actor, at=at, before=before)


def rotate_secret(
    session: Session, *, subscription_id: int, overlap_hours: int, actor: str, at: datetime
) -> str:
    """A new secret; for `overlap_hours` the old one signs beside it. Raises NotFound, WebhookInvalid."""
    hook, subscription = _both(session, subscription_id)
    if not 0 <= overlap_hours <= LONGEST_OVERLAP_HOURS:
        raise WebhookInvalid(
            subscription=subscription_id,
            why_zh=f"新旧密钥并用时间为 0 至 {LONGEST_OVERLAP_HOURS} 小时",
            why_en=f"both secrets hold for 0 to {LONGEST_OVERLAP_HOURS} hours",
        )
    hook.old_secret, hook.old_until_at = hook.secret, at + timedelta(hours=overlap_hours)
    hook.secret, hook.changed_at = _new_secret(), at
    _record(session, subscription, hook, "secret_changed", actor=actor, at=at, before=None)
    return hook.secret


def redrive(session: Session, *, subscription_id: int, actor: str, at: datetime) -> Webhook:
    """Try again now, and as often as at first, what a webhook stopped at. Raises NotFound."""
    hook, subscription = _both(session, subscription_id)
    before = _facts(hook)
    _go_on(hook, at=at)
    _record(session, subscription, hook, "redriven", actor=actor, at=at, before=before)
    nudge(session, [subscription_id])
    return hook


def skip(session: Session, *, subscription_id: int, reason: str, actor: str, at: datetime) -> Webhook:
    """Go on behind the message that a webhook stopped at: it is never posted again, and is not acknowledged.

    Raises NotFound, WebhookInvalid, WebhookState.
    """
    hook, subscription = _both(session, subscription_id)
    if not reason.strip():
        raise WebhookInvalid(
            subscription=subscription_id, why_zh="跳过须写明理由", why_en="to skip needs a reason"
        )
    if hook.state != "dead" or hook.after is None:
        raise WebhookState(
            subscription=subscription_id,
            why_zh="没有停在某条消息上",
            why_en="it has not stopped at a message",
        )
    before = _facts(hook)
    stand_behind(session, subscription_id=subscription_id, place=hook.after, at=at)
    forget_message(session, hook, UNCONFIRMED)
    _go_on(hook, at=at)
    _record(session, subscription, hook, "skipped", actor=actor, at=at, before=before, reason=reason.strip())
    nudge(session, [subscription_id])
    return hook


def forget_message(session: Session, hook: Webhook, outcome: str) -> None:
    """There is none on its way any more: it ended so."""
    end_delivery(session, hook.delivery_id, outcome)
    hook.message_id = hook.delivery_id = hook.before = hook.after = None
    hook.attempts = 0


def nudge_webhooks(session: Session, *, dataset_id: int, at: datetime) -> None:
    """Something of the dataset may be new to its subscribers: let their webhooks look once this commits."""
    live = select(Subscription.id).where(
        Subscription.dataset_id == dataset_id, Subscription.state == "active"
    )
    hooks = select(Webhook).where(Webhook.subscription_id.in_(live), Webhook.state == "active")
    for hook in session.scalars(locked(hooks.order_by(Webhook.subscription_id), key_share=True)):
        hook.nudges += 1
        if hook.message_id is None:
            hook.next_at = at
            nudge(session, [hook.subscription_id])


def list_due(session: Session, *, at: datetime) -> list[int]:
    """The subscriptions whose webhooks may have something to do."""
    query = (
        select(Webhook.subscription_id)
        .join(Subscription, Subscription.id == Webhook.subscription_id)
        .where(Webhook.state == "active", Subscription.state == "active", Webhook.next_at <= at)
        .where(Webhook.claimed_until_at.is_(None) | (Webhook.claimed_until_at < at))
    )
    return list(session.scalars(query.order_by(Webhook.subscription_id)))


def nudge(session: Session, subscription_ids: Iterable[int]) -> None:
    """Let workers look after the webhooks of these, once `session` has committed."""
    for subscription_id in subscription_ids:
        enqueue(session, TASK, subscription_id, lasts_s=60)


def _go_on(hook: Webhook, *, at: datetime) -> None:
    hook.state, hook.attempts, hook.next_at = "active", 0, at
    hook.nudges += 1


def _new_secret() -> str:
    return write_secret(secrets.token_bytes(SECRET_BYTES))


def _both(session: Session, subscription_id: int) -> tuple[Webhook, Subscription]:
    hook = find_webhook(session, subscription_id=subscription_id, lock=True)
    if hook is None:
        raise NotFound(what_zh="推送设置", what_en="webhook of subscription", key=subscription_id)
    return hook, session.get_one(Subscription, subscription_id)


def _facts(hook: Webhook | None) -> dict[str, Any] | None:
    if hook is None:
        return None
    names = ("url", "state", "message_id", "delivery_id", "attempts", "last_status", "last_fault")
    return {name: getattr(hook, name) for name in names}


def _record(
    session: Session,
    subscription: Subscription,
    hook: Webhook | None,
    act: str,
    *,
    actor: str,
    at: datetime,
    before: dict[str, Any] | None,
    **more: str,
) -> None:
    session.flush()
    append(
        session,
        actor=actor,
        act=f"webhook.{act}",
        subject=f"{SUBJECT}:{subscription.id}",
        bureau_id=subscription.bureau_id,
        at=at,
        before=before,
        after={**(_facts(hook) or {}), **more},
    )
