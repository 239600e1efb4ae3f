"""Receipts of batches that were published, and what of them went to quarantine."""

from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy.orm import Session

from exchange.models import Batch, Dataset, QuarantinedRecord
from exchange.queries import (
    count_quarantined,
    get_batch,
    get_dataset,
    get_dataset_by_code,
    list_batches,
    list_corrections,
    list_quarantined,
)
from exchange.service.quarantine import look_at_quarantine
from exchange.service.receipts import Receipt, receipt_of
from identity.models import System
from identity.queries import find_systems, get_system_by_id
from identity.roles import Permission as P
from portal.access import At, Reading, Writing
from portal.api.shapes import Cursor, Limit, Out, Page, api_router, id_of, page_of
from portal.needs import Asker, needs
from portal.numbers import RowId

router = api_router("batches")
SEES_RECEIPTS = (P.datasets_publish, P.catalogue_edit, P.subscriptions_see)


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
    duplicates: int = Field(description="凭记录标识识别的重复 · known by their ids, not stored again")
    corrects_id: int | None = Field(
        description="其问题数据经更正后由本批入库的回执 · whose bad records it brings, corrected"
    )
    digest: str
    digests: dict[int, str]
    spans: dict[int, SpanOut] | None
    claimed_at: datetime
    settled_at: datetime | None


class ReceiptDetail(ReceiptOut):
    """One receipt, with what became of its bad records: how many in which state, and in which receipts."""

    quarantine: dict[str, int] = Field(examples=[{"waiting": 2, "redriven": 1}])
    corrected_by: list[int]


class ReasonOut(Out):
    """Why a record is bad; never a value."""

    code: str = Field(examples=["wrong_type"])
    item: str | None
    zh: str
    en: str


class QuarantinedOut(Out):
    """A record in quarantine: its place in the batch counts from 1.

    It waits, or was redriven, corrected, into another receipt, or discarded for a `reason`.
    """

    place: int
    is_delete: bool
    reasons: list[ReasonOut]
    state: str = Field(examples=["waiting"])
    redriven_into: int | None
    reason: str


class RawOut(QuarantinedOut):
    """The same with what was sent, as ASCII JSON."""

    raw: str
    record_id: str | None


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
    publishers = find_systems(session, {row.publisher_id for row in rows})

    def shown(row: Batch) -> ReceiptOut:
        return show_receipt(receipt_of(row), dataset, publishers[row.publisher_id])

    return page_of(rows, limit, shown=shown, place=lambda row: row.id)


@router.get("/batches/{receipt_id}")
def receipt(
    asker: Annotated[Asker, needs(*SEES_RECEIPTS)], session: Reading, receipt_id: RowId
) -> ReceiptDetail:
    """One receipt: counts, offsets, digests, and what became of its bad records."""
    batch = get_batch(session, batch_id=receipt_id)
    dataset = get_dataset(session, dataset_id=batch.dataset_id)
    _let_see(session, asker, dataset)
    plain = show_receipt(receipt_of(batch), dataset, get_system_by_id(session, system_id=batch.publisher_id))
    return ReceiptDetail(
        **plain.model_dump(),
        quarantine=count_quarantined(session, batch_ids=[batch.id]).get(batch.id, {}),
        corrected_by=[one.id for one in list_corrections(session, batch_id=batch.id)],
    )


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


def show_receipt(receipt: Receipt, dataset: Dataset, publisher: System) -> ReceiptOut:
    """The receipt as the API shows it."""
    plain = {name: getattr(receipt, name) for name in ReceiptOut.model_fields if hasattr(receipt, name)}
    return ReceiptOut.model_validate({**plain, "dataset": dataset.code, "publisher": publisher.code})


def _let_see(session: Session, asker: Asker, dataset: Dataset) -> None:
    asker.at(session, dataset.bureau_id)
    asker.covers(dataset.code)


def _place(record: QuarantinedRecord) -> int:
    return record.place
