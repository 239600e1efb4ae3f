"""What all acts on a subscription share: is it as they need it, is what they set allowed, and the journal."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from exchange.errors import NotShared, SubscriptionInvalid, SubscriptionState
from exchange.filtering import MAX_FILTERS, BadFilter, Filter, declare, read_filter
from exchange.masking import BadMask, Mask, check_mask, read_mask
from exchange.models import Dataset, Subscription
from exchange.queries import get_subscription
from exchange.schema import Item
from exchange.service.catalogue import check_not_ended
from exchange.version_queries import get_items
from infra.clock import city_date
from infra.errors import Stale
from infra.jobs import enqueue
from infra.journal import append

SUBJECT = "subscription"
ENDED = ("refused", "withdrawn", "revoked", "expired")
STATES_ZH = {
    "pending": "待答复",
    "active": "有效",
    "paused": "已暂停",
    "refused": "已拒绝",
    "withdrawn": "已撤回",
    "revoked": "已撤销",
    "expired": "已到期",
}
Masks = Mapping[str, Mapping[str, Any] | None]
Filters = Sequence[Mapping[str, Any]]
"""Each an item, an operator and values, as `exchange.filtering.declare` takes them."""


def move(
    session: Session, subscription: Subscription, state: str, *, actor: str, reason: str, at: datetime
) -> None:
    """Put the subscription in another state, journalled."""
    before = facts(subscription)
    subscription.state, subscription.reason = state, reason.strip()
    subscription.revision += 1
    if state in ENDED:
        subscription.ended_at = at
    record(session, subscription, state, actor=actor, at=at, before=before)
    session.flush()
    enqueue(session, "exchange.keep_rights", lasts_s=60)


def in_state(session: Session, subscription_id: int, states: Sequence[str]) -> Subscription:
    """The subscription, locked; NotFound, SubscriptionState."""
    subscription = get_subscription(session, subscription_id=subscription_id, lock=True)
    if subscription.state not in states:
        zh = STATES_ZH[subscription.state]
        raise SubscriptionState(subscription=subscription_id, state=subscription.state, state_zh=zh)
    return subscription


def seen(session: Session, subscription_id: int, states: Sequence[str], revision_seen: int) -> Subscription:
    """The subscription, locked, as the person saw it; NotFound, SubscriptionState, Stale."""
    subscription = in_state(session, subscription_id, states)
    if subscription.revision != revision_seen:
        raise Stale(seen=revision_seen, now=subscription.revision)
    return subscription


def items_of(session: Session, dataset: Dataset) -> dict[str, Item]:
    """The items of the dataset's newest version by name."""
    return {item.name: item for item in get_items(session, dataset_id=dataset.id, version=dataset.version)}


def mask_on(item: Item, subscription: Subscription) -> Mask | None:
    """How the subscriber sees the item: the subscription's own word on it, else the catalogue's."""
    if item.name not in subscription.masks:
        return item.mask
    document = subscription.masks[item.name]
    return None if document is None else read_mask(document)


def check_shared(dataset: Dataset) -> None:
    """Raises DatasetEnded, NotShared."""
    check_not_ended(dataset)
    if dataset.share_type == "none":
        raise NotShared(dataset=dataset.code, basis=dataset.legal_basis)


def check_wish(
    dataset: Dataset,
    known: Mapping[str, Item],
    items: Sequence[str],
    *,
    purpose: str,
    basis: str,
    until_on: date,
    at: datetime,
) -> None:
    """Whether that may be asked for; raises SubscriptionInvalid."""
    check_items(dataset, known, items)
    if not purpose.strip():
        raise invalid(dataset, "须写明使用用途", "it needs a purpose")
    if dataset.share_type == "conditional" and not basis.strip():
        raise invalid(dataset, "有条件共享须写明使用依据", "conditional sharing needs the basis of the use")
    if max(len(purpose), len(basis)) > 2000:
        raise invalid(
            dataset, "用途或依据超过 2000 个字符", "its purpose or basis has more than 2000 characters"
        )
    if until_on < city_date(at):
        raise invalid(dataset, "使用期限早于今天", "its last day is past")


