"""The generation of a dataset that is replaced in full, as the changes that would publish it anew."""

from dataclasses import dataclass

from sqlalchemy import Engine, or_, select
from sqlalchemy.orm import Session

from exchange.batch import Change
from exchange.broker.driver import Broker
from exchange.digest import read_canonical
from exchange.errors import NotRedrivable
from exchange.models import Batch, Dataset
from exchange.queries import find_generation
from exchange.service.ranges import read_range
from infra.database import locked, reading


@dataclass(frozen=True)
class Base:
    """The generation that corrections are laid upon: its receipt and its records."""

    batch_id: int
    changes: tuple[Change, ...]


def base_of(
    engine: Engine, broker: Broker, batch: Batch, dataset: Dataset, *, before: int | None = None
) -> Base:
    """The newest generation, if it is the batch's own or corrects it; or that of before a claim with that id.

    Raises NotRedrivable and the broker's failures.
    """
    with reading(engine) as session:
        found = find_generation(session, dataset_id=dataset.id)
        if before is not None:
            own = or_(Batch.id == batch.id, Batch.corrects_id == batch.id)
            earlier = select(Batch).where(own, Batch.id < before, Batch.state == "settled")
            found = session.scalars(earlier.order_by(Batch.id.desc()).limit(1)).one_or_none()
        session.expunge_all()
    if found is None or batch.id not in (found.id, found.corrects_id):
        raise _replaced(batch, found)
    return Base(found.id, tuple(_changes(broker, dataset.topic, found)))


def check_base(session: Session, batch: Batch, base: Base, claim: Batch) -> None:
    """In the transaction that claims the corrected generation: nothing came in between, nor is on its way.

    Raises NotRedrivable.
    """
    session.scalar(locked(select(Batch).where(Batch.id == batch.id), key_share=True))
    found = find_generation(session, dataset_id=batch.dataset_id)
    others = select(Batch.id).where(
        Batch.dataset_id == batch.dataset_id, Batch.state == "claimed", Batch.id != claim.id
    )
    underway = session.scalars(others.order_by(Batch.id).limit(1)).one_or_none()
    if found is None or found.id != base.batch_id:
        raise _replaced(batch, found)
    if underway is not None:
        raise NotRedrivable(
            batch=batch.id,
            why_zh=f"另一批（回执 {underway}）正在写入",
            why_en=f"another batch, receipt {underway}, is being stored",
        )


def _changes(broker: Broker, topic: str, batch: Batch) -> list[Change]:
    found = []
    for partition, (first, last, _count) in sorted((batch.spans or {}).items()):
        for record in read_range(broker, topic, int(partition), first, last, marker=batch.marker):
            found.append(Change(read_canonical(record.value or b"{}")))
    return found


def _replaced(batch: Batch, found: Batch | None) -> NotRedrivable:
    if found is None or found.id < batch.id:
        return NotRedrivable(
            batch=batch.id, why_zh="该批没有合格记录入库", why_en="no record of the batch was good"
        )
    return NotRedrivable(
        batch=batch.id,
        why_zh=f"数据已由回执 {found.id} 整体替换",
        why_en=f"receipt {found.id} has replaced its data",
    )
