"""One dataset: its catalogue entry, items, versions; for its provider the receipts and who subscribes."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from exchange.models import Dataset, QuarantinedRecord
from exchange.queries import (
    count_quarantined,
    count_waiting,
    find_dataset,
    get_batch,
    get_dataset,
    last_batches,
    list_batches,
    list_corrections,
    list_quarantined,
    list_subscription_rows,
)
from exchange.service.quarantine import look_at_quarantine
from exchange.version_queries import get_items, list_versions
from exchange.wording import QUARANTINE_STATES
from identity.queries import get_bureau_by_id, get_system_by_id
from identity.roles import Permission as P
from identity.service.access import may, permissions_of
from infra.errors import NotFound
from portal.access import At, Reading, Writing
from portal.api.shapes import id_of
from portal.form import Form
from portal.needs import Asker, form_needs, page_needs
from portal.numbers import Place, RowId
from portal.pages.sharing_words import SHARING
from portal.render import render

router = APIRouter(include_in_schema=False)
SHOWN_BATCHES = 20
SHOWN_SUBSCRIPTIONS = 50
PAGE = 50


@router.get("/datasets/{code:path}")
def dataset(
    request: Request,
    code: str,
    asker: Annotated[Asker, page_needs(P.catalogue_see)],
    session: Reading,
    before: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """The entry for whoever sees the catalogue; receipts and subscriptions for the provider's people."""
    found = dataset_of(session, code)
    asker.at(session, found.bureau_id)
    publishes = may(session, asker.actor, P.datasets_publish, bureau_id=found.bureau_id)
    sees_subscriptions = may(session, asker.actor, P.subscriptions_see, bureau_id=found.bureau_id)
    batches = (
        list_batches(session, dataset_id=found.id, before=id_of(before), limit=SHOWN_BATCHES + 1)
        if publishes
        else []
    )
    facts = {
        "dataset": found,
        "last": last_batches(session, [found.id]).get(found.id),
        "provider": get_bureau_by_id(session, bureau_id=found.bureau_id),
        "items": get_items(session, dataset_id=found.id, version=found.version),
        "versions": list_versions(session, dataset_id=found.id),
        "publishes": publishes,
        "waiting": count_waiting(session, dataset_id=found.id) if publishes else 0,
        "counts": count_quarantined(session, batch_ids=[one.id for one in batches]),
        "sees_subscriptions": sees_subscriptions,
        "batches": batches[:SHOWN_BATCHES],
        "next_batches": str(batches[SHOWN_BATCHES - 1].id) if len(batches) > SHOWN_BATCHES else "",
        "subscriptions": list_subscription_rows(session, dataset_id=found.id, limit=SHOWN_SUBSCRIPTIONS)
        if sees_subscriptions
        else [],
        "may_publish": publishes and found.ended_at is None,
        "may_ask": P.subscriptions_request in permissions_of(asker.actor)
        and found.share_type != "none"
        and found.ended_at is None,
    }
    return render(request, "dataset.html", SHARING | facts)


@router.get("/receipts/{batch_id}")
def receipt(
    request: Request,
    batch_id: RowId,
    asker: Annotated[Asker, page_needs(P.datasets_publish)],
    session: Reading,
    after: Place = 0,
) -> Response:
    """A batch's receipt, and its bad records by place with the reasons, never their values."""
    found = of_batch(session, asker, batch_id)
    return show_receipt(request, session, found, batch_id, after=after)


@router.post("/receipts/{batch_id}/raw")
def raw(
    request: Request,
    batch_id: RowId,
    asker: Annotated[Asker, form_needs(P.datasets_publish)],
    session: Writing,
    at: At,
    after: Place = 0,
) -> Response:
    """The same with the values as they were sent; a form, since each look is journalled."""
    found = of_batch(session, asker, batch_id)
    bad = look_at_quarantine(
        session, batch_id=batch_id, actor=asker.actor.journal_id, at=at, after=after, limit=PAGE
    )
    return show_receipt(request, session, found, batch_id, after=after, raw=bad)


def dataset_of(session: Session, code: str) -> Dataset:
    """The dataset of that code. Raises NotFound."""
    found = find_dataset(session, code=code)
    if found is None:
        raise NotFound(what_zh="数据集", what_en="dataset", key=code)
    return found


def of_batch(session: Session, asker: Asker, batch_id: int) -> Dataset:
    """The dataset of a batch whose receipt the person sees. Raises NotFound, Forbidden."""
    found = get_dataset(session, dataset_id=get_batch(session, batch_id=batch_id).dataset_id)
    asker.at(session, found.bureau_id)
    return found


def show_receipt(
    request: Request,
    session: Session,
    found: Dataset,
    batch_id: int,
    *,
    after: int = 0,
    raw: Sequence[QuarantinedRecord] | None = None,
    form: Form | None = None,
) -> Response:
    """The page; `raw` are bad records that are shown with their values, else they are those behind `after`.

    `form` is what was sent and could not be done.
    """
    batch = get_batch(session, batch_id=batch_id)
    bad = list_quarantined(session, batch_id=batch_id, after=after, limit=PAGE) if raw is None else raw
    last = bad[-1].place if bad else after
    facts = {
        "dataset": found,
        "batch": batch,
        "publisher": get_system_by_id(session, system_id=batch.publisher_id),
        "bad": bad,
        "counts": count_quarantined(session, batch_ids=[batch_id]).get(batch_id, {}),
        "corrections": list_corrections(session, batch_id=batch_id),
        "states": QUARANTINE_STATES,
        "after": after,
        "next": last if list_quarantined(session, batch_id=batch_id, after=last, limit=1) else 0,
        "raw": raw is not None,
        "form": form or Form(),
    }
    return render(request, "receipt.html", facts, status=form.status if form else 200)
