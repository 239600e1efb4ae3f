"""Publishing to a dataset: batches in, receipts out, and what went to quarantine."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request, Response
from pydantic import Field
from sqlalchemy.orm import Session

from exchange.batch import Change
from exchange.errors import BatchTooLarge, UnknownForm
from exchange.intake import as_change, read_array, read_lines
from exchange.models import Batch, Dataset, QuarantinedRecord
from exchange.queries import (
    get_batch,
    get_dataset,
    get_dataset_by_code,
    list_batches,
    list_quarantined,
)
from exchange.service.publish import MAX_BATCH_RECORDS, Receipt, publish_batch, receipt_of
from exchange.service.quarantine import look_at_quarantine
from identity.models import System
from identity.queries import get_system, get_system_by_id
from identity.roles import Permission as P
from infra.database import reading
from infra.errors import Kind, SijiError
from infra.textfile import decode
from portal.access import At, Here, Log, Reading, Writing
from portal.api.shapes import Cursor, Limit, Out, Page, RowId, api_router, id_of, page_of
from portal.needs import Asker, needs
from portal.once import REPLAYED

router = api_router("batches")

FORMS = {
    "application/json": read_array,
    "application/x-ndjson": read_lines,
    "application/jsonl": read_lines,
}
SEES_RECEIPTS = (P.datasets_publish, P.catalogue_edit, P.subscriptions_see)
ABOUT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": (
            '每条为 {"op":"upsert","value":{…}} 或 {"op":"delete","value":{主键信息项}},op 缺省为 upsert · '
            'each is {"op":"upsert","value":{…}} or {"op":"delete","value":{key items}}, by default upsert'
        ),
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["value"],
                        "properties": {
                            "op": {"type": "string", "enum": ["upsert", "delete"], "default": "upsert"},
                            "value": {},
                        },
                        "additionalProperties": False,
                    },
                },
                "example": [
                    {"op": "upsert", "value": {"code": "130624", "name": "阜平县"}},
                    {"op": "delete", "value": {"code": "130699"}},
                ],
            },
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"value":{"code":"130624"}}\n{"op":"delete","value":{"code":"130699"}}\n',
            },
        },
    }
}


class SystemNeeded(SijiError):
    """A person publishes without saying for which system."""

    code = "system_needed"
    zh = "请用 system 参数指明以哪个信息系统的名义发布"
    en = "Say with the parameter system for which information system you publish"


class NotItsSystem(SijiError):
    """A token names another system than its own."""

    kind = Kind.forbidden
    code = "not_its_system"
    zh = "该令牌属于信息系统“{own}”,不能以“{asked}”的名义操作"
    en = "The token is that of information system “{own}” and cannot act for “{asked}”"


class SpanOut(Out):
    """Where a batch lies in one partition: first and last offset, inclusive, and how many records."""

    first: int
    last: int
    count: int


class ReceiptOut(Out):
    """What became of a batch (回执). Digests are SM3; `spans` are null until it is settled."""

    id: int
    dataset: str = Field(examples=["307003003/000001"])
    publisher: str = Field(examples=["1306-mzj-s1"])
    key: str = Field(examples=["2026-03-02T09:00/1"])
    state: str = Field(examples=["settled"])
    update_mode: str = Field(examples=["incremental"])
    version: int
    received: int
    upserts: int
    deletes: int
    quarantined: int
    digest: str
    digests: dict[int, str]
    spans: dict[int, SpanOut] | None
    claimed_at: datetime
    settled_at: datetime | None


class ReasonOut(Out):
    """Why a record is bad; never a value."""

    code: str = Field(examples=["wrong_type"])
    item: str | None
    zh: str
    en: str


class QuarantinedOut(Out):
    """A record in quarantine: its place in the batch counts from 1."""

    place: int
    is_delete: bool
    reasons: list[ReasonOut]


class RawOut(QuarantinedOut):
    """The same with what was sent, as ASCII JSON."""

    raw: str


async def sent(request: Request) -> bytes:
    """The body as it came; how long it may be is the gate's business. Async, as reading it is."""
    return await request.body()


@router.post("/datasets/{code:path}/batches", status_code=201, openapi_extra=ABOUT_BODY)
def publish(
    request: Request,
    response: Response,
    asker: Annotated[Asker, needs(P.datasets_publish)],
    here: Here,
    log: Log,
    at: At,
    code: str,
    body: Annotated[bytes, Depends(sent)],
    key: Annotated[
        str,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=200,
            description="幂等键:同一键的同一批只存一次 · a batch with its key is stored once",
        ),
    ],
    system: Annotated[
        str | None, Query(max_length=64, description="人员发布时必填 · whose batch, if a person publishes")
    ] = None,
) -> ReceiptOut:
    """Publish a batch: good records to the log, bad ones to quarantine; the same key, the same receipt."""
    with reading(here.engine) as session:
        dataset = get_dataset_by_code(session, code=code)
        asker.at(session, dataset.bureau_id)
        asker.covers(dataset.code)
        publisher = _publisher(session, asker, system)
        session.expunge_all()
    changes = _changes(request, body)
    receipt = publish_batch(
        here.engine, log, dataset_id=dataset.id, publisher_id=publisher.id, key=key, changes=changes, at=at
    )
    if receipt.settled_at != at:
        response.headers[REPLAYED] = "true"
    return _shown(receipt, dataset, publisher)


