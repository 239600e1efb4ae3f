"""New versions of a dataset's items: compatible ones at once, others after a notice or by force; who it hits.

A version that was announced is in the catalogue with the day from which it holds, and no record comes under
it before a sweep of that day has put it in force.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from approval.queries import holds_role
from approval.service.record import notify
from exchange.compatibility import Break, Level, find_breaks
from exchange.errors import CatalogueInvalid, Incompatible, NothingAnnounced, NoticeTooShort, VersionAnnounced
from exchange.models import LIVE_STATES, Dataset, DatasetVersion, Subscription
from exchange.queries import get_dataset, get_subscription_row
from exchange.schema import Item, read_item
from exchange.service.catalogue import (
    add_items,
    check_entry_items,
    check_not_ended,
    check_revision,
    facts_of,
    record,
)
from exchange.version_queries import find_announced, get_items, known_items, list_versions
from identity.actor import INSTALLATION
from identity.roles import Role
from infra.clock import city_date

NOTICE = timedelta(days=14)
"""How long before it holds a version that breaks somebody is announced."""


def add_version(
    session: Session,
    *,
    dataset_id: int,
    revision: int,
    items: Sequence[Item],
    actor: str,
    at: datetime,
    from_on: date | None = None,
    force: str = "",
) -> Dataset:
    """Give the dataset new items, as its next version: at once, or from the day `from_on` in the city.

    What breaks the dataset's level of compatibility is announced `NOTICE` ahead, or is forced, and `force`
    says why; those who receive what breaks are told. Subscribers go on seeing the items released to them and
    no new one. Raises NotFound, DatasetEnded, Stale, CatalogueInvalid, VersionAnnounced, NoticeTooShort and
    Incompatible, which names every break and everybody whom it hits.
    """
    dataset = get_dataset(session, dataset_id=dataset_id, lock="to_edit")
    check_not_ended(dataset)
    check_revision(dataset, revision)
    check_entry_items(dataset.code, items, dataset.key_items)
    if (pending := find_announced(session, dataset)) is not None:
        raise VersionAnnounced(
            dataset=dataset.code, version=pending.version, from_on=f"{pending.from_on:%Y-%m-%d}"
        )
    _check_returning(session, dataset, items)
    breaks, hit = _effects(session, dataset, items)
    if breaks and from_on is None and not force.strip():
        raise _incompatible(session, dataset, breaks, hit)
    earliest = city_date(at) + (NOTICE if breaks and not force.strip() else timedelta(days=1))
    if from_on is not None and from_on < earliest:
        raise NoticeTooShort(
            dataset=dataset.code, from_on=from_on.isoformat(), earliest_on=earliest.isoformat()
        )
    before = facts_of(dataset)
    version = add_items(session, dataset, items, at=at, from_on=from_on, reason=force.strip())
    if from_on is None:
        dataset.version = version.version
    dataset.revision += 1
    act = "dataset.version_added" if from_on is None else "dataset.version_announced"
    told = _told(version, breaks) | {"subscriptions": [one.id for one in hit]}
    record(session, dataset, act, actor=actor, at=at, before=before, after=facts_of(dataset) | told)
    _tell(session, dataset, version, hit, breaks, at=at)
    return dataset


def withdraw_version(
    session: Session, *, dataset_id: int, revision: int, actor: str, at: datetime
) -> Dataset:
    """Take back the version that was announced; who heard of it hears of that.

    Raises NotFound, Stale, NothingAnnounced.
    """
    dataset = get_dataset(session, dataset_id=dataset_id, lock="to_edit")
    check_revision(dataset, revision)
    version = find_announced(session, dataset)
    if version is None:
        raise NothingAnnounced(dataset=dataset.code)
    breaks, hit = _effects(session, dataset, [read_item(one) for one in version.items])
    before = facts_of(dataset) | _told(version, breaks)
    dataset.revision += 1
    for one in hit:
        _notify(session, dataset, version, one, code="version_withdrawn", at=at, why_zh="", why_en="")
    session.delete(version)
    record(
        session,
        dataset,
        "dataset.version_withdrawn",
        actor=actor,
        at=at,
        before=before,
        after=facts_of(dataset),
    )
    session.flush()
    return dataset


def enter_version(session: Session, *, dataset_id: int, at: datetime) -> None:
    """Put the announced version in force if its day has come; may be repeated. NotFound."""
    dataset = get_dataset(session, dataset_id=dataset_id, lock="to_edit")
    version = find_announced(session, dataset)
    if version is None or version.from_on is None or version.from_on > city_date(at):
        return
    breaks, hit = _effects(session, dataset, [read_item(one) for one in version.items])
    before = facts_of(dataset)
    dataset.version = version.version
    dataset.revision += 1
    record(
        session,
        dataset,
        "dataset.version_entered",
        actor=INSTALLATION.journal_id,
        at=at,
        before=before,
        after=facts_of(dataset),
    )
    _tell(session, dataset, version, hit, breaks, at=at)


def _check_returning(session: Session, dataset: Dataset, items: Sequence[Item]) -> None:
    """An item that was left out comes back as it was, or under another name: to whom it was released it still
    is, and they would see of another item what nobody released to them. Raises CatalogueInvalid.
    """
    known = known_items(session, dataset)
    present = {item.name for item in get_items(session, dataset_id=dataset.id, version=dataset.version)}
    for item in items:
        before = known.get(item.name)
        if before is None or item.name in present:
            continue
        if (item.type, item.sensitivity, item.mask) != (before.type, before.sensitivity, before.mask):
            raise CatalogueInvalid(
                dataset=dataset.code,
                why_zh=f"“{item.name}”曾是另一信息项（类型、敏感级别或脱敏方式不同），请换一个名称",
                why_en=f"“{item.name}” was another item before, of another type, sensitivity or mask; "
                "give it another name",
            )


def _effects(
    session: Session, dataset: Dataset, items: Sequence[Item]
) -> tuple[list[Break], list[Subscription]]:
    """What the items break, and the live subscriptions to which some of that is, or would be, released."""
    history = [
        [read_item(document) for document in one.items]
        for one in list_versions(session, dataset_id=dataset.id)
        if one.version <= dataset.version
    ]
    breaks = find_breaks(history, items, level=cast(Level, dataset.compatibility))
    broken = {one.item for one in breaks if one.reads}
    query = select(Subscription).where(
        Subscription.dataset_id == dataset.id, Subscription.state.in_(LIVE_STATES)
    )
    found = session.scalars(query.order_by(Subscription.id)).all() if broken else ()
    return breaks, [one for one in found if not broken.isdisjoint(one.items)]


def _incompatible(
    session: Session, dataset: Dataset, breaks: Sequence[Break], hit: Sequence[Subscription]
) -> Incompatible:
    rows = [get_subscription_row(session, subscription_id=one.id) for one in hit]
    names_zh = "、".join(
        f"{row.bureau.name}“{row.system.name}”（申请 {row.subscription.id}）" for row in rows
    )
    names_en = ", ".join(
        f"{row.bureau.name} “{row.system.name}” (subscription {row.subscription.id})" for row in rows
    )
    return Incompatible(
        dataset=dataset.code,
        version=dataset.version,
        level=dataset.compatibility,
        why_zh="；".join(one.zh for one in breaks),
        why_en="; ".join(one.en for one in breaks),
        hit_zh=f"受影响的有：{names_zh}" if rows else "没有已有申请受影响",
        hit_en=f"it hits {names_en}" if rows else "it hits no subscription",
        subscriptions=[one.id for one in hit],
        notice_days=NOTICE.days,
    )


def _tell(
    session: Session,
    dataset: Dataset,
    version: DatasetVersion,
    hit: Sequence[Subscription],
    breaks: Sequence[Break],
    *,
    at: datetime,
) -> None:
    code = "version_in_force" if version.version == dataset.version else "version_announced"
    for one in hit:
        mine = [each for each in breaks if each.item in one.items]
        _notify(
            session,
            dataset,
            version,
            one,
            code=code,
            at=at,
            why_zh="；".join(each.zh for each in mine),
            why_en="; ".join(each.en for each in mine),
        )


def _notify(
    session: Session,
    dataset: Dataset,
    version: DatasetVersion,
    subscription: Subscription,
    *,
    code: str,
    at: datetime,
    **why: str,
) -> None:
    """For the stewards of the subscriber's data, or its admins where it has none."""
    bureau_id = subscription.bureau_id
    stewards = holds_role(session, role=Role.data_steward, bureau_id=bureau_id, at=at, person_id=None)
    notify(
        session,
        key=f"{code}:{dataset.id}:{dataset.revision}:{subscription.id}",
        code=code,
        facts={
            "dataset": dataset.name,
            "code": dataset.code,
            "version": version.version,
            "from_on": (version.from_on or city_date(at)).isoformat(),
            "subscription": subscription.id,
            **why,
        },
        subject_kind="subscription",
        subject_id=subscription.id,
        at=at,
        role=(Role.data_steward if stewards else Role.bureau_admin).value,
        bureau_id=bureau_id,
    )


def _told(version: DatasetVersion, breaks: Sequence[Break]) -> dict[str, Any]:
    return {
        "new_version": version.version,
        "items": [one["name"] for one in version.items],
        "from_on": version.from_on.isoformat() if version.from_on else None,
        "forced_because": version.reason,
        "breaks": [one.en for one in breaks],
    }
