"""Subscriptions: asking for items of a dataset, the provider's answer, and what happens to them afterwards.

A subscription is the subject of a case of approval/: unconditional sharing is answered by the case itself,
conditional sharing by the provider's data steward.
"""

import secrets
from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from approval.flow import Decision, Outcome
from approval.queries import get_case
from approval.service import decide, edit_case, open_case, submit_case, withdraw
from exchange.errors import SubscriptionExists
from exchange.models import Dataset, Subscription
from exchange.queries import (
    find_subscription_of_case,
    get_dataset,
    get_subscription,
    lock_live_subscription,
)
from exchange.service.continuing import continue_place, find_continued
from exchange.service.standing import (
    SUBJECT,
    Filters,
    Masks,
    check_masks,
    check_shared,
    check_wish,
    check_wished_filters,
    facts,
    in_state,
    invalid,
    items_of,
    move,
    narrowed,
    plain,
    record,
)
from identity.models import System
from identity.service.tree import keep_tree_still
from infra.clock import city_date
from infra.database import locked, serialise
from infra.errors import NotFound

STEP = "decide"
ITEM_CODES = {
    "unconditional": "data-subscription-unconditional",
    "conditional": "data-subscription-conditional",
}


def request_subscription(
    session: Session,
    *,
    dataset_id: int,
    system_id: int,
    person_id: int,
    items: Sequence[str],
    purpose: str,
    basis: str,
    until_on: date,
    at: datetime,
    masks: Masks | None = None,
    filters: Filters = (),
) -> Subscription:
    """Ask for `items` of a dataset until `until_on`, inclusive: a case of approval, submitted at once.

    An unconditional dataset is granted here and now. One that was granted before and ended is continued.
    `masks` by item are the subscriber's own wish and leave the items alone that the catalogue masks;
    `filters` are on items that it asks for. Raises NotFound, DatasetEnded, NotShared, SubscriptionInvalid
    and SubscriptionExists.
    """
    keep_tree_still(session)
    serialise(session, f"exchange.subscription:{dataset_id}:{system_id}")
    dataset = get_dataset(session, dataset_id=dataset_id, lock="to_refer")
    held = locked(select(System).where(System.id == system_id), read=True)  # nobody retires it meanwhile
    system = session.scalar(held)
    if system is None or system.retired_at is not None:
        key = system_id if system is None else system.code
        raise NotFound(what_zh="信息系统", what_en="information system", key=key)
    check_shared(dataset)
    known = items_of(session, dataset)
    check_wish(dataset, known, items, purpose=purpose, basis=basis, until_on=until_on, at=at)
    wished = {} if masks is None else dict(masks)
    check_masks(dataset, known, items, wished)
    if any(mask is None or known[name].mask for name, mask in wished.items()):
        raise invalid(
            dataset, "不能改动目录规定的脱敏方式", "what the catalogue masks is the provider's to decide"
        )
    _make_way(session, dataset, system_id, at=at)
    earlier = find_continued(session, dataset_id=dataset.id, system_id=system.id, bureau_id=system.bureau_id)
    subscription = Subscription(
        dataset_id=dataset.id,
        system_id=system.id,
        bureau_id=system.bureau_id,
        items=list(items),
        masks=wished,
        filters=check_wished_filters(dataset, known, items, filters),
        purpose=purpose.strip(),
        basis=basis.strip(),
        until_on=until_on,
        state="pending",
        reason="",
        mask_key=secrets.token_hex(32) if earlier is None else earlier.mask_key,
        continues_id=None if earlier is None else earlier.id,
        requested_at=at,
        revision=1,
    )
    session.add(subscription)
    session.flush()
    case = open_case(
        session,
        item_code=ITEM_CODES[dataset.share_type],
        applicant_id=person_id,
        bureau_id=system.bureau_id,
        subject_kind=SUBJECT,
        subject_id=subscription.id,
        at=at,
    )
    subscription.case_id = case.id
    record(session, subscription, "requested", actor=f"person:{person_id}", at=at, before=None)
    places = {"provider": dataset.bureau_id}
    outcome = submit_case(session, case_id=case.id, person_id=person_id, places=places, at=at)
    _follow(session, subscription, outcome, actor=f"person:{person_id}", reason="", at=at)
    return subscription


def edit_subscription(
    session: Session,
    *,
    subscription_id: int,
    person_id: int,
    revision_seen: int,
    at: datetime,
    items: Sequence[str] | None = None,
    purpose: str | None = None,
    basis: str | None = None,
    until_on: date | None = None,
    filters: Filters | None = None,
) -> Subscription:
    """Change what a pending subscription asks for; its case begins again. `revision_seen` is the case's.

    `filters` replace those asked for before.

    Raises NotFound, SubscriptionState, SubscriptionInvalid, and as approval's `edit_case`.
    """
    subscription = in_state(session, subscription_id, ("pending",))
    dataset = get_dataset(session, dataset_id=subscription.dataset_id)
    known = items_of(session, dataset)
    before = facts(subscription)
    subscription.items = subscription.items if items is None else list(items)
    subscription.purpose = subscription.purpose if purpose is None else purpose.strip()
    subscription.basis = subscription.basis if basis is None else basis.strip()
    subscription.until_on = until_on or subscription.until_on
    subscription.masks = {
        name: mask for name, mask in subscription.masks.items() if name in subscription.items
    }
    check_wish(
        dataset,
        known,
        subscription.items,
        purpose=subscription.purpose,
        basis=subscription.basis,
        until_on=subscription.until_on,
        at=at,
    )
    wished = plain(subscription.filters) if filters is None else filters
    subscription.filters = check_wished_filters(dataset, known, subscription.items, wished)
    subscription.revision += 1
    outcome = edit_case(
        session,
        case_id=_case_id(subscription),
        person_id=person_id,
        revision_seen=revision_seen,
        at=at,
        before=before,
        after=facts(subscription),
    )
    _follow(session, subscription, outcome, actor=f"person:{person_id}", reason="", at=at)
    return subscription


