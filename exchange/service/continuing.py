"""A subscription that is granted anew goes on where the earlier one of the same system and bureau ended.

It shows its own items, masks and filters from there on. The key of digests and of `ref` stays, so that the
subscriber knows its records again; only cursors are each subscription's own.
"""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange.models import Position, Subscription
from exchange.place import Place, read_place
from exchange.queries import find_position
from exchange.relay_models import Relay
from infra.database import insert_once

GRANTED_ONCE = ("revoked", "expired")


def find_continued(
    session: Session, *, dataset_id: int, system_id: int, bureau_id: int
) -> Subscription | None:
    """The newest subscription of the system, as that bureau's, that was granted and has ended."""
    query = select(Subscription).where(
        Subscription.dataset_id == dataset_id,
        Subscription.system_id == system_id,
        Subscription.bureau_id == bureau_id,
        Subscription.state.in_(GRANTED_ONCE),
        Subscription.decided_at.is_not(None),
    )
    return session.scalars(query.order_by(Subscription.id.desc()).limit(1)).one_or_none()


def continue_place(session: Session, subscription: Subscription, *, at: datetime) -> None:
    """Let it stand where the one that it continues acknowledged last, if that ever did."""
    if subscription.continues_id is None:
        return
    position = find_position(session, subscription_id=subscription.continues_id, lock=True)
    if position is not None:
        content = _own(read_place(position.content)).document()
        insert_once(session, Position, subscription_id=subscription.id, content=content, moved_at=at)


def topic_place(session: Session, subscription: Subscription) -> Place | None:
    """Where a topic of its own is to begin, if the one that it continues had one."""
    if subscription.continues_id is None:
        return None
    earlier = session.get(Relay, subscription.continues_id)
    return None if earlier is None else _own(read_place(earlier.content))


def _own(place: Place) -> Place:
    """The place for another subscription: no delivery of its own is before it, nor was it put back."""
    return replace(place, delivery=None, rewinds=0)
