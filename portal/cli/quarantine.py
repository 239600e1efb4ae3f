"""`siji quarantine`: the records of a batch that were not taken, and why."""

from typing import Annotated, Any

import typer

from portal.cli.options import AsJson
from portal.cli.remote import at, open_portal
from portal.cli.speech import language
from portal.cli.tables import Column, show_list

app = typer.Typer(no_args_is_help=True)

Receipt = Annotated[int, typer.Argument(min=1, help="回执编号 · the receipt's number")]

COLUMNS = (
    Column("place", "序号", "place"),
    Column("is_delete", "删除", "delete"),
    Column("why", "原因", "why"),
)
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


def _worded(record: dict[str, Any]) -> dict[str, Any]:
    return record | {
        "why": ("；" if language() == "zh" else "; ").join(reason[language()] for reason in record["reasons"])
    }
