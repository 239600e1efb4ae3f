"""What is done to a subscription: the provider's answer and later acts, the applicant's withdrawal."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from approval.flow import DECISIONS, Decision
from exchange.files import FORMATS
from exchange.models import Subscription
from exchange.queries import get_dataset, get_subscription
from exchange.service.entitlements import (
    narrow_subscription,
    pause_subscription,
    prolong_subscription,
    release_items,
    resume_subscription,
    revoke_subscription,
)
from exchange.service.standing import Filters, Masks, items_of, plain
from exchange.service.subscriptions import decide_subscription, withdraw_subscription
from identity.roles import Permission as P
from infra.database import reading
from infra.errors import SijiError
from portal.access import Log
from portal.exporting import file_of
from portal.flash import Pair, onward
from portal.form import CORRECTABLE, Form, Sent, SentForm
from portal.needs import Asker, form_needs
from portal.numbers import RowId
from portal.pages.filter_fields import typed_filters
from portal.pages.mask_fields import AS_CATALOGUED, typed_mask
from portal.pages.subscriptions import show_subscription

router = APIRouter(include_in_schema=False)
NEEDS_REASON = ("请写明理由", "Say why")
Provider = Annotated[Asker, form_needs(P.subscriptions_decide)]
Subscriber = Annotated[Asker, form_needs(P.subscriptions_request)]
SAID: dict[str, Pair] = {
    "approve": ("已同意共享", "The subscription is granted"),
    "refuse": ("已拒绝", "The subscription is refused"),
    "return": ("已退回申请人修改", "The subscription was sent back to its applicant"),
    "withdraw": ("已撤回", "The subscription is withdrawn"),
    "pause": ("已暂停，暂停期间不再提供数据", "Paused: nothing is handed out until it is resumed"),
    "resume": ("已恢复", "Resumed"),
    "revoke": ("已撤销", "The subscription is revoked"),
    "narrow": ("提供范围已缩小", "Fewer records are shown from now on"),
    "prolong": ("使用期限已延长", "The last day is a later one now"),
    "release": ("提供范围已更新", "What is released has been changed"),
}


@router.post("/subscriptions/{subscription_id}/decide")
def decide(request: Request, subscription_id: RowId, asker: Provider, sent: SentForm) -> Response:
    """Approve with masks, refuse or return with a reason; of two stewards at once one decides."""
    form = sent.form
    decision = form.one_of("decision", DECISIONS)
    reason = form.text("reason", longest=2000, needed=False)
    if decision in ("refuse", "return") and not reason:
        form.refuse("reason", NEEDS_REASON)
    masks = _masks(sent, subscription_id) if decision == "approve" else None
    filters = _filters(sent, subscription_id) if decision == "approve" else ()

    def act(session: Session, found: Subscription) -> None:
        decide_subscription(
            session,
            subscription_id=found.id,
            person_id=asker.person_id,
            decision=_decision(decision),
            revision_seen=_revision(form),
            at=sent.at,
            reason=reason,
            masks=masks,
            filters=filters,
        )

    return _act(request, sent, asker, subscription_id, "decide", SAID.get(decision, ("", "")), act)


@router.post("/subscriptions/{subscription_id}/withdraw")
def withdraw(request: Request, subscription_id: RowId, asker: Subscriber, sent: SentForm) -> Response:
    """The applicant takes it back."""

    def act(session: Session, found: Subscription) -> None:
        withdraw_subscription(session, subscription_id=found.id, person_id=asker.person_id, at=sent.at)

    return _act(request, sent, asker, subscription_id, "withdraw", SAID["withdraw"], act, by_provider=False)


@router.post("/subscriptions/{subscription_id}/pause")
def pause(request: Request, subscription_id: RowId, asker: Provider, sent: SentForm) -> Response:
    """Hand out nothing for a while."""
    reason = sent.form.text("reason", longest=2000)

    def act(session: Session, found: Subscription) -> None:
        pause_subscription(session, **_seen(sent, asker, found), reason=reason)

    return _act(request, sent, asker, subscription_id, "pause", SAID["pause"], act)


@router.post("/subscriptions/{subscription_id}/resume")
def resume(request: Request, subscription_id: RowId, asker: Provider, sent: SentForm) -> Response:
    """Go on."""

    def act(session: Session, found: Subscription) -> None:
        resume_subscription(session, **_seen(sent, asker, found))

    return _act(request, sent, asker, subscription_id, "resume", SAID["resume"], act)


@router.post("/subscriptions/{subscription_id}/revoke")
def revoke(request: Request, subscription_id: RowId, asker: Provider, sent: SentForm) -> Response:
    """End it for good."""
    reason = sent.form.text("reason", longest=2000)

    def act(session: Session, found: Subscription) -> None:
        revoke_subscription(session, **_seen(sent, asker, found), reason=reason)

    return _act(request, sent, asker, subscription_id, "revoke", SAID["revoke"], act)


@router.post("/subscriptions/{subscription_id}/narrow")
def narrow(request: Request, subscription_id: RowId, asker: Provider, sent: SentForm) -> Response:
    """Let it see fewer records."""
    filters = _filters(sent, subscription_id)

    def act(session: Session, found: Subscription) -> None:
        narrow_subscription(session, **_seen(sent, asker, found), filters=filters)

    return _act(request, sent, asker, subscription_id, "narrow", SAID["narrow"], act)


@router.post("/subscriptions/{subscription_id}/prolong")
def prolong(request: Request, subscription_id: RowId, asker: Provider, sent: SentForm) -> Response:
    """Let it go on until a later day."""
    until_on = sent.form.day("until_on") or date.min

    def act(session: Session, found: Subscription) -> None:
        prolong_subscription(session, **_seen(sent, asker, found), until_on=until_on)

    return _act(request, sent, asker, subscription_id, "prolong", SAID["prolong"], act)


@router.post("/subscriptions/{subscription_id}/release")
def release(request: Request, subscription_id: RowId, asker: Provider, sent: SentForm) -> Response:
    """Let it see further items, under other masks, or records that a filter kept back."""
    items = sent.form.all_typed("item")
    masks = _masks(sent, subscription_id, items)
    lifted = sent.form.all_typed("unfilter")

    def act(session: Session, found: Subscription) -> None:
        kept = [one for n, one in enumerate(plain(found.filters)) if str(n) not in lifted]
        filters = kept if lifted else None
        release_items(session, **_seen(sent, asker, found), items=items, masks=masks, filters=filters)

    return _act(request, sent, asker, subscription_id, "release", SAID["release"], act)


@router.post("/subscriptions/{subscription_id}/export")
def export(
    request: Request,
    subscription_id: RowId,
    asker: Annotated[Asker, form_needs(P.datasets_pull)],
    sent: SentForm,
    log: Log,
) -> Response:
    """Hand out the file of what the subscription shows now."""
    form = sent.form.one_of("format", tuple(FORMATS))
    with reading(sent.here.engine) as session:
        found = get_subscription(session, subscription_id=subscription_id)
        asker.at(session, found.bureau_id)
    try:
        if not sent.form.is_wrong:
            return file_of(
                sent.here,
                log,
                subscription_id=subscription_id,
                system_id=found.system_id,
                actor=asker.actor.journal_id,
                form=next(one for one in FORMATS if one == form),
            )
    except SijiError as error:
        if error.kind not in CORRECTABLE:
            raise
        sent.form.refusal = error
    with reading(sent.here.engine) as session:
        return show_subscription(
            request, session, asker, subscription_id, at=sent.at, form=sent.form, acting="export"
        )


def _act(
    request: Request,
    sent: Sent,
    asker: Asker,
    subscription_id: int,
    acting: str,
    said: Pair,
    act: Callable[[Session, Subscription], None],
    *,
    by_provider: bool = True,
) -> Response:
    def once(session: Session) -> str:
        found = get_subscription(session, subscription_id=subscription_id)
        dataset = get_dataset(session, dataset_id=found.dataset_id)
        asker.at(session, dataset.bureau_id if by_provider else found.bureau_id)
        act(session, found)
        return f"/subscriptions/{subscription_id}"

    path = None if sent.form.is_wrong else sent.once(asker.actor, once)
    if path:
        return onward(request, path, said)
    with reading(sent.here.engine) as session:
        return show_subscription(
            request, session, asker, subscription_id, at=sent.at, form=sent.form, acting=acting
        )


def _masks(sent: Sent, subscription_id: int, further: Sequence[str] = ()) -> Masks:
    """The masks that were chosen, by item; what was left as it is in the catalogue is not among them."""
    with reading(sent.here.engine) as session:
        found = get_subscription(session, subscription_id=subscription_id)
        known = items_of(session, get_dataset(session, dataset_id=found.dataset_id))
        return {
            name: typed_mask(sent.form, name, item_type=known[name].type)
            for name in (*found.items, *further)
            if name in known and sent.form.typed(f"mask.{name}") != AS_CATALOGUED
        }


def _filters(sent: Sent, subscription_id: int) -> Filters:
    with reading(sent.here.engine) as session:
        found = get_subscription(session, subscription_id=subscription_id)
        dataset = get_dataset(session, dataset_id=found.dataset_id)
        return typed_filters(sent.form, items_of(session, dataset), dataset.key_items)


def _revision(form: Form) -> int:
    return form.whole("revision") or 0


def _seen(sent: Sent, asker: Asker, found: Subscription) -> dict[str, Any]:
    """Which subscription as the person saw it, who acts, and when."""
    return {
        "subscription_id": found.id,
        "revision_seen": _revision(sent.form),
        "actor": asker.actor.journal_id,
        "at": sent.at,
    }


def _decision(value: str) -> Decision:
    return next(one for one in DECISIONS if one == value)
