"""`siji publish`: send a batch of records; the same file is taken once, however often it is sent."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from portal.cli.options import AsJson, read_bytes
from portal.cli.receipts import FACTS
from portal.cli.remote import at, open_portal
from portal.cli.speech import say
from portal.cli.tables import show_one

ARRAY, LINES = "application/json", "application/x-ndjson"
SAID = {
    "taken before": {
        "zh": "这批数据此前已接收，本次未再写入，以上为当时的回执；确需再次写入，请另给 --key",
        "en": "Taken before, so nothing was written now; this is its receipt. To write it anew give a --key",
    },
    "quarantined": {
        "zh": "有 {quarantined} 条问题数据未入库，原因见 siji quarantine list {id}",
        "en": "{quarantined} records went to quarantine; see siji quarantine list {id}",
    },
}


def publish(
    dataset: Annotated[str, typer.Argument(help="数据集代码 · the dataset's code")],
    file: Annotated[Path, typer.Argument(help="JSON 数组或 NDJSON，- 为标准输入 · - is standard input")],
    key: Annotated[
        str | None, typer.Option(help="幂等键，默认取文件摘要 · by default from the file's digest")
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(help="以哪个信息系统的名义，人员发布时必填 · whose batch, if a person publishes"),
    ] = None,
    encoding: Annotated[str, typer.Option(help="文件编码 · the file's encoding: utf-8, gb18030")] = "utf-8",
    as_json: AsJson = False,
) -> None:
    """发布一批数据 · Publish {"op": "upsert"|"delete", "value": {…}} each and print the receipt."""
    batch = read_bytes(file)
    form = ARRAY if batch.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") else LINES
    receipt, was_taken_before = open_portal().upload(
        at("datasets", dataset, "batches"),
        batch,
        content_type=f"{form}; charset={encoding}",
        key=key or f"sha256:{hashlib.sha256(batch).hexdigest()}",
        system=system,
    )
    show_one(receipt, FACTS, as_json=as_json)
    if was_taken_before:
        say(SAID["taken before"], err=True, **receipt)
    if receipt["quarantined"]:
        say(SAID["quarantined"], err=True, **receipt)
