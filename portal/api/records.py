"""Pulling: the records that a subscription delivers to its system, by cursor."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from exchange.queries import get_subscription_row
from exchange.service.pull import MAX_PAGE, pull
from identity.roles import Permission as P
from infra.database import reading
from portal.access import At, Here, Log
from portal.api.shapes import Out, api_router
from portal.needs import Asker, needs
from portal.numbers import RowId

router = api_router("records")

LONGEST_CURSOR = 32_768


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
    asker: Annotated[Asker, needs(P.datasets_pull)],
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
    """The next records for the subscribing system, from the beginning without a cursor."""
    with reading(here.engine) as session:
        view = get_subscription_row(session, subscription_id=number)
        asker.at(session, view.subscription.bureau_id)
        asker.covers(view.dataset.code)
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
