"""Subscriptions: lists of ours and of those to our datasets; one with its case, masks and deliveries."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from approval.queries import view_case
from exchange.files import FORMATS
from exchange.models import LIVE_STATES, Dataset, Subscription
from exchange.queries import (
    get_dataset,
    get_subscription,
    list_deliveries,
    list_subscription_rows,
)
from exchange.schema import Item
from exchange.service.receivers import limit_of, list_received
from exchange.service.relays import find_relay
from exchange.service.standing import items_of
from exchange.service.webhooks import find_webhook
from identity.models import Person
from identity.queries import get_bureau_by_id, get_system_by_id, list_names
from identity.roles import Permission as P
from identity.service.access import may
from infra.clock import city_date
from infra.workdays import load_calendar
from portal.access import At, Reading, installation_of
from portal.api.shapes import id_of
from portal.form import Form
from portal.needs import Asker, page_needs
from portal.numbers import RowId
from portal.pages.sharing_words import SHARING
from portal.render import render
from portal.topics import prefix_of, view_topic

router = APIRouter(include_in_schema=False)
Side = Literal["", "all", "ours", "asked_of_us"]
PAGE = 30
SHOWN_DELIVERIES = 30
SIDES: tuple[Side, ...] = ("all", "ours", "asked_of_us")


@router.get("/subscriptions")
def subscriptions(
    request: Request,
    asker: Annotated[Asker, page_needs(P.subscriptions_see)],
    session: Reading,
    side: Annotated[Side, Query()] = "",
    live: Annotated[Literal["", "live"], Query()] = "",
    cursor: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Those of the reader's bureaus, or those that others asked of them, newest first.

    Who sees the whole city begins with all of it, and has the same two lists of the own bureau alone.
    """
    scope = asker.scope(session)
    sides = SIDES[1:] if scope is not None else SIDES
    side = side if side in sides else sides[0]
    whose = {asker.actor.bureau_id or 0} if scope is None else scope
    found = list_subscription_rows(
        session,
        subscriber_ids=whose if side == "ours" else None,
        provider_ids=whose if side == "asked_of_us" else None,
        states=LIVE_STATES if live else (),
        before=id_of(cursor),
        limit=PAGE + 1,
    )
    facts = {
        "rows": found[:PAGE],
        "next": str(found[PAGE - 1].subscription.id) if len(found) > PAGE else "",
        "cursor": cursor,
        "side": side,
        "sides": sides,
        "live": live,
    }
    return render(request, "subscriptions.html", SHARING | facts)


@router.get("/subscriptions/{subscription_id}")
def subscription(
    request: Request,
    subscription_id: RowId,
    asker: Annotated[Asker, page_needs(P.subscriptions_see)],
    session: Reading,
    at: At,
    before: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """One, for the subscriber's people and for the provider's."""
    return show_subscription(request, session, asker, subscription_id, at=at, before=before)


def show_subscription(
    request: Request,
    session: Session,
    asker: Asker,
    subscription_id: int,
    *,
    at: At,
    before: str = "",
    form: Form | None = None,
    acting: str = "",
) -> Response:
    """The page; `form` is what was sent for the act `acting` and could not be done. Raises Forbidden."""
    found = get_subscription(session, subscription_id=subscription_id)
    dataset = get_dataset(session, dataset_id=found.dataset_id)
    let_in(session, asker, found, dataset)
    view = None
    if found.case_id is not None:
        view = view_case(session, case_id=found.case_id, calendar=load_calendar(session), on=city_date(at))
    known = items_of(session, dataset)
    deliveries = list_deliveries(
        session, subscription_id=found.id, before=id_of(before), limit=SHOWN_DELIVERIES + 1
    )
    settings = installation_of(request).settings
    relay = find_relay(session, subscription_id=found.id)
    provides = may(session, asker.actor, P.subscriptions_decide, bureau_id=dataset.bureau_id)
    facts = {
        "subscription": found,
        "dataset": dataset,
        "provider": get_bureau_by_id(session, bureau_id=dataset.bureau_id),
        "subscriber": get_bureau_by_id(session, bureau_id=found.bureau_id),
        "system": get_system_by_id(session, system_id=found.system_id),
        "released": [(known[name], _mask_of(found, known[name])) for name in found.items if name in known],
        "items": list(known.values()),
        "others": [item for name, item in known.items() if name not in found.items],
        "view": view,
        "names": list_names(
            session, person_ids=[one.person_id for one in view.decisions if one.person_id] if view else []
        ),
        "deliveries": deliveries[:SHOWN_DELIVERIES],
        "next_deliveries": str(deliveries[SHOWN_DELIVERIES - 1].id)
        if len(deliveries) > SHOWN_DELIVERIES
        else "",
        "topic": None if relay is None else view_topic(session, settings, relay, found, dataset),
        "has_kafka": prefix_of(settings) is not None,
        "subscribes": may(session, asker.actor, P.subscriptions_request, bureau_id=found.bureau_id),
        "decides": provides and found.state == "pending",
        "governs": provides and found.state in ("active", "paused"),
        "exports": found.state == "active"
        and may(session, asker.actor, P.datasets_pull, bureau_id=found.bureau_id),
        "formats": FORMATS,
        "hook": find_webhook(session, subscription_id=found.id),
        "recalls": [
            (one, receiver, *limit_of(session, one, receiver, at=at))
            for one, receiver in list_received(session, subscription_id=found.id)
        ],
        "withdraws": view is not None
        and found.state == "pending"
        and view.case.applicant_id == asker.actor.id,
        "applicant": session.get_one(Person, view.case.applicant_id) if view else None,
        "form": form or Form(),
        "acting": acting,
        "address": str(request.base_url).rstrip("/"),
    }
    return render(
        request, "subscription.html", SHARING | facts, status=422 if form and form.is_wrong else 200
    )


def let_in(session: Session, asker: Asker, found: Subscription, dataset: Dataset) -> None:
    """Let pass the subscriber's people and the provider's. Raises Forbidden."""
    if not asker.may(session, dataset.bureau_id):
        asker.at(session, found.bureau_id)


def _mask_of(found: Subscription, item: Item) -> Mapping[str, Any] | None:
    """Under which mask the subscription sees the item: its own goes before the catalogue's."""
    catalogued = item.mask.document() if item.mask else None
    mask: Mapping[str, Any] | None = found.masks.get(item.name, catalogued)
    return mask
