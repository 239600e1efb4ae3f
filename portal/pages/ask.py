"""Asking for a dataset: which items, for what, on which basis, until when, for which system."""

from datetime import date, datetime
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from exchange.models import Dataset
from exchange.queries import get_dataset, get_subscription
from exchange.service.subscriptions import case_revision, edit_subscription, request_subscription
from exchange.version_queries import get_items
from identity.queries import get_bureau_by_id, get_system, get_system_by_id, list_systems_within
from identity.roles import Permission
from infra.clock import city_date
from infra.database import reading
from portal.access import Reading
from portal.flash import onward
from portal.form import Form, Sent, SentForm
from portal.needs import Asker, form_needs, page_needs
from portal.numbers import RowId
from portal.pages.datasets import dataset_of
from portal.pages.filter_fields import shown_filters, typed_filters
from portal.pages.sharing_words import SHARING
from portal.render import render

router = APIRouter(include_in_schema=False)
MOST_SYSTEMS = 500
NO_ITEM = ("请至少选择一个信息项", "Choose at least one item")
PAST = ("使用期限不得早于今天", "The last day cannot be before today")


class Wish(TypedDict):
    """What a subscription asks for, as the use cases take it."""

    items: list[str]
    purpose: str
    basis: str
    until_on: date
    filters: list[dict[str, Any]]


@router.get("/ask/{code:path}")
def ask(
    request: Request,
    code: str,
    asker: Annotated[Asker, page_needs(Permission.subscriptions_request)],
    session: Reading,
) -> Response:
    """The form."""
    return _show(request, session, asker, code, Form())


@router.post("/ask/{code:path}")
def send(
    request: Request,
    code: str,
    asker: Annotated[Asker, form_needs(Permission.subscriptions_request)],
    sent: SentForm,
) -> Response:
    """Ask; an unconditional dataset is granted at once."""
    if path := _request(sent, asker, code):
        return onward(request, path, ("共享申请已提交", "The subscription has been asked for"))
    with reading(sent.here.engine) as session:
        return _show(request, session, asker, code, sent.form)


@router.get("/subscriptions/{subscription_id}/edit")
def edit(
    request: Request,
    subscription_id: RowId,
    asker: Annotated[Asker, page_needs(Permission.subscriptions_request)],
    session: Reading,
) -> Response:
    """The form with what is asked for, for changing it while it is pending."""
    found = get_subscription(session, subscription_id=subscription_id)
    told = {"item": found.items, "purpose": found.purpose, "basis": found.basis, "until_on": found.until_on}
    form = Form.of(**told, **shown_filters(found.filters))
    return _show_edit(request, session, asker, subscription_id, form)


@router.post("/subscriptions/{subscription_id}/edit")
def change(
    request: Request,
    subscription_id: RowId,
    asker: Annotated[Asker, form_needs(Permission.subscriptions_request)],
    sent: SentForm,
) -> Response:
    """Change it; its case begins again, also one that was returned."""
    if path := _edit(sent, asker, subscription_id):
        return onward(request, path, ("共享申请已修改并重新提交", "Changed, and handed in again"))
    with reading(sent.here.engine) as session:
        return _show_edit(request, session, asker, subscription_id, sent.form)


def _request(sent: Sent, asker: Asker, code: str) -> str | None:
    form = sent.form
    form.text("system", longest=64)
    with reading(sent.here.engine) as session:
        wish = _read_wish(session, form, dataset_of(session, code), at=sent.at)
    if wish is None:
        return None

    def request_it(session: Session) -> str:
        system = get_system(session, code=form.typed("system"))
        asker.at(session, system.bureau_id)
        made = request_subscription(
            session,
            dataset_id=dataset_of(session, code).id,
            system_id=system.id,
            person_id=asker.person_id,
            at=sent.at,
            **wish,
        )
        return f"/subscriptions/{made.id}"

    return sent.once(asker.actor, request_it)


def _edit(sent: Sent, asker: Asker, subscription_id: int) -> str | None:
    form = sent.form
    with reading(sent.here.engine) as session:
        found = get_subscription(session, subscription_id=subscription_id)
        wish = _read_wish(session, form, get_dataset(session, dataset_id=found.dataset_id), at=sent.at)
    if wish is None:
        return None

    def edit_it(session: Session) -> str:
        asker.at(session, get_subscription(session, subscription_id=subscription_id).bureau_id)
        edit_subscription(
            session,
            subscription_id=subscription_id,
            person_id=asker.person_id,
            revision_seen=form.whole("revision") or 0,
            at=sent.at,
            **wish,
        )
        return f"/subscriptions/{subscription_id}"

    return sent.once(asker.actor, edit_it)


def _read_wish(session: Session, form: Form, dataset: Dataset, *, at: datetime) -> Wish | None:
    """What is asked for; None if something is wrong with it, which is noted in the form."""
    items = form.all_typed("item")
    purpose = form.text("purpose", longest=2000)
    basis = form.text("basis", longest=2000, needed=dataset.share_type == "conditional")
    until_on = form.day("until_on")
    if until_on and until_on < city_date(at):
        form.refuse("until_on", PAST)
    if not items:
        form.refuse("item", NO_ITEM)
    known = {item.name: item for item in get_items(session, dataset_id=dataset.id, version=dataset.version)}
    filters = typed_filters(form, known, dataset.key_items)
    if form.is_wrong or until_on is None:
        return None
    return {"items": items, "purpose": purpose, "basis": basis, "until_on": until_on, "filters": filters}


def _show(request: Request, session: Session, asker: Asker, code: str, form: Form) -> Response:
    dataset = dataset_of(session, code)
    facts = {
        "dataset": dataset,
        "provider": get_bureau_by_id(session, bureau_id=dataset.bureau_id),
        "items": get_items(session, dataset_id=dataset.id, version=dataset.version),
        "systems": list_systems_within(session, bureau_ids=asker.scope(session), limit=MOST_SYSTEMS),
        "subscription": None,
        "form": form,
    }
    return render(request, "ask.html", SHARING | facts, status=422 if form.is_wrong else 200)


def _show_edit(
    request: Request, session: Session, asker: Asker, subscription_id: int, form: Form
) -> Response:
    found = get_subscription(session, subscription_id=subscription_id)
    asker.at(session, found.bureau_id)
    dataset = get_dataset(session, dataset_id=found.dataset_id)
    facts = {
        "subscription": found,
        "revision": case_revision(session, subscription=found),
        "system": get_system_by_id(session, system_id=found.system_id),
        "dataset": dataset,
        "provider": get_bureau_by_id(session, bureau_id=dataset.bureau_id),
        "items": get_items(session, dataset_id=dataset.id, version=dataset.version),
        "form": form,
    }
    return render(request, "ask.html", SHARING | facts, status=422 if form.is_wrong else 200)
