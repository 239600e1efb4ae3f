"""Catalogue entries: making and editing them; and the topic behind each."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from exchange.broker.driver import Broker
from exchange.compatibility import LEVELS
from exchange.errors import CatalogueInvalid, DatasetEnded, DatasetExists
from exchange.models import SHARE_TYPES, UPDATE_MODES, Dataset, DatasetVersion
from exchange.queries import find_dataset, get_dataset
from exchange.schema import BadItems, Item, check_items
from identity.service.abolition import hold_bureau
from infra.clock import city_date
from infra.database import reading, transaction
from infra.errors import Stale
from infra.jobs import enqueue
from infra.journal import append

CODE = re.compile(r"(?=.{1,64}$)[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
RESERVED = frozenset(
    {
        "batches",
        "deliveries",
        "edit",
        "new",
        "proof",
        "quarantine",
        "recalls",
        "records",
        "subscriptions",
        "versions",
    }
)
"""Words that addresses put beside a code, which may itself hold '/' (GB/T 21063): no part of it is one."""
EDITABLE = (
    "name",
    "classification",
    "summary",
    "data_format",
    "share_type",
    "share_condition",
    "legal_basis",
    "is_open",
    "update_cycle",
    "published_on",
    "related_code",
    "compatibility",
)


@dataclass(frozen=True)
class Entry:
    """A new catalogue entry (信息资源目录, GB/T 21063)."""

    code: str
    name: str
    bureau_id: int
    share_type: str
    update_mode: str
    items: Sequence[Item]
    key_items: Sequence[str]
    classification: str = ""
    summary: str = ""
    data_format: str = ""
    share_condition: str = ""
    legal_basis: str = ""
    is_open: bool = False
    update_cycle: str = ""
    published_on: date | None = None
    related_code: str = ""
    compatibility: str = "backward"
    partitions: int = 1


def create_dataset(session: Session, entry: Entry, *, actor: str, at: datetime) -> Dataset:
    """Catalogue a dataset, version 1; a worker makes its topic.

    Raises CatalogueInvalid, DatasetExists, and NotFound or BureauAbolished for a bureau that is not living.
    """
    _check_entry(entry)
    hold_bureau(session, entry.bureau_id)
    if find_dataset(session, code=entry.code):
        raise DatasetExists(dataset=entry.code)
    slug = re.sub(r"[^a-z0-9]+", "-", entry.code.lower()).strip("-")
    dataset = Dataset(
        code=entry.code,
        bureau_id=entry.bureau_id,
        update_mode=entry.update_mode,
        key_items=list(entry.key_items),
        partitions=entry.partitions,
        topic=f"dataset.{slug}.{secrets.token_hex(8)}",
        version=0,
        revision=1,
        created_at=at,
        **{name: getattr(entry, name) for name in EDITABLE},
    )
    session.add(dataset)
    session.flush()
    dataset.version = add_items(session, dataset, entry.items, at=at).version
    record(session, dataset, "dataset.created", actor=actor, at=at, before=None, after=facts_of(dataset))
    enqueue(session, "exchange.make_topic", dataset.id)
    return dataset


def edit_dataset(
    session: Session, *, dataset_id: int, revision: int, changes: dict[str, Any], actor: str, at: datetime
) -> Dataset:
    """Change descriptive fields (`EDITABLE`) of the entry as `revision` showed it.

    Subscriptions that were granted stay; another share type counts for those to come. Raises NotFound,
    DatasetEnded, Stale, CatalogueInvalid.
    """
    dataset = get_dataset(session, dataset_id=dataset_id, lock="to_edit")
    check_not_ended(dataset)
    check_revision(dataset, revision)
    if unknown := sorted(set(changes) - set(EDITABLE)):
        names = ", ".join(unknown)
        raise CatalogueInvalid(
            dataset=dataset.code, why_zh=f"不能修改：{names}", why_en=f"{names} cannot be changed"
        )
    before = facts_of(dataset)
    for name, value in changes.items():
        setattr(dataset, name, value)
    _check_level(dataset.code, dataset.compatibility)
    _check_sharing(
        dataset.code, dataset.name, dataset.share_type, dataset.share_condition, dataset.legal_basis
    )
    dataset.revision += 1
    record(session, dataset, "dataset.edited", actor=actor, at=at, before=before, after=facts_of(dataset))
    return dataset


def check_not_ended(dataset: Dataset) -> None:
    """Raises DatasetEnded."""
    if dataset.ended_at is not None:
        raise DatasetEnded(dataset=dataset.code, ended_on=city_date(dataset.ended_at).isoformat())


def make_topic(engine: Engine, broker: Broker, *, dataset_id: int, at: datetime) -> None:
    """Make the dataset's topic in the log and note it; may be repeated. NotFound, the broker's failures."""
    with reading(engine) as session:
        dataset = get_dataset(session, dataset_id=dataset_id)
        topic, partitions, made = dataset.topic, dataset.partitions, dataset.topic_made_at
    if made is None:
        broker.create_topic(topic, partitions=partitions)
        with transaction(engine) as session:
            get_dataset(session, dataset_id=dataset_id, lock="to_edit").topic_made_at = at


def _check_entry(entry: Entry) -> None:
    if not CODE.fullmatch(entry.code):
        raise CatalogueInvalid(
            dataset=entry.code[:64],
            why_zh="代码由字母、数字和 . _ - 组成，可用 / 分段，每段以字母或数字开头，共不超过 64 个字符",
            why_en="a code has at most 64 letters, digits and . _ -, in parts between /, "
            "each of which begins with a letter or digit",
        )
    if words := sorted(RESERVED & set(entry.code.split("/"))):
        raise CatalogueInvalid(
            dataset=entry.code,
            why_zh=f"代码中不能有系统保留的段：{'、'.join(words)}",
            why_en=f"no part of a code is one of the portal's own words: {', '.join(words)}",
        )
    if entry.update_mode not in UPDATE_MODES:
        raise CatalogueInvalid(
            dataset=entry.code,
            why_zh="更新方式应为 incremental 或 full",
            why_en="the update mode is incremental or full",
        )
    if not 1 <= entry.partitions <= 1000:
        raise CatalogueInvalid(
            dataset=entry.code, why_zh="分区数应为 1 至 1000", why_en="a dataset has 1 to 1000 partitions"
        )
    _check_level(entry.code, entry.compatibility)
    _check_sharing(entry.code, entry.name, entry.share_type, entry.share_condition, entry.legal_basis)
    check_entry_items(entry.code, entry.items, entry.key_items)


def _check_sharing(code: str, name: str, share_type: str, condition: str, basis: str) -> None:
    """《政务信息资源目录编制指南》: conditional sharing states its condition, not sharing its legal basis."""
    if not name.strip():
        raise CatalogueInvalid(dataset=code, why_zh="缺少名称", why_en="it has no name")
    if share_type not in SHARE_TYPES:
        raise CatalogueInvalid(
            dataset=code,
            why_zh="共享类型应为 unconditional、conditional 或 none",
            why_en="the share type is unconditional, conditional or none",
        )
    if share_type == "conditional" and not condition.strip():
        raise CatalogueInvalid(
            dataset=code, why_zh="有条件共享须注明共享条件", why_en="conditional sharing needs its condition"
        )
    if share_type == "none" and not basis.strip():
        raise CatalogueInvalid(
            dataset=code, why_zh="不予共享须注明法律依据", why_en="not sharing needs its legal basis"
        )


def _check_level(code: str, level: str) -> None:
    if level not in LEVELS:
        levels = ", ".join(LEVELS)
        raise CatalogueInvalid(
            dataset=code,
            why_zh=f"兼容性级别应为 {levels} 之一",
            why_en=f"the level of compatibility is one of {levels}",
        )


def check_entry_items(code: str, items: Sequence[Item], key_items: Sequence[str]) -> None:
    """Raises CatalogueInvalid."""
    try:
        check_items(items, key_items)
    except BadItems as error:
        raise CatalogueInvalid(dataset=code, why_zh=error.why_zh, why_en=error.why_en) from error


def check_revision(dataset: Dataset, seen: int) -> None:
    """Raises Stale."""
    if dataset.revision != seen:
        raise Stale(seen=seen, now=dataset.revision)


def add_items(
    session: Session,
    dataset: Dataset,
    items: Sequence[Item],
    *,
    at: datetime,
    from_on: date | None = None,
    reason: str = "",
) -> DatasetVersion:
    """The items of the dataset's next version, which holds once `dataset.version` says so."""
    version = DatasetVersion(
        dataset_id=dataset.id,
        version=dataset.version + 1,
        items=[item.document() for item in items],
        created_at=at,
        from_on=from_on,
        reason=reason,
    )
    session.add(version)
    session.flush()
    return version


def facts_of(dataset: Dataset) -> dict[str, Any]:
    """What the journal keeps of an entry."""
    facts = {name: getattr(dataset, name) for name in ("code", *EDITABLE, "version", "revision")}
    return facts | {"published_on": dataset.published_on.isoformat() if dataset.published_on else None}


def record(
    session: Session,
    dataset: Dataset,
    act: str,
    *,
    actor: str,
    at: datetime,
    before: dict[str, Any] | None,
    after: dict[str, Any],
) -> None:
    """Journal an act on the entry."""
    append(
        session,
        actor=actor,
        act=act,
        subject=f"dataset:{dataset.id}",
        bureau_id=dataset.bureau_id,
        at=at,
        before=before,
        after=after,
    )
