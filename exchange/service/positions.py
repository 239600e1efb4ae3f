"""Where a subscriber goes on when it brings no cursor: what it acknowledged, or where it was put back to.

An acknowledgement says that everything before a cursor is safely with the subscriber. They may come twice and
in any order; only rewinding leads back, and what was pulled before it moves nothing afterwards.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from exchange.errors import CursorInvalid, RewindInvalid
from exchange.models import Dataset, Delivery, Position, Subscription
from exchange.place import BEGINNING, NotOurs, Place, later, read_cursor, read_place
from exchange.queries import find_generation, find_position, get_dataset, list_ends
from exchange.service.entitled import entitled, of_system
from exchange.service.relays import put_back
from infra.database import insert_once
from infra.journal import append

MARGIN = timedelta(minutes=5)
"""How far clocks may lie apart, and a sweep from what it settles: so much more comes after a rewind."""


def place_of(session: Session, subscription: Subscription, cursor: str | None) -> Place:
    """Where to read on: at the cursor, else where the subscriber stands, else at the beginning.

    Raises CursorInvalid.
    """
    if cursor:
        return cursor_of(subscription, cursor)
    position = find_position(session, subscription_id=subscription.id)
    return BEGINNING if position is None else read_place(position.content)


def cursor_of(subscription: Subscription, cursor: str) -> Place:
    """The place of a cursor that the subscription was given. Raises CursorInvalid."""
    key = bytes.fromhex(subscription.mask_key)
    try:
        return read_cursor(cursor, key=key, subscription_id=subscription.id)
    except NotOurs as error:
        raise CursorInvalid(subscription=subscription.id) from error


def acknowledge(
    session: Session, *, subscription_id: int, system_id: int, cursor: str, at: datetime
) -> Position:
    """Note that the system has everything before `cursor`, also after the subscription has ended.

    Raises NotFound, NotEntitled, CursorInvalid.
    """
    subscription = of_system(session, subscription_id=subscription_id, system_id=system_id)
    place = cursor_of(subscription, cursor)
    position = _position(session, subscription_id, at)
    position.content = later(read_place(position.content), place).document()
    position.acknowledged_at = at
    delivery = session.get(Delivery, place.delivery) if place.delivery else None
    if delivery is not None and delivery.acknowledged_at is None:
        delivery.acknowledged_at = at
    session.flush()
    return position


def stand_behind(session: Session, *, subscription_id: int, place: Mapping[str, Any], at: datetime) -> None:
    """Let the subscriber go on behind what lies before a place, as `Place.document` wrote it."""
    position = _position(session, subscription_id, at)
    position.content = later(read_place(position.content), read_place(place)).document()


def rewind(
    session: Session,
    *,
    subscription_id: int,
    system_id: int,
    actor: str,
    at: datetime,
    to: datetime | None = None,
    offsets: Mapping[int, int] | None = None,
) -> Position:
    """Let the subscriber go on before what was stored since `to`, or at `offsets`, else at the beginning.

    Some of what was stored in the minutes before `to` may come too. Of a full dataset, `to` is the generation
    that held then, and offsets are refused. Raises NotFound, NotEntitled, RewindInvalid.
    """
    subscription = entitled(session, subscription_id=subscription_id, system_id=system_id, at=at)
    dataset = get_dataset(session, dataset_id=subscription.dataset_id)
    if offsets is not None:
        _check_offsets(subscription_id, offsets, dataset)
        place = Place(dict(offsets))
    elif to is None:
        place = BEGINNING
    elif dataset.update_mode == "full":
        then = find_generation(session, dataset_id=dataset.id, settled_by=to)
        place = BEGINNING if then is None else Place(generation=then.id)
    else:
        place = Place(list_ends(session, dataset_id=dataset.id, settled_by=to - MARGIN))
    position = _position(session, subscription_id, at)
    before = position.content
    position.content = replace(place, rewinds=read_place(before).rewinds + 1).document()
    put_back(session, subscription_id=subscription_id, place=place, at=at)
    session.flush()
    append(
        session,
        actor=actor,
        act="subscription.rewound",
        subject=f"subscription:{subscription_id}",
        bureau_id=subscription.bureau_id,
        at=at,
        before={"position": before},
        after={"position": position.content, "to": to.isoformat() if to else None},
    )
    return position


def _check_offsets(subscription_id: int, offsets: Mapping[int, int], dataset: Dataset) -> None:
    if dataset.update_mode == "full":
        raise RewindInvalid(
            subscription=subscription_id,
            why_zh="全量更新的数据集按批读取，请按时间回退",
            why_en="a dataset that is replaced in full is read by generations; rewind it to a time",
        )
    if beyond := sorted(p for p in offsets if not 0 <= p < dataset.partitions):
        raise RewindInvalid(
            subscription=subscription_id,
            why_zh=f"没有分区 {beyond[0]}，分区为 0 至 {dataset.partitions - 1}",
            why_en=f"there is no partition {beyond[0]}; partitions are 0 to {dataset.partitions - 1}",
        )


def _position(session: Session, subscription_id: int, at: datetime) -> Position:
    """The row, locked, made if it is missing."""
    insert_once(
        session,
        Position,
        subscription_id=subscription_id,
        content=BEGINNING.document(),
        acknowledged_at=None,
        moved_at=at,
    )
    position = find_position(session, subscription_id=subscription_id, lock=True)
    if position is None:
        raise RuntimeError(f"the position of subscription {subscription_id} vanished")
    position.moved_at = at
    return position
