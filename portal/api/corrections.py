"""Bad records corrected and published, or discarded, by people of the provider."""

from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic import Field
from sqlalchemy.orm import Session

from exchange.correction_file import as_csv, as_xlsx
from exchange.forms import CSV, XLSX, read_batch, told_by
from exchange.models import Dataset
from exchange.queries import get_batch, get_dataset
from exchange.service.quarantine import MOST_AT_ONCE, discard, look_at_quarantine
from exchange.service.redrive import redrive
from exchange.version_queries import get_items
from identity.queries import get_system_by_id
from identity.roles import Permission as P
from infra.database import reading
from portal.access import At, Here, Log, Writing
from portal.api.receipts import ReasonOut, ReceiptOut, show_receipt
from portal.api.shapes import In, Out, api_router
from portal.api.uploads import Encoding, SentFile, unpacked
from portal.language import language_of
from portal.needs import Asker, needs
from portal.numbers import RowId

router = api_router("batches")
Provider = Annotated[Asker, needs(P.datasets_publish)]
EXAMPLE = "$op,$id,$place,$reasons,code,name\r\n,,2,缺少必填信息项“name”,130624,阜平县\r\n"


class StillBad(Out):
    """A correction that breaks the rules too; its record waits as before."""

    place: int
    is_delete: bool
    reasons: list[ReasonOut]


class RedrivenOut(Out):
    """What became of corrections: how many are stored, in which receipts, and which are still bad."""

    redriven: int
    receipts: list[ReceiptOut]
    still_bad: list[StillBad]


class DiscardIn(In):
    """Which bad records, by place, and why."""

    places: list[int] = Field(min_length=1, max_length=MOST_AT_ONCE, examples=[[2, 3]])
    reason: str = Field(min_length=1, max_length=2000, examples=["测试数据"])


class DiscardedOut(Out):
    """How many were set aside now."""

    discarded: int = Field(examples=[2])


@router.get("/batches/{receipt_id}/quarantine/file", response_class=Response)
def correction_file(
    request: Request,
    asker: Provider,
    session: Writing,
    at: At,
    receipt_id: RowId,
    form: Annotated[Literal["csv", "xlsx"], Query()] = "csv",
) -> Response:
    """The waiting records as a file to correct and send back; the look is written into the journal."""
    dataset = _dataset(session, asker, receipt_id)
    actor = f"person:{asker.person_id}"
    content = file_of(
        session, dataset, receipt_id, actor=actor, at=at, form=form, language=language_of(request)
    )
    return attachment(content, f"quarantine-{receipt_id}.{form}", form)


@router.post(
    "/batches/{receipt_id}/quarantine/corrections",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                CSV: {"schema": {"type": "string", "format": "binary"}, "example": EXAMPLE},
                XLSX: {"schema": {"type": "string", "format": "binary"}},
                "application/json": {
                    "schema": {"type": "array", "items": {"type": "object"}},
                    "example": [{"place": 2, "value": {"code": "130624", "name": "阜平县"}}],
                },
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "example": '{"place":2,"value":{"code":"130624","name":"阜平县"}}\n',
                },
            },
        }
    },
)
def corrections(
    request: Request,
    asker: Provider,
    here: Here,
    log: Log,
    at: At,
    receipt_id: RowId,
    body: SentFile,
    force: Annotated[
        str,
        Query(
            max_length=2000,
            description="覆盖之后发布的数据的理由 · why records published since are overwritten",
        ),
    ] = "",
    encoding: Encoding = None,
    sheet: Annotated[str | None, Query(max_length=31)] = None,
) -> RedrivenOut:
    """Publish corrected records as a batch of their own; those that are still bad stay. Sent again they are
    stored once."""
    actor = f"person:{asker.person_id}"
    with reading(here.engine) as session:
        dataset = _dataset(session, asker, receipt_id)
        publisher_id = get_batch(session, batch_id=receipt_id).publisher_id
        publisher = get_system_by_id(session, system_id=publisher_id)
        items = get_items(session, dataset_id=dataset.id, version=dataset.version)
        session.expunge_all()
    told = told_by(request.headers.get("content-type", "application/json"), encoding=encoding, sheet=sheet)
    limit = here.settings.batch_unpacked_bytes
    with unpacked(body, request.headers.get("content-encoding", ""), limit=limit) as content:
        found = read_batch(
            content, told, items, dataset.key_items, most=MOST_AT_ONCE, limit=limit, correcting=True
        )
    done = redrive(
        here.engine,
        log,
        batch_id=receipt_id,
        corrections=found,
        actor=actor,
        at=at,
        now=here.clock.now,
        force=force,
    )
    return RedrivenOut(
        redriven=done.redriven,
        receipts=[show_receipt(one, dataset, publisher) for one in done.receipts],
        still_bad=[
            StillBad(
                place=one.place,
                is_delete=one.delete,
                reasons=[ReasonOut.model_validate(reason.document()) for reason in one.reasons],
            )
            for one in done.still_bad
        ],
    )


@router.post("/batches/{receipt_id}/quarantine/discarding")
def discarding(asker: Provider, session: Writing, at: At, receipt_id: RowId, body: DiscardIn) -> DiscardedOut:
    """Set bad records aside for good, with a reason."""
    _dataset(session, asker, receipt_id)
    actor = f"person:{asker.person_id}"
    places = body.places
    count = discard(session, batch_id=receipt_id, places=places, reason=body.reason, actor=actor, at=at)
    return DiscardedOut(discarded=count)


def file_of(
    session: Session, dataset: Dataset, batch_id: int, *, actor: str, at: At, form: str, language: str
) -> bytes:
    """The waiting records of a batch as a file to correct, at most MOST_AT_ONCE; the look is journalled."""
    found = look_at_quarantine(
        session, batch_id=batch_id, actor=actor, at=at, limit=MOST_AT_ONCE, waiting=True
    )
    items = get_items(session, dataset_id=dataset.id, version=dataset.version)
    write = as_xlsx if form == "xlsx" else as_csv
    return write(found, items, language=language)


def attachment(content: bytes, name: str, form: str) -> Response:
    """The file as a browser saves it."""
    kind = XLSX if form == "xlsx" else "text/csv; charset=utf-8"
    return Response(
        content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _dataset(session: Session, asker: Asker, receipt_id: int) -> Dataset:
    dataset = get_dataset(session, dataset_id=get_batch(session, batch_id=receipt_id).dataset_id)
    asker.at(session, dataset.bureau_id)
    asker.covers(dataset.code)
    return dataset
