"""Pulling: the records that a subscription delivers to its system, by cursor or by what it acknowledged."""

from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import Field
from sqlalchemy.orm import Session

from exchange.files import Format
from exchange.queries import SubscriptionRow, get_subscription_row
from exchange.service.positions import acknowledge, rewind
from exchange.service.pull import MAX_PAGE, pull
from identity.roles import Permission as P
from infra.database import reading
from portal.access import At, Here, Log, Writing
from portal.api.shapes import Out, api_router
from portal.api.subscription_shapes import (
    LONGEST_CURSOR,
    AcknowledgementIn,
    PositionOut,
    RewindIn,
    position_out,
)
from portal.exporting import file_of
from portal.needs import Asker, needs
from portal.numbers import RowId

router = api_router("records")
Puller = Annotated[Asker, needs(P.datasets_pull)]


class RecordOut(Out):
    """A record under the subscription's masks. `ref` stands for its key, for this subscriber only."""

    op: str = Field(examples=["upsert"])
    ref: str
    value: dict[str, Any]
    partition: int
    offset: int
    published_at: str
    digest: str = Field(description="脱敏后记录的 SM3 · SM3 of the record after masks")


class PullOut(Out):
    """What one pull hands out. `complete`: nothing more was there, or this generation of a full dataset is
    whole. `delivery_id` is null if nothing was delivered."""

    records: list[RecordOut]
    cursor: str
    complete: bool
    generation: int | None
    digest: str
    digests: dict[int, str]
    delivery_id: int | None


@router.get("/subscriptions/{number}/records")
def records(
    asker: Puller,
    here: Here,
    log: Log,
    at: At,
    number: RowId,
    cursor: Annotated[
        str | None, Query(max_length=LONGEST_CURSOR, description="上一次的 cursor · go on")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1_000,
    items: Annotated[
        list[str] | None, Query(max_length=500, description="只取这些信息项，可重复 · these items only")
    ] = None,
) -> PullOut:
    """The next records for the subscribing system; without a cursor behind what it acknowledged last."""
    with reading(here.engine) as session:
        view = _own(session, asker, number)
    page = pull(
        here.engine,
        log,
        subscription_id=number,
        system_id=asker.actor.system_id or view.system.id,
        actor=asker.actor.journal_id,
        at=at,
        cursor=cursor,
        limit=limit,
        items=items,
    )
    return PullOut.model_validate(page)


@router.get("/subscriptions/{number}/export", response_class=StreamingResponse)
def exporting(
    asker: Puller,
    here: Here,
    log: Log,
    number: RowId,
    form: Annotated[Format, Query(alias="format", description="文件格式 · form of the file")] = "csv",
) -> StreamingResponse:
    """The latest record of each key as a file, as a fresh reader would have it; it moves no place.

    The headers Siji-Delivery, Siji-Count and Siji-Digest name the delivery and what is in the file. A file
    whose transfer breaks off is not whole.
    """
    with reading(here.engine) as session:
        view = _own(session, asker, number)
    return file_of(
        here,
        log,
        subscription_id=number,
        system_id=asker.actor.system_id or view.system.id,
        actor=asker.actor.journal_id,
        form=form,
    )


@router.post("/subscriptions/{number}/acknowledgement")
def acknowledgement(
    asker: Puller, session: Writing, at: At, number: RowId, body: AcknowledgementIn
) -> PositionOut:
    """Say that everything before a cursor is safely received. It may be said twice, and in any order."""
    view = _own(session, asker, number)
    system_id = asker.actor.system_id or view.system.id
    position = acknowledge(session, subscription_id=number, system_id=system_id, cursor=body.cursor, at=at)
    return position_out(position)


@router.post("/subscriptions/{number}/rewind")
def rewinding(asker: Puller, session: Writing, at: At, number: RowId, body: RewindIn) -> PositionOut:
    """Receive again what was stored since a time, or from certain offsets, or from the beginning on."""
    view = _own(session, asker, number)
    position = rewind(
        session,
        subscription_id=number,
        system_id=asker.actor.system_id or view.system.id,
        actor=asker.actor.journal_id,
        at=at,
        to=body.to,
        offsets=body.offsets,
    )
    return position_out(position)


def _own(session: Session, asker: Asker, number: int) -> SubscriptionRow:
    """The subscription, for who pulls at its subscriber's."""
    view = get_subscription_row(session, subscription_id=number)
    asker.at(session, view.subscription.bureau_id)
    asker.covers(view.dataset.code)
    return view
