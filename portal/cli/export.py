"""`siji export`: what a subscription shows now, as a file that is whole or not there."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from portal.cli.remote import at
from portal.cli.saving import save
from portal.cli.speech import say

SAID = {
    "exported": {
        "zh": "已导出 {count} 条记录（交付 {delivery}，摘要 {digest}）",
        "en": "{count} records exported (delivery {delivery}, digest {digest})",
    },
}


def export(
    subscription: Annotated[int, typer.Argument(min=1, help="共享申请编号 · the subscription's number")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="写入文件 · the file to write")],
    form: Annotated[
        Literal["csv", "xlsx", "ndjson", "parquet"],
        typer.Option("--format", help="文件格式 · form of the file"),
    ] = "csv",
) -> None:
    """导出文件 · Save the latest record of each key; the file is there once it is whole."""
    told = save(at("subscriptions", subscription, "export"), out, format=form)
    facts = {name: told[f"Siji-{name.capitalize()}"] for name in ("count", "delivery", "digest")}
    say(SAID["exported"], err=True, **facts)
