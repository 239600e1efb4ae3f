"""`siji quarantine`: the records of a batch that were not taken, and why; correcting and discarding them."""

import json
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from exchange.forms import form_of
from exchange.wording import QUARANTINE_STATES
from infra.errors import SijiError
from portal.cli.options import AsJson, read_bytes
from portal.cli.receipts import COLUMNS as RECEIPTS
from portal.cli.remote import at, open_portal
from portal.cli.speech import language, say
from portal.cli.tables import Column, show_list

app = typer.Typer(no_args_is_help=True)

SAID = {
    "corrected": {
        "zh": "已更正入库 {done} 条，仍有问题 {left} 条",
        "en": "{done} records are redriven, {left} are still bad",
    },
    "discarded": {"zh": "已放弃 {done} 条", "en": "{done} records are discarded"},
}


class FileUnwritable(SijiError):
    """A file that cannot be written."""

    code = "file_unwritable"
    zh = "无法写入文件 {file}：{why}"
    en = "The file {file} cannot be written: {why}"


Receipt = Annotated[int, typer.Argument(min=1, help="回执编号 · the receipt's number")]

COLUMNS = (
    Column("place", "序号", "place"),
    Column("is_delete", "删除", "delete"),
    Column("state", "状态", "state", QUARANTINE_STATES),
    Column("redriven_into", "更正回执", "redriven into"),
    Column("why", "原因", "why"),
)
BAD = (COLUMNS[0], COLUMNS[1], COLUMNS[-1])
RAW = (*COLUMNS, Column("raw", "原始内容", "as it was sent"))


@app.command("list")
def list_(receipt: Receipt, as_json: AsJson = False) -> None:
    """列出问题数据 · List the bad records with reasons, which hold no values."""
    found = open_portal().list(at("batches", receipt, "quarantine"))
    show_list(found if as_json else map(_worded, found), COLUMNS, as_json=as_json)


@app.command()
def show(receipt: Receipt, as_json: AsJson = False) -> None:
    """显示原始内容 · Show the bad records as they were sent; each look is journalled."""
    found = open_portal().list(at("batches", receipt, "quarantine", "raw"))
    show_list(found if as_json else map(_worded, found), RAW, as_json=as_json)


@app.command()
def export(
    receipt: Receipt,
    file: Annotated[Path, typer.Argument(help="写入的文件，.csv 或 .xlsx · the file to write")],
) -> None:
    """导出待更正的问题数据 · Write the waiting records to a file to correct; each look is journalled."""
    form = "xlsx" if file.suffix.lower() == ".xlsx" else "csv"
    sink = BytesIO()
    open_portal().download(at("batches", receipt, "quarantine", "file"), sink, form=form)
    try:
        file.write_bytes(sink.getvalue())
    except OSError as error:
        raise FileUnwritable(file=str(file), why=error.strerror) from error


@app.command()
def correct(
    receipt: Receipt,
    file: Annotated[Path, typer.Argument(help="更正后的文件 · the corrected file")],
    force: Annotated[
        str, typer.Option(help="覆盖之后发布的数据的理由 · why records published since are overwritten")
    ] = "",
    encoding: Annotated[str | None, typer.Option(help="文本编码 · encoding")] = None,
    sheet: Annotated[str | None, typer.Option(help="XLSX 的工作表 · the sheet")] = None,
    as_json: AsJson = False,
) -> None:
    """更正后入库 · Publish the corrected records as a batch of their own; sent again they are stored once."""
    content = read_bytes(file)
    form = form_of(file.name, content[:4096])
    kind = form if encoding is None else f"{form}; charset={encoding}"
    done, _ = open_portal().upload(
        at("batches", receipt, "quarantine", "corrections"),
        content,
        content_type=kind,
        key=uuid4().hex,
        force=force or None,
        sheet=sheet,
    )
    if as_json:
        typer.echo(json.dumps(done, ensure_ascii=False, indent=2))
    else:
        show_list(done["receipts"], RECEIPTS, as_json=False)
        if done["still_bad"]:
            show_list(map(_worded, done["still_bad"]), BAD, as_json=False)
    say(SAID["corrected"], err=True, done=done["redriven"], left=len(done["still_bad"]))


@app.command()
def discard(
    receipt: Receipt,
    places: Annotated[list[int], typer.Argument(min=1, help="位置，可多个 · their places")],
    reason: Annotated[str, typer.Option(help="理由 · why")],
) -> None:
    """放弃问题数据 · Set bad records aside for good, with a reason."""
    body = {"places": places, "reason": reason}
    done = open_portal().send("POST", at("batches", receipt, "quarantine", "discarding"), body)
    say(SAID["discarded"], err=True, done=done["discarded"])


def _worded(record: dict[str, Any]) -> dict[str, Any]:
    return record | {
        "why": ("；" if language() == "zh" else "; ").join(reason[language()] for reason in record["reasons"])
    }
