"""Subscriptions to shared datasets as their applicants have them: asked for, edited, withdrawn, delivered.

What the provider answers is in subscription_acts.py.
"""

from typing import Annotated, Literal

from fastapi import Query, Response
from sqlalchemy.orm import Session

from exchange.models import Delivery
from exchange.queries import (
    SubscriptionRow,
    get_dataset_by_code,
    get_subscription_row,
    list_deliveries,
    list_subscription_rows,
)
from exchange.service.subscriptions import edit_subscription, request_subscription, withdraw_subscription
from identity.queries import get_system
from identity.roles import Permission as P
from portal.access import At, Reading, Writing
from portal.api.shapes import Cursor, Limit, Page, api_router, id_of, page_of
from portal.api.subscription_shapes import (
    DeliveryOut,
    ReasonIn,
    State,
    SubscriptionDetail,
    SubscriptionEdit,
    SubscriptionIn,
    SubscriptionOut,
    answer,
    filters_of,
    line,
    masks_of,
)
from portal.needs import Asker, needs
from portal.numbers import RowId
from portal.once import Once
from portal.revisions import Seen

router = api_router("subscriptions")


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
    return page_of(rows, limit, shown=line, place=lambda row: row.subscription.id)


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
            masks=masks_of(body.masks),
            filters=filters_of(body.filters),
            at=at,
        )
        return answer(session, response, made)

    return once(body, act)


@router.get("/subscriptions/{number}")
def subscription(
    asker: Annotated[Asker, needs(P.subscriptions_see)], session: Reading, response: Response, number: RowId
) -> SubscriptionDetail:
    """One subscription with its case, and the items it shows under which masks."""
    return answer(session, response, _seen(session, asker, number).subscription)


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
    return answer(session, response, changed)


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
    return answer(session, response, changed)


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


def _id(delivery: Delivery) -> int:
    return delivery.id
