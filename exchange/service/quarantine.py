"""Looking at quarantined records, and setting them aside: for the provider's people, journalled."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from exchange.errors import CorrectionInvalid, CorrectionSettled
from exchange.models import QuarantinedRecord
from exchange.queries import get_batch, get_dataset, list_quarantined, lock_quarantined
from infra.journal import append

MOST_AT_ONCE = 10_000


def look_at_quarantine(
    session: Session,
    *,
    batch_id: int,
    actor: str,
    at: datetime,
    after: int = 0,
    limit: int = 50,
    waiting: bool = False,
) -> Sequence[QuarantinedRecord]:
    """A page of a batch's bad records, or of those that wait, by place; the look is journalled as personal.

    Whether `actor` may look is decided before. Raises NotFound.
    """
    found = list_quarantined(session, batch_id=batch_id, after=after, limit=limit, waiting=waiting)
    note_act(session, "looked_at", batch_id=batch_id, actor=actor, at=at, places=[one.place for one in found])
    return found


def discard(
    session: Session, *, batch_id: int, places: Collection[int], reason: str, actor: str, at: datetime
) -> int:
    """Set bad records aside for good; how many were not yet. Whether `actor` may is decided before.

    Raises NotFound, CorrectionInvalid, CorrectionSettled.
    """
    if not reason.strip():
        raise CorrectionInvalid(batch=batch_id, why_zh="放弃须写明理由", why_en="discarding needs a reason")
    records = lock_records(session, batch_id=batch_id, places=places)
    waiting = [one for one in records if one.state == "waiting"]
    for one in records:
        if one.state == "redriven":
            raise settled(one)
    for one in waiting:
        one.state, one.reason, one.settled_by, one.settled_at = "discarded", reason.strip(), actor, at
    taken = [one.place for one in waiting]
    if taken:
        note_act(
            session, "discarded", batch_id=batch_id, actor=actor, at=at, places=taken, reason=reason.strip()
        )
    return len(taken)


def lock_records(session: Session, *, batch_id: int, places: Collection[int]) -> Sequence[QuarantinedRecord]:
    """The bad records at all of those places, locked, by place. Raises CorrectionInvalid."""
    if not 0 < len(places) <= MOST_AT_ONCE:
        raise CorrectionInvalid(
            batch=batch_id,
            why_zh=f"一次处理 1 至 {MOST_AT_ONCE:,} 条",
            why_en=f"1 to {MOST_AT_ONCE:,} records at a time",
        )
    if len(set(places)) < len(places):
        raise CorrectionInvalid(
            batch=batch_id, why_zh="同一位置给了两次", why_en="a place is given more than once"
        )
    found = lock_quarantined(session, batch_id=batch_id, places=places)
    if missing := sorted(set(places) - {one.place for one in found}):
        raise CorrectionInvalid(
            batch=batch_id,
            why_zh=f"位置 {missing[0]} 没有问题数据",
            why_en=f"there is no bad record at place {missing[0]}",
        )
    return found


def settled(record: QuarantinedRecord) -> CorrectionSettled:
    """The refusal of what was settled otherwise."""
    if record.state == "redriven":
        zh, en = f"已更正入库（回执 {record.redriven_into}）", f"redriven into receipt {record.redriven_into}"
    else:
        zh, en = "已放弃", "discarded"
    return CorrectionSettled(batch=record.batch_id, place=record.place, how_zh=zh, how_en=en)


def note_act(
    session: Session,
    act: str,
    *,
    batch_id: int,
    actor: str,
    at: datetime,
    places: Sequence[int],
    **told: Any,
) -> None:
    """Journal an act on bad records of a batch, which may be personal. Raises NotFound."""
    dataset = get_dataset(session, dataset_id=get_batch(session, batch_id=batch_id).dataset_id)
    append(
        session,
        actor=actor,
        act=f"quarantine.{act}",
        subject=f"batch:{batch_id}",
        bureau_id=dataset.bureau_id,
        at=at,
        after={"dataset": dataset.code, "places": list(places), **told},
        personal=True,
    )
