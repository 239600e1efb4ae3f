"""Recalls: records published wrongly are deleted, and who got any of them is named and told.

What is taken back, and who had it by then, is noted first; then the deletes are published as a batch of the
recall's own; then who got it meanwhile is named too, and the recall is done. Killed in between, the same
again, or the sweep, goes on where it was: the batch is known by its key.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from exchange.batch import Change
from exchange.broker.driver import Broker, BrokerRetryable, LogRecord
from exchange.digest import canonical, partition_of, read_canonical, sm3
from exchange.errors import KeyReused, NotProvider, RecallInvalid
from exchange.models import Batch, Dataset
from exchange.queries import get_dataset
from exchange.recall_models import Recall
from exchange.service.catalogue import check_not_ended
from exchange.service.newer import find_newer
from exchange.service.publish import publish_batch
from exchange.service.ranges import read_range
from exchange.service.receivers import name_receivers
from identity.models import System
from infra.database import insert_once, locked, reading, transaction
from infra.errors import NotFound
from infra.journal import append

MOST_RECALLED = 10_000
LIMIT_DAYS = 5


@dataclass(frozen=True)
class Scope:
    """What is taken back: the records of the batch `batch_id`, all or those of `keys`; without a batch, all
    records of the keys. A key is an object of the dataset's key items.
    """

    batch_id: int | None = None
    keys: tuple[Mapping[str, Any], ...] = ()

    def document(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"batch": self.batch_id, "keys": [dict(key) for key in self.keys]}


def recall(
    engine: Engine,
    broker: Broker,
    *,
    dataset_id: int,
    publisher_id: int,
    key: str,
    scope: Scope,
    reason: str,
    actor: str,
    at: datetime,
    now: Callable[[], datetime],
) -> Recall:
    """Take records back, once however often the `key` comes; whether `actor` may is decided before.

    Raises NotFound, NotProvider, DatasetEnded, RecallInvalid, KeyReused, and as `publish_batch`.
    """
    with reading(engine) as session:
        dataset = get_dataset(session, dataset_id=dataset_id)
        digest = sm3(_written(dataset, {"scope": scope.document(), "reason": reason.strip()})).hex()
        known = _find(session, dataset_id, publisher_id, key)
        if known is None:
            _check(session, dataset, publisher_id, key, scope, reason)
        batch = session.get(Batch, scope.batch_id) if scope.batch_id is not None else None
        session.expunge_all()
    if known is None:
        found = _locate(broker, dataset, batch, scope)
        deletes = _to_delete(engine, broker, dataset, batch, found)
        known = _begin(
            engine,
            found,
            dataset_id=dataset_id,
            publisher_id=publisher_id,
            key=key,
            request_digest=digest,
            reason=reason.strip(),
            deletes=deletes,
            begun_by=actor,
            begun_at=at,
        )
    if known.request_digest != digest:
        raise KeyReused(key=key, dataset=dataset.code, batch=known.receipt_id)
    return finish_recall(engine, broker, recall_id=known.id, at=at, now=now)


def finish_recall(
    engine: Engine, broker: Broker, *, recall_id: int, at: datetime, now: Callable[[], datetime]
) -> Recall:
    """Bring a recall that was begun to its end; one that is done stays as it is. Raises as `recall`."""
    with reading(engine) as session:
        known = session.get_one(Recall, recall_id)
        session.expunge_all()
    if known.done_at is not None:
        return known
    receipt = None
    if known.deletes:
        receipt = publish_batch(
            engine,
            broker,
            dataset_id=known.dataset_id,
            publisher_id=known.publisher_id,
            key=f"recall:{recall_id}",
            changes=[Change(key, delete=True) for key in known.deletes],
            at=at,
            now=now,
        ).id
    records = _records_at(engine, broker, known)
    with transaction(engine) as session:
        known = session.scalars(locked(select(Recall).where(Recall.id == recall_id))).one()
        if known.done_at is None:
            name_receivers(session, known, records, at=now())
            known.receipt_id, known.done_at = receipt, now()
        session.flush()
        session.expunge_all()
    return known


def get_recall(session: Session, *, recall_id: int) -> Recall:
    """The recall; NotFound."""
    found = session.get(Recall, recall_id)
    if found is None:
        raise NotFound(what_zh="撤回", what_en="recall", key=recall_id)
    return found


def list_recalls(
    session: Session, *, dataset_id: int, before: int | None = None, limit: int = 50
) -> list[Recall]:
    """Recalls of a dataset, the newest first; `before` is the last id seen."""
    query = select(Recall).where(Recall.dataset_id == dataset_id)
    if before is not None:
        query = query.where(Recall.id < before)
    return list(session.scalars(query.order_by(Recall.id.desc()).limit(limit)))


def list_undone(session: Session) -> list[int]:
    """Recalls that were begun and are not done."""
    return list(session.scalars(select(Recall.id).where(Recall.done_at.is_(None)).order_by(Recall.id)))


def _find(session: Session, dataset_id: int, publisher_id: int, key: str) -> Recall | None:
    own = Recall.dataset_id == dataset_id, Recall.publisher_id == publisher_id, Recall.key == key
    return session.scalar(select(Recall).where(*own))


def _check(
    session: Session, dataset: Dataset, publisher_id: int, key: str, scope: Scope, reason: str
) -> None:
    check_not_ended(dataset)
    system = session.get(System, publisher_id)
    if system is None:
        raise NotFound(what_zh="信息系统", what_en="information system", key=publisher_id)
    if system.bureau_id != dataset.bureau_id or system.retired_at is not None:
        raise NotProvider(system=system.code, dataset=dataset.code)
    if not 1 <= len(key) <= 100 or not key.isprintable():
        raise _invalid(
            dataset,
            "幂等键应为 1 至 100 个可打印字符",
            "the key has 1 to 100 printable characters",
        )
    if dataset.update_mode == "full":
        raise _invalid(
            dataset,
            "它按全量更新，请重新发布不含这些数据的一批",
            "it is replaced in full by each batch; publish one without these records",
        )
    if not 1 <= len(reason.strip()) <= 2000:
        raise _invalid(dataset, "撤回理由应为 1 至 2000 字", "a reason of 1 to 2000 characters is needed")
    if scope.batch_id is None and not scope.keys:
        raise _invalid(dataset, "须指明回执或主键", "name a receipt or keys")
    if any(set(one) != set(dataset.key_items) for one in scope.keys):
        raise _invalid(dataset, "主键须正好包含各主键项", "a key has exactly the key items")
    if scope.batch_id is not None:
        batch = session.get(Batch, scope.batch_id)
        if batch is None or batch.dataset_id != dataset.id or batch.state != "settled":
            raise NotFound(what_zh="回执", what_en="receipt", key=scope.batch_id)


def _locate(broker: Broker, dataset: Dataset, batch: Batch | None, scope: Scope) -> list[LogRecord]:
    """The records of the scope that have values, as they lie in the log. Raises RecallInvalid."""
    keys = {_written(dataset, dict(one)) for one in scope.keys}
    if batch is not None:
        spans = {int(p): (first, last) for p, (first, last, _) in (batch.spans or {}).items()}
    else:
        ends = broker.end_offsets(dataset.topic) if broker.partitions(dataset.topic) is not None else {}
        wanted = {partition_of(one, dataset.partitions) for one in keys}
        spans = {p: (0, ends[p] - 1) for p in sorted(wanted & ends.keys())}
    marker = batch.marker if batch is not None else None
    found: list[LogRecord] = []
    for partition, (first, last) in spans.items():
        for record in read_range(broker, dataset.topic, partition, first, last):
            own = marker is None or record.headers.get("batch") == marker
            if own and record.value is not None and (not keys or record.key in keys):
                found.append(record)
            if len(found) > MOST_RECALLED:
                raise _invalid(
                    dataset,
                    f"一次最多撤回 {MOST_RECALLED:,} 条，请按主键分次撤回",
                    f"at most {MOST_RECALLED:,} records at a time; recall them by keys",
                )
    if not found:
        raise _invalid(dataset, "没有找到所指的数据", "there are no such records")
    return found


def _to_delete(
    engine: Engine, broker: Broker, dataset: Dataset, batch: Batch | None, found: Sequence[LogRecord]
) -> list[Any]:
    """The keys of which nothing newer was published than what is taken back, each once."""
    keys = dict.fromkeys(record.key for record in found)
    if batch is not None:
        by_partition: dict[int, set[bytes]] = {}
        for record in found:
            by_partition.setdefault(record.partition, set()).add(record.key)
        newest = find_newer(engine, broker, batch, dataset, by_partition)
        if not keys.keys() <= newest.keys():  # what was just found was not read again
            raise BrokerRetryable(
                operation="read",
                topic=dataset.topic,
                why_zh="未读到全部记录",
                why_en="not all of it was read",
            )
        keys = dict.fromkeys(one for one in keys if newest.get(one) == batch.id)
    return [read_canonical(one) for one in keys]


def _begin(engine: Engine, found: Sequence[LogRecord], **values: Any) -> Recall:
    """The recall and its receivers so far, in one transaction; or the one that another process began."""
    offsets: dict[str, list[int]] = {}
    for record in found:
        offsets.setdefault(str(record.partition), []).append(record.offset)
    with transaction(engine) as session:
        own = values["dataset_id"], values["publisher_id"], values["key"]
        new = insert_once(session, Recall, **values, offsets=offsets, limit_days=LIMIT_DAYS)
        begun = _find(session, *own)
        if begun is None:
            raise NotFound(what_zh="撤回", what_en="recall", key=values["key"])
        if new:
            name_receivers(session, begun, found, at=values["begun_at"])
            dataset = get_dataset(session, dataset_id=begun.dataset_id)
            append(
                session,
                actor=begun.begun_by,
                act="recall.begun",
                subject=f"recall:{begun.id}",
                bureau_id=dataset.bureau_id,
                at=begun.begun_at,
                after={"dataset": dataset.code, "records": len(found), "reason": begun.reason},
            )
        session.flush()
        session.expunge_all()
    return begun


def _records_at(engine: Engine, broker: Broker, known: Recall) -> list[LogRecord]:
    with reading(engine) as session:
        topic = get_dataset(session, dataset_id=known.dataset_id).topic
    found: list[LogRecord] = []
    for partition, offsets in known.offsets.items():
        wanted = set(offsets)
        part = read_range(broker, topic, int(partition), min(offsets), max(offsets))
        found += [record for record in part if record.offset in wanted]
    return found


def _written(dataset: Dataset, value: Any) -> bytes:
    try:
        return canonical(value)
    except (ValueError, RecursionError) as error:
        raise _invalid(dataset, "内容不是规范的 JSON", "it has no canonical JSON") from error


def _invalid(dataset: Dataset, zh: str, en: str) -> RecallInvalid:
    return RecallInvalid(dataset=dataset.code, why_zh=zh, why_en=en)
