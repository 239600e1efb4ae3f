"""Subscriptions to shared datasets: asked for, answered, paused, ended; and what was delivered under them."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from approval.flow import Decision
from exchange.models import Delivery, Subscription
from exchange.queries import (
    SubscriptionRow,
    get_dataset_by_code,
    get_subscription_row,
    list_deliveries,
    list_subscription_rows,
)
from exchange.service.entitlements import (
    pause_subscription,
    release_items,
    resume_subscription,
    revoke_subscription,
)
from exchange.service.standing import items_of, mask_on
from exchange.service.subscriptions import (
    decide_subscription,
    edit_subscription,
    request_subscription,
    revision_to_act_on,
    withdraw_subscription,
)
from identity.queries import get_system
from identity.roles import Permission as P
from portal.access import At, Reading, Writing
from portal.api.datasets import MaskShape
from portal.api.shapes import Cursor, In, Limit, Out, Page, RowId, api_router, id_of, page_of
from portal.needs import Asker, needs
from portal.once import Once
from portal.revisions import Seen, tag

router = api_router("subscriptions")

State = Literal["pending", "active", "paused", "refused", "withdrawn", "revoked", "expired"]
MasksIn = dict[str, MaskShape | None]
MASKS_EXAMPLE = {"身份证号": {"kind": "keep_ends", "head": 6, "tail": 2}, "姓名": None}


class SubscriptionIn(In):
    """What a system of the bureau asks for."""

    dataset: str = Field(max_length=64, examples=["307003003/000001"])
    system: str = Field(max_length=64, examples=["1306-rsj-s1"])
    items: list[str] = Field(max_length=500, examples=[["姓名", "身份证号"]])
    purpose: str = Field(max_length=2000, examples=["社会保险待遇资格核验"])
    basis: str = Field(default="", max_length=2000, examples=["《社会保险法》第七十四条"])
    until_on: date = Field(examples=["2026-12-31"])
    masks: dict[str, MaskShape] = Field(default={}, description="申请方自愿脱敏 · the subscriber's own wish")


class SubscriptionEdit(In):
    """What is to change of a pending subscription; what is left out stays."""

    items: list[str] | None = Field(default=None, max_length=500)
    purpose: str | None = Field(default=None, max_length=2000)
    basis: str | None = Field(default=None, max_length=2000)
    until_on: date | None = None


class DecisionIn(In):
    """The provider's answer; `masks` go before the catalogue's, and null releases an item as it is."""

    decision: Decision = Field(examples=["approve"])
    reason: str = Field(default="", max_length=2000)
    masks: MasksIn = Field(default={}, examples=[MASKS_EXAMPLE])


class ReasonIn(In):
    """Why."""

    reason: str = Field(default="", max_length=2000, examples=["用途已终止"])


class ReleaseIn(In):
    """Further items, or other masks of those that are seen already."""

    items: list[str] = Field(default=[], max_length=500)
    masks: MasksIn = Field(default={}, examples=[MASKS_EXAMPLE])


class SubscriptionOut(Out):
    """A line of a list: whose, to what, until when."""

    id: int
    dataset: str = Field(examples=["307003003/000001"])
    dataset_name: str
    provider: str = Field(examples=["1306-mzj"])
    provider_name: str
    system: str = Field(examples=["1306-rsj-s1"])
    system_name: str
    subscriber: str = Field(examples=["1306-rsj"])
    subscriber_name: str
    state: str = Field(examples=["active"])
    until_on: date
    case: str | None = Field(examples=["BD-2026-000001"])
    requested_at: datetime


class SeenItem(Out):
    """An item as its subscriber sees it, or would; without a mask as it is."""

    name: str
    label: str
    sensitivity: str
    mask: dict[str, Any] | None


class SubscriptionDetail(SubscriptionOut):
    """All of a subscription; `items` with the masks that hold."""

    items: list[SeenItem]
    purpose: str
    basis: str
    reason: str
    decided_at: datetime | None
    ended_at: datetime | None
    revision: int


class DeliveryOut(Out):
    """What one pull handed out: `ranges` are [first, last] offsets by partition; digests are after masks."""

    id: int
    at: datetime
    way: str
    items: list[str]
    generation: int | None
    ranges: dict[int, list[int]]
    count: int
    digest: str
    digests: dict[int, str]


@router.get("/subscriptions")
def subscriptions(
    asker: Annotated[Asker, needs(P.subscriptions_see)],
    session: Reading,
    side: Annotated[
        Literal["subscriber", "provider"] | None,
        Query(alias="as", description="只看本方申请的或本方提供的 · those asked for, or those provided"),
    ] = None,
    dataset: Annotated[str | None, Query(max_length=64)] = None,
    system: Annotated[str | None, Query(max_length=64)] = None,
    state: State | None = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[SubscriptionOut]:
    """Subscriptions of the bureaus that the caller sees, and to the datasets of these."""
    scope = asker.scope(session)
    codes = {get_dataset_by_code(session, code=dataset).code} if dataset else None
    if asker.actor.datasets is not None:
        codes = set(asker.actor.datasets) if codes is None else codes.intersection(asker.actor.datasets)
    rows = list_subscription_rows(
        session,
        subscriber_ids=scope if side == "subscriber" else None,
        provider_ids=scope if side == "provider" else None,
        either_ids=scope if side is None else None,
        dataset_codes=codes,
        system_id=get_system(session, code=system).id if system else None,
        states=(state,) if state else (),
        before=id_of(cursor),
        limit=limit + 1,
    )
    return page_of(rows, limit, shown=_line, place=lambda row: row.subscription.id)


@router.post("/subscriptions", status_code=201)
def request(
    asker: Annotated[Asker, needs(P.subscriptions_request)],
    session: Writing,
    response: Response,
    at: At,
    once: Once,
    body: SubscriptionIn,
) -> SubscriptionDetail:
    """Ask for items of a dataset; unconditional sharing is granted at once."""
    system = get_system(session, code=body.system)
    asker.at(session, system.bureau_id)

    def act() -> SubscriptionDetail:
        made = request_subscription(
            session,
            dataset_id=get_dataset_by_code(session, code=body.dataset).id,
            system_id=system.id,
            person_id=asker.person_id,
            items=body.items,
            purpose=body.purpose,
            basis=body.basis,
            until_on=body.until_on,
            masks=_masks(body.masks),
            at=at,
        )
        return _answer(session, response, made)

    return once(body, act)


@router.get("/subscriptions/{number}")
def subscription(
    asker: Annotated[Asker, needs(P.subscriptions_see)], session: Reading, response: Response, number: RowId
) -> SubscriptionDetail:
    """One subscription with its case, and the items it shows under which masks."""
    return _answer(session, response, _seen(session, asker, number).subscription)


@router.patch("/subscriptions/{number}")
def edit(
    asker: Annotated[Asker, needs(P.subscriptions_request)],
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
    body: SubscriptionEdit,
) -> SubscriptionDetail:
    """The applicant changes what is asked for while it is pending; its case begins again."""
    asker.at(session, get_subscription_row(session, subscription_id=number).subscription.bureau_id)
    changed = edit_subscription(
        session,
        subscription_id=number,
        person_id=asker.person_id,
        revision_seen=seen,
        at=at,
        **body.model_dump(exclude_none=True),
    )
    return _answer(session, response, changed)


@router.post("/subscriptions/{number}/withdrawal")
def withdraw(
    asker: Annotated[Asker, needs(P.subscriptions_request)],
    session: Writing,
    response: Response,
    at: At,
    number: RowId,
    body: ReasonIn,
) -> SubscriptionDetail:
    """The applicant takes it back while it is pending."""
    asker.at(session, get_subscription_row(session, subscription_id=number).subscription.bureau_id)
    changed = withdraw_subscription(
        session, subscription_id=number, person_id=asker.person_id, reason=body.reason, at=at
    )
    return _answer(session, response, changed)


@router.post("/subscriptions/{number}/decision")
def decide(
    asker: Annotated[Asker, needs(P.subscriptions_decide)],
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
    body: DecisionIn,
) -> SubscriptionDetail:
    """The provider's data steward approves, refuses or returns it, with the masks that shall hold."""
    _as_provider(session, asker, number)
    changed = decide_subscription(
        session,
        subscription_id=number,
        person_id=asker.person_id,
        decision=body.decision,
        revision_seen=seen,
        reason=body.reason,
        masks=_masks(body.masks),
        at=at,
    )
    return _answer(session, response, changed)