def decide_subscription(
    session: Session,
    *,
    subscription_id: int,
    person_id: int,
    decision: Decision,
    revision_seen: int,
    at: datetime,
    reason: str = "",
    masks: Masks | None = None,
    filters: Filters = (),
) -> Subscription:
    """The provider's data steward answers a pending subscription. `revision_seen` is the case's.

    `masks` by item go before the catalogue's and the subscriber's; null releases an item as it is. `filters`,
    on any item, are added to its own. A refusal and a return need a reason. Raises NotFound,
    SubscriptionState, SubscriptionInvalid, NotShared, and as approval's `decide`.
    """
    subscription = in_state(session, subscription_id, ("pending",))
    dataset = get_dataset(session, dataset_id=subscription.dataset_id)
    if decision == "approve":
        check_shared(dataset)
        if subscription.until_on < city_date(at):
            raise invalid(dataset, "申请的使用期限已过", "the last day it asks for is past")
        known = items_of(session, dataset)
        if masks:
            check_masks(dataset, known, subscription.items, masks)
            subscription.masks = {**subscription.masks, **masks}
        if filters:
            subscription.filters = narrowed(subscription, dataset, known, filters)
    outcome = decide(
        session,
        case_id=_case_id(subscription),
        step_key=STEP,
        person_id=person_id,
        decision=decision,
        revision_seen=revision_seen,
        reason=reason,
        at=at,
    )
    _follow(session, subscription, outcome, actor=f"person:{person_id}", reason=reason, at=at)
    return subscription


def withdraw_subscription(
    session: Session, *, subscription_id: int, person_id: int, at: datetime, reason: str = ""
) -> Subscription:
    """The applicant takes it back while pending. NotFound, SubscriptionState, as approval's `withdraw`."""
    subscription = in_state(session, subscription_id, ("pending",))
    withdraw(session, case_id=_case_id(subscription), person_id=person_id, reason=reason, at=at)
    move(session, subscription, "withdrawn", actor=f"person:{person_id}", reason=reason, at=at)
    return subscription


def follow_case(session: Session, *, case_id: int, actor: str, at: datetime) -> None:
    """Let a pending subscription be what became of its case by an act on the case alone; may be repeated."""
    found = find_subscription_of_case(session, case_id=case_id)
    if found is None:
        return
    subscription = get_subscription(session, subscription_id=found.id, lock=True)
    if subscription.state != "pending":
        return
    case = get_case(session, case_id)
    if case.state in ("withdrawn", "abandoned"):
        move(session, subscription, "withdrawn", actor=actor, reason="", at=at)
    elif case.state == "decided":
        subscription.decided_at = case.ended_at
        state = "active" if case.outcome == "approved" else "refused"
        move(session, subscription, state, actor=actor, reason="", at=at)


def case_revision(session: Session, *, subscription: Subscription) -> int:
    """The revision of the subscription's case, which edits and decisions carry; NotFound."""
    return get_case(session, _case_id(subscription)).revision


def revision_to_act_on(session: Session, *, subscription: Subscription) -> int:
    """The revision that the next act must have seen: the case's while it is pending, then its own.

    It never returns to an earlier value: while pending, both rise together, and each end of a case raises
    the subscription's own.
    """
    if subscription.state == "pending":
        return case_revision(session, subscription=subscription)
    return subscription.revision


def _follow(
    session: Session, subscription: Subscription, outcome: Outcome, *, actor: str, reason: str, at: datetime
) -> None:
    """Let the subscription be what its case has decided."""
    if outcome.decided:
        subscription.decided_at = at
        state = "active" if outcome.approved else "refused"
        move(session, subscription, state, actor=actor, reason=reason, at=at)
        if outcome.approved:
            continue_place(session, subscription, at=at)


def _make_way(session: Session, dataset: Dataset, system_id: int, *, at: datetime) -> None:
    """One live subscription per system and dataset; one past its last day is none."""
    live = lock_live_subscription(session, dataset_id=dataset.id, system_id=system_id)
    if live is None:
        return
    if live.state == "pending" or live.until_on >= city_date(at):
        raise SubscriptionExists(dataset=dataset.code, subscription=live.id)
    move(session, live, "expired", actor="installation", reason="", at=at)


def _case_id(subscription: Subscription) -> int:
    if subscription.case_id is None:
        raise NotFound(what_zh="办件", what_en="case of subscription", key=subscription.id)
    return subscription.case_id
