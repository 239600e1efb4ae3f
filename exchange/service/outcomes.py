"""How deliveries ended. Messages, files and runs to topics are on their way until that is known, and chained
only then.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from exchange.models import GRANTED_STATES, Delivery, Subscription, Webhook

DONE, UNCONFIRMED = "done", "unconfirmed"
PULL, WEBHOOK, FILE, TOPIC = "pull", "webhook", "file", "topic"
"""Ways of delivery; a file holds the latest record of each key alone."""
FILE_LASTS = timedelta(hours=24)
"""A file that is not handed out whole by then was left by a process that is no more."""


def end_delivery(session: Session, delivery_id: int | None, outcome: str) -> bool:
    """Say how it ended, once: whether it was still on its way."""
    pending = update(Delivery).where(Delivery.id == delivery_id, Delivery.outcome.is_(None))
    ended = session.execute(pending.values(outcome=outcome).returning(Delivery.id))
    return ended.first() is not None


def end_left(session: Session, *, at: datetime) -> int:
    """Nobody is at these any more: files of long ago, messages that their webhook has dropped or may not send
    again; how many there were.
    """
    files = select(Delivery.id).where(
        Delivery.way == FILE, Delivery.outcome.is_(None), Delivery.at < at - FILE_LASTS
    )
    messages = (
        select(Delivery.id)
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .outerjoin(Webhook, Webhook.delivery_id == Delivery.id)
        .where(Delivery.way == WEBHOOK, Delivery.outcome.is_(None))
        .where(
            Webhook.subscription_id.is_(None)
            | (
                Subscription.state.not_in(GRANTED_STATES)
                & (Webhook.claimed_until_at.is_(None) | (Webhook.claimed_until_at < at))
            )
        )
    )
    left: Sequence[int] = [*session.scalars(files), *session.scalars(messages)]
    return sum(end_delivery(session, one, UNCONFIRMED) for one in left)