@router.post("/subscriptions/{number}/pause")
def pause(
    asker: Annotated[Asker, needs(P.subscriptions_decide)],
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
    body: ReasonIn,
) -> SubscriptionDetail:
    """The provider gives nothing until it is resumed."""
    _as_provider(session, asker, number)
    actor = asker.actor.journal_id
    changed = pause_subscription(
        session, subscription_id=number, revision_seen=seen, actor=actor, reason=body.reason, at=at
    )
    return _answer(session, response, changed)


@router.post("/subscriptions/{number}/resumption")
def resume(
    asker: Annotated[Asker, needs(P.subscriptions_decide)],
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
) -> SubscriptionDetail:
    """The provider goes on with what was paused."""
    _as_provider(session, asker, number)
    actor = asker.actor.journal_id
    changed = resume_subscription(session, subscription_id=number, revision_seen=seen, actor=actor, at=at)
    return _answer(session, response, changed)


@router.post("/subscriptions/{number}/revocation")
def revoke(
    asker: Annotated[Asker, needs(P.subscriptions_decide)],
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
    body: ReasonIn,
) -> SubscriptionDetail:
    """The provider ends it for good, with a reason; the next pull is refused."""
    _as_provider(session, asker, number)
    actor = asker.actor.journal_id
    changed = revoke_subscription(
        session, subscription_id=number, revision_seen=seen, actor=actor, reason=body.reason, at=at
    )
    return _answer(session, response, changed)


