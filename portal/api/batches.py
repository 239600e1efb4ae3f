"""Publishing to a dataset: batches in, receipts out. Receipts that were given are in receipts.py."""

from typing import Annotated, Any

from fastapi import Header, Query, Request, Response
from sqlalchemy.orm import Session

from exchange.errors import BatchRefused
from exchange.forms import CSV, XLSX, read_batch, told_by
from exchange.queries import get_dataset_by_code
from exchange.service.publish import MAX_BATCH_RECORDS, publish_batch, version_for
from exchange.version_queries import get_items
from identity.models import System
from identity.queries import get_system, get_system_by_id
from identity.roles import Permission as P
from infra.database import reading
from infra.errors import Kind, SijiError
from portal.access import At, Here, Log
from portal.api.receipts import ReceiptOut, show_receipt
from portal.api.shapes import api_router
from portal.api.uploads import Encoding, SentFile, unpacked
from portal.needs import Asker, needs
from portal.once import REPLAYED

router = api_router("batches")

NO_PARTS = {
    "why_zh": "它按全量更新，每批替换全部数据，文件不能分批发布；请加大单批条数",
    "why_en": "it is replaced in full by each batch, so a file is not sent in parts; let a batch have more",
}
ABOUT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": (
            "可用 Content-Encoding: gzip 或 zstd 压缩。JSON "
            '每条为 {"op":"upsert","value":{…}} 或 {"op":"delete","value":{主键信息项}}，op 缺省为 upsert；'
            "CSV 与 XLSX 首行为信息项名称或标签，$op 列为操作，空单元格即无此项 · "
            "Content-Encoding gzip or zstd. In JSON "
            'each is {"op":"upsert","value":{…}} or {"op":"delete","value":{key items}}, by default upsert; '
            "the first row of CSV and XLSX has the items' names or labels, $op the operation, "
            "and an empty cell is an absent item"
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
            CSV: {
                "schema": {"type": "string", "format": "binary"},
                "example": "$op,code,name\r\n,130624,阜平县\r\ndelete,130699,\r\n",
            },
            XLSX: {"schema": {"type": "string", "format": "binary"}},
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
    body: SentFile,
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
    part: Annotated[
        int | None,
        Query(ge=1, le=1_000_000, description="文件分批发送时的序号 · its number, if it is a part of a file"),
    ] = None,
    encoding: Encoding = None,
    sheet: Annotated[
        str | None,
        Query(
            max_length=31, description="XLSX 的工作表，不给则为第一个可见的 · by default the first not hidden"
        ),
    ] = None,
) -> ReceiptOut:
    """Publish a batch: good records to the log, bad ones to quarantine; the same key, the same receipt."""
    with reading(here.engine) as session:
        dataset = get_dataset_by_code(session, code=code)
        asker.at(session, dataset.bureau_id)
        asker.covers(dataset.code)
        publisher = publisher_of(session, asker, system)
        if part is not None and dataset.update_mode == "full":
            raise BatchRefused(dataset=dataset.code, **NO_PARTS)
        version = version_for(session, dataset, publisher_id=publisher.id, key=key)
        items = get_items(session, dataset_id=dataset.id, version=version)
        session.expunge_all()
    told = told_by(request.headers.get("content-type", "application/json"), encoding=encoding, sheet=sheet)
    limit = here.settings.batch_unpacked_bytes
    with unpacked(body, request.headers.get("content-encoding", ""), limit=limit) as content:
        changes = read_batch(content, told, items, dataset.key_items, most=MAX_BATCH_RECORDS, limit=limit)
    receipt = publish_batch(
        here.engine,
        log,
        dataset_id=dataset.id,
        publisher_id=publisher.id,
        key=key,
        changes=changes,
        at=at,
        now=here.clock.now,
        version=version,
    )
    if receipt.is_older(at):
        response.headers[REPLAYED] = "true"
    return show_receipt(receipt, dataset, publisher)


def publisher_of(session: Session, asker: Asker, code: str | None) -> System:
    """The token's own system, or the one that a person names."""
    if asker.actor.system_id is not None:
        own = get_system_by_id(session, system_id=asker.actor.system_id)
        if code not in (None, own.code):
            raise NotItsSystem(own=own.code, asked=code)
        return own
    if code is None:
        raise SystemNeeded()
    return get_system(session, code=code)
