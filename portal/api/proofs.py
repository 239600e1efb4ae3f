"""Proofs from the message log: of a receipt, of a subscription's deliveries; to be checked anywhere."""

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import StreamingResponse

from exchange.errors import ProofNotYet
from exchange.queries import get_batch, get_dataset, get_subscription_row
from exchange.service.proofs import Wanted, write_proof
from identity.roles import Permission as P
from infra.clock import city_date, city_midnight
from infra.database import reading
from infra.installation import Installation
from portal.access import Here
from portal.api.receipts import SEES_RECEIPTS
from portal.api.shapes import api_router
from portal.needs import Asker, needs
from portal.numbers import RowId

router = api_router("proofs")
DAY = timedelta(days=1)
Day = Annotated[date, Query(ge=date(2000, 1, 1), le=date(2999, 12, 31))]


@router.get("/subscriptions/{number}/proof", response_class=StreamingResponse)
def proof_of_deliveries(
    asker: Annotated[Asker, needs(P.subscriptions_see)],
    here: Here,
    number: RowId,
    first_day: Annotated[Day, Query(alias="from", description="首日 · first day")],
    last_day: Annotated[Day, Query(alias="to", description="末日（含当日） · last day, included")],
) -> StreamingResponse:
    """What was delivered in those days, with its chain, to be checked by `siji messages check`.

    Both sides may have it. Of all others' messages it holds digests alone.
    """
    with reading(here.engine) as session:
        view = get_subscription_row(session, subscription_id=number)
        asker.at(session, view.subscription.bureau_id, view.dataset.bureau_id)
        asker.covers(view.dataset.code)
        named = {"dataset": view.dataset.code, "subscription": number}
        dataset_id = view.dataset.id
    wanted = Wanted(dataset_id, number, city_midnight(first_day), city_midnight(last_day + DAY))
    return _file(here, wanted, named, first_day, last_day, f"siji-subscription-{number}")


@router.get("/batches/{receipt_id}/proof", response_class=StreamingResponse)
def proof_of_receipt(
    asker: Annotated[Asker, needs(*SEES_RECEIPTS)], here: Here, receipt_id: RowId
) -> StreamingResponse:
    """The receipt as it is in the message log, with its chain. 409 until it is in, a minute at most."""
    with reading(here.engine) as session:
        batch = get_batch(session, batch_id=receipt_id)
        dataset = get_dataset(session, dataset_id=batch.dataset_id)
        asker.at(session, dataset.bureau_id)
        asker.covers(dataset.code)
        if batch.message_seq is None or batch.settled_at is None:
            raise ProofNotYet(receipt=receipt_id)
        day, dataset_id, code = city_date(batch.settled_at), dataset.id, dataset.code
    wanted = Wanted(dataset_id, None, city_midnight(day), city_midnight(day + DAY), receipt_id)
    return _file(
        here, wanted, {"dataset": code, "receipt": receipt_id}, day, day, f"siji-receipt-{receipt_id}"
    )


def _file(
    here: Installation, wanted: Wanted, named: dict[str, Any], first: date, last: date, name: str
) -> StreamingResponse:
    named |= {"first_day": first.isoformat(), "last_day": last.isoformat()}
    return StreamingResponse(
        write_proof(here.engine, wanted, named=named),
        media_type="application/x-ndjson",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.ndjson"',
            "Cache-Control": "no-store",
        },
    )
