"""`siji receipts`: what became of the batches that were published."""

from pathlib import Path
from typing import Annotated

import typer

from exchange.wording import BATCH_STATES, UPDATE_MODES
from portal.cli.options import AsJson, Number
from portal.cli.remote import at, open_portal
from portal.cli.saving import save
from portal.cli.tables import Column, show_list, show_one

app = typer.Typer(no_args_is_help=True)

COLUMNS = (
    Column("id", "回执编号", "receipt"),
    Column("dataset", "数据集", "dataset"),
    Column("publisher", "发布系统", "publisher"),
    Column("state", "状态", "state", BATCH_STATES),
    Column("received", "收到", "received"),
    Column("upserts", "新增更新", "upserts"),
    Column("deletes", "删除", "deletes"),
    Column("quarantined", "问题数据", "quarantined"),
    Column("duplicates", "重复", "duplicates"),
    Column("settled_at", "入库时间", "stored"),
)
FACTS = (
    *COLUMNS,
    Column("key", "幂等键", "key"),
    Column("update_mode", "更新方式", "update mode", UPDATE_MODES),
    Column("version", "信息项版本", "version"),
    Column("claimed_at", "收到时间", "came"),
    Column("digest", "摘要（SM3）", "digest (SM3)"),
)


@app.command("list")
def list_(
    dataset: Annotated[str, typer.Argument(help="数据集代码 · the dataset's code")], as_json: AsJson = False
) -> None:
    """列出回执 · List the receipts of a dataset, the newest first."""
    show_list(open_portal().list(at("datasets", dataset, "batches")), COLUMNS, as_json=as_json)


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """显示回执 · Show one receipt: counts and digests."""
    show_one(open_portal().get(at("batches", number)), FACTS, as_json=as_json)


@app.command()
def proof(
    number: Number,
    out: Annotated[Path, typer.Option(dir_okay=False, help="写入文件 · the file to write")],
) -> None:
    """下载存证 · Save the proof of a receipt; `siji messages check` checks it without the platform."""
    save(at("batches", number, "proof"), out)
