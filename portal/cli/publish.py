"""`siji publish`: send a file of records; the same file is taken once, however often it is sent."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.console import Console

from portal.cli.batch_file import open_batch
from portal.cli.options import AsJson, FileUnreadable
from portal.cli.progress import Meters
from portal.cli.publishing import Target, publish_file
from portal.cli.receipts import COLUMNS, FACTS
from portal.cli.remote import open_portal
from portal.cli.speech import say
from portal.cli.tables import show_list, show_one

BATCH = 50_000
METER = "发布 publishing"
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

DatasetCode = Annotated[str, typer.Argument(help="数据集代码 · the dataset's code")]
OfSystem = Annotated[
    str | None,
    typer.Option(
        "--system", help="以哪个信息系统的名义，人员发布时必填 · whose batch, if a person publishes"
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="文本编码 utf-8、gb18030，CSV 不给则按内容判断 · encoding; CSV's is told from its content"
    ),
]
Sheet = Annotated[
    str | None, typer.Option(help="XLSX 的工作表，默认第一个可见的 · by default the first not hidden")
]
Batch = Annotated[
    int,
    typer.Option(min=1, max=200_000, help="每批至多多少条，CSV、NDJSON 超过则分批 · most records of a batch"),
]


def publish(
    dataset: DatasetCode,
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV、XLSX、JSON 数组、NDJSON，可为 .gz 或 .zst，- 为标准输入 · - is standard input"
        ),
    ],
    key: Annotated[
        str | None, typer.Option(help="幂等键，默认取文件摘要 · by default from the file's digest")
    ] = None,
    system: OfSystem = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    batch: Batch = BATCH,
    as_json: AsJson = False,
) -> None:
    """发布一个文件 · Publish a file's records and print the receipts; broken off, send it again to go on."""
    target = Target(dataset, system, sheet, batch, key)
    portal = open_portal()
    with _opened(file) as source, open_batch(source, name=file.name, encoding=encoding) as opened:
        total = opened.count() or 0
        if total <= batch:
            taken = publish_file(portal, opened, target)
        else:
            with Meters(Console(stderr=True)) as meters:
                meter = meters.add(METER, total)
                taken = publish_file(portal, opened, target, told=meter.reach)
    receipts = [one.receipt for one in taken]
    if len(receipts) == 1:
        show_one(receipts[0], FACTS, as_json=as_json)
    else:
        show_list(receipts, COLUMNS, as_json=as_json)
    if all(one.was_before for one in taken):
        say(SAID["taken before"], err=True)
    for receipt in receipts:
        if receipt["quarantined"]:
            say(SAID["quarantined"], err=True, **receipt)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """The file, or standard input for `-`. Raises FileUnreadable."""
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        source = file.open("rb")
    except OSError as error:
        raise FileUnreadable(file=str(file), why=error.strerror) from error
    with source:
        yield source
