"""Publishing to a dataset: batches in, receipts out. Receipts that were given are in receipts.py."""

from typing import Annotated, Any

from fastapi import Header, Query, Request, Response
from sqlalchemy.orm import Session

from exchange.batch import Change
from exchange.errors import BatchTooLarge, UnknownForm
from exchange.intake import as_change, read_array, read_lines
from exchange.queries import get_dataset_by_code
from exchange.service.publish import MAX_BATCH_RECORDS, publish_batch
from identity.models import System
from identity.queries import get_system, get_system_by_id
from identity.roles import Permission as P
from infra.database import reading
from infra.errors import Kind, SijiError
from infra.textfile import decode
from portal.access import At, Here, Log
from portal.api.receipts import ReceiptOut, show_receipt
from portal.api.shapes import api_router
from portal.api.uploads import Sent
from portal.needs import Asker, needs
from portal.once import REPLAYED

router = api_router("batches")

FORMS = {
    "application/json": read_array,
    "application/x-ndjson": read_lines,
    "application/jsonl": read_lines,
}
ABOUT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": (
            '每条为 {"op":"upsert","value":{…}} 或 {"op":"delete","value":{主键信息项}}，op 缺省为 upsert · '
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
    zh = "该令牌属于信息系统“{own}”，不能以“{asked}”的名义操作"
    en = "The token is that of information system “{own}” and cannot act for “{asked}”"


@router.post("/datasets/{code:path}/batches", status_code=201, openapi_extra=ABOUT_BODY)
def publish(
    request: Request,
    response: Response,
    asker: Annotated[Asker, needs(P.datasets_publish)],
    here: Here,
    log: Log,
    at: At,
    code: str,
    body: Sent,
    key: Annotated[
        str,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=200,
            description="幂等键：同一键的同一批只存一次 · a batch with its key is stored once",
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
    return show_receipt(receipt, dataset, publisher)


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