@router.post("/subscriptions/{number}/release")
def release(
    asker: Annotated[Asker, needs(P.subscriptions_decide)],
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
    body: ReleaseIn,
) -> SubscriptionDetail:
    """The provider lets it see further items, or changes masks."""
    _as_provider(session, asker, number)
    changed = release_items(
        session,
        subscription_id=number,
        items=body.items,
        masks=_masks(body.masks),
        revision_seen=seen,
        actor=asker.actor.journal_id,
        at=at,
    )
    return _answer(session, response, changed)


@router.get("/subscriptions/{number}/deliveries")
def deliveries(
    asker: Annotated[Asker, needs(P.subscriptions_see)],
    session: Reading,
    number: RowId,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[DeliveryOut]:
    """What was delivered under a subscription, the newest first; both sides see it."""
    _seen(session, asker, number)
    rows = list_deliveries(session, subscription_id=number, before=id_of(cursor), limit=limit + 1)
    return page_of(rows, limit, shown=DeliveryOut.model_validate, place=_id)


def _seen(session: Session, asker: Asker, number: int) -> SubscriptionRow:
    """The subscription, for who sees its subscriber's or its provider's."""
    view = get_subscription_row(session, subscription_id=number)
    asker.at(session, view.subscription.bureau_id, view.dataset.bureau_id)
    asker.covers(view.dataset.code)
    return view


def _as_provider(session: Session, asker: Asker, number: int) -> None:
    asker.at(session, get_subscription_row(session, subscription_id=number).dataset.bureau_id)


def _masks(shapes: Mapping[str, MaskShape | None]) -> dict[str, dict[str, Any] | None]:
    return {name: shape.model_dump() if shape else None for name, shape in shapes.items()}


def _named(view: SubscriptionRow) -> dict[str, Any]:
    plain = {name: getattr(view.subscription, name) for name in ("id", "state", "until_on", "requested_at")}
    return plain | {
        "dataset": view.dataset.code,
        "dataset_name": view.dataset.name,
        "provider": view.provider.code,
        "provider_name": view.provider.name,
        "system": view.system.code,
        "system_name": view.system.name,
        "subscriber": view.bureau.code,
        "subscriber_name": view.bureau.name,
        "case": view.case.number if view.case else None,
    }


def _line(view: SubscriptionRow) -> SubscriptionOut:
    return SubscriptionOut(**_named(view))


def _answer(session: Session, response: Response, changed: Subscription) -> SubscriptionDetail:
    """The subscription as it now is, with its ETag."""
    session.flush()
    view = get_subscription_row(session, subscription_id=changed.id)
    revision = revision_to_act_on(session, subscription=view.subscription)
    tag(response, revision)
    known = items_of(session, view.dataset)
    items = []
    for name in view.subscription.items:
        mask = mask_on(known[name], view.subscription)
        document = mask.document() if mask else None
        items.append(
            SeenItem(name=name, label=known[name].label, sensitivity=known[name].sensitivity, mask=document)
        )
    own = ("purpose", "basis", "reason", "decided_at", "ended_at")
    told = {name: getattr(view.subscription, name) for name in own}
    return SubscriptionDetail(**_named(view), **told, items=items, revision=revision)


def _id(delivery: Delivery) -> int:
    return delivery.id