@router.get("/datasets/{code:path}/batches")
def receipts(
    asker: Annotated[Asker, needs(*SEES_RECEIPTS)],
    session: Reading,
    code: str,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[ReceiptOut]:
    """Receipts of a dataset, the newest first."""
    dataset = get_dataset_by_code(session, code=code)
    _let_see(session, asker, dataset)
    rows = list_batches(session, dataset_id=dataset.id, before=id_of(cursor), limit=limit + 1)
    return page_of(rows, limit, shown=lambda row: _of_row(session, row, dataset), place=lambda row: row.id)


@router.get("/batches/{receipt_id}")
def receipt(
    asker: Annotated[Asker, needs(*SEES_RECEIPTS)], session: Reading, receipt_id: RowId
) -> ReceiptOut:
    """One receipt: counts, offsets, digests."""
    batch = get_batch(session, batch_id=receipt_id)
    dataset = get_dataset(session, dataset_id=batch.dataset_id)
    _let_see(session, asker, dataset)
    return _of_row(session, batch, dataset)


@router.get("/batches/{receipt_id}/quarantine")
def quarantine(
    asker: Annotated[Asker, needs(*SEES_RECEIPTS)],
    session: Reading,
    receipt_id: RowId,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[QuarantinedOut]:
    """The bad records of a batch by place, with reasons that name items and never hold values."""
    batch = get_batch(session, batch_id=receipt_id)
    _let_see(session, asker, get_dataset(session, dataset_id=batch.dataset_id))
    rows = list_quarantined(session, batch_id=batch.id, after=id_of(cursor) or 0, limit=limit + 1)
    return page_of(rows, limit, shown=QuarantinedOut.model_validate, place=_place)


@router.get("/batches/{receipt_id}/quarantine/raw")
def raw_quarantine(
    asker: Annotated[Asker, needs(P.datasets_publish, P.catalogue_edit)],
    session: Writing,
    at: At,
    receipt_id: RowId,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[RawOut]:
    """The same with what was sent, for people of the provider; each look is written into the journal."""
    batch = get_batch(session, batch_id=receipt_id)
    asker.at(session, get_dataset(session, dataset_id=batch.dataset_id).bureau_id)
    actor = f"person:{asker.person_id}"
    after = id_of(cursor) or 0
    rows = look_at_quarantine(session, batch_id=batch.id, actor=actor, at=at, after=after, limit=limit)
    more = list_quarantined(session, batch_id=batch.id, after=rows[-1].place, limit=1) if rows else []
    return page_of([*rows, *more], limit, shown=RawOut.model_validate, place=_place)


def _publisher(session: Session, asker: Asker, code: str | None) -> System:
    """The token's own system, or the one that a person names."""
    if asker.actor.system_id is not None:
        own = get_system_by_id(session, system_id=asker.actor.system_id)
        if code not in (None, own.code):
            raise NotItsSystem(own=own.code, asked=code)
        return own
    if code is None:
        raise SystemNeeded()
    return get_system(session, code=code)


def _changes(request: Request, body: bytes) -> list[Change]:
    """What the body holds. Raises UnknownForm, BatchTooLarge, Unreadable, and as infra.textfile.decode."""
    kind, *parameters = request.headers.get("content-type", "application/json").split(";")
    read = FORMS.get(kind.strip().lower())
    if read is None:
        raise UnknownForm(given=kind.strip(), known=", ".join(FORMS))
    declared = next((p.partition("=")[2] for p in parameters if p.strip().lower().startswith("charset=")), "")
    changes: list[Change] = []
    for place, document in read(decode(body, declared=declared.strip(' "') or "utf-8").text):
        if len(changes) == MAX_BATCH_RECORDS:
            raise BatchTooLarge(limit=MAX_BATCH_RECORDS)
        changes.append(as_change(place, document))
    return changes


def _let_see(session: Session, asker: Asker, dataset: Dataset) -> None:
    asker.at(session, dataset.bureau_id)
    asker.covers(dataset.code)


def _of_row(session: Session, batch: Batch, dataset: Dataset) -> ReceiptOut:
    return _shown(receipt_of(batch), dataset, get_system_by_id(session, system_id=batch.publisher_id))


def _shown(receipt: Receipt, dataset: Dataset, publisher: System) -> ReceiptOut:
    plain = {name: getattr(receipt, name) for name in ReceiptOut.model_fields if hasattr(receipt, name)}
    return ReceiptOut.model_validate({**plain, "dataset": dataset.code, "publisher": publisher.code})


def _place(record: QuarantinedRecord) -> int:
    return record.place