def check_items(dataset: Dataset, known: Mapping[str, Item], items: Sequence[str]) -> None:
    """Whether those are items of the dataset; raises SubscriptionInvalid."""
    if not items or len(set(items)) != len(items) or not set(items) <= known.keys():
        raise invalid(
            dataset,
            "所申请的信息项应为目录所列，至少一项且不重复",
            "it asks for items of the catalogue, at least one and each once",
        )


def check_masks(dataset: Dataset, known: Mapping[str, Item], items: Sequence[str], masks: Masks) -> None:
    """Whether the masks fit the items asked for; raises SubscriptionInvalid."""
    if not masks.keys() <= set(items):
        raise invalid(dataset, "脱敏方式只能用于所申请的信息项", "masks are for the items that it asks for")
    for name, document in masks.items():
        if document is not None:
            try:
                check_mask(read_mask(document), item_type=known[name].type)
            except BadMask as error:
                raise invalid(dataset, error.why_zh, error.why_en) from error


def check_filters(
    dataset: Dataset, known: Mapping[str, Item], filters: Filters, *, before_grant: bool
) -> list[Filter]:
    """The filters that those documents declare for `known` items; raises SubscriptionInvalid."""
    try:
        return declare(filters, items=known, key_items=dataset.key_items, before_grant=before_grant)
    except BadFilter as error:
        raise invalid(dataset, error.why_zh, error.why_en) from error


def check_wished_filters(
    dataset: Dataset, known: Mapping[str, Item], items: Sequence[str], filters: Filters
) -> list[dict[str, Any]]:
    """The filters that a subscriber asks for, as they are kept; raises SubscriptionInvalid.

    Only on items that it asks for, and that the catalogue does not mask: by what comes and what does not, it
    could tell what a mask hides.
    """
    open_to_it = {name: known[name] for name in items if known[name].mask is None}
    for one in filters:
        if one.get("item") not in open_to_it:
            raise invalid(
                dataset,
                "筛选条件只能用于所申请的、且目录未规定脱敏的信息项",
                "filters are for the items that it asks for and that the catalogue does not mask",
            )
    return documents_of(check_filters(dataset, open_to_it, filters, before_grant=True))


def documents_of(filters: Sequence[Filter]) -> list[dict[str, Any]]:
    """As a subscription keeps them, each once."""
    distinct = [one for n, one in enumerate(filters) if not any(map(one.says_the_same, filters[:n]))]
    return [one.document() for one in distinct]


def plain(documents: Filters) -> list[dict[str, Any]]:
    """Kept filters as they were asked for."""
    return [{name: one[name] for name in ("item", "operator", "values")} for one in documents]


def narrowed(
    subscription: Subscription, dataset: Dataset, known: Mapping[str, Item], further: Filters
) -> list[dict[str, Any]]:
    """The subscription's filters with further ones, as they are kept; raises SubscriptionInvalid."""
    own = [read_filter(document) for document in subscription.filters]
    added = check_filters(dataset, known, further, before_grant=subscription.state == "pending")
    if len(own) + len(added) > MAX_FILTERS:
        raise invalid(
            dataset, f"筛选条件合计最多 {MAX_FILTERS} 条", f"it has at most {MAX_FILTERS} filters in all"
        )
    return documents_of([*own, *added])


def invalid(dataset: Dataset, why_zh: str, why_en: str) -> SubscriptionInvalid:
    """The refusal, with its reason in both languages."""
    return SubscriptionInvalid(dataset=dataset.code, why_zh=why_zh, why_en=why_en)


def facts(subscription: Subscription) -> dict[str, Any]:
    """What the journal keeps of a subscription."""
    names = (
        "dataset_id",
        "system_id",
        "items",
        "masks",
        "filters",
        "purpose",
        "basis",
        "until_on",
        "state",
        "reason",
        "revision",
    )
    return {name: getattr(subscription, name) for name in names}


def record(
    session: Session,
    subscription: Subscription,
    act: str,
    *,
    actor: str,
    at: datetime,
    before: dict[str, Any] | None,
) -> None:
    """Journal an act on the subscription."""
    append(
        session,
        actor=actor,
        act=f"subscription.{act}",
        subject=f"{SUBJECT}:{subscription.id}",
        bureau_id=subscription.bureau_id,
        at=at,
        before=before,
        after=facts(subscription),
    )
