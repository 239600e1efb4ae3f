"""`siji recalls`: records published wrongly are taken back; who got any of them, and their answers."""

import json
from typing import Annotated, Any, Literal

import typer

from exchange.wording import RECALL_ANSWERS
from infra.errors import SijiError
from portal.cli.options import AsJson, Number, Reason, told
from portal.cli.remote import at, open_portal
from portal.cli.tables import Column, Part, show_list, show_one

app = typer.Typer(no_args_is_help=True)

Code = Annotated[str, typer.Argument(help="数据集代码 · the dataset's code")]
COLUMNS = (
    Column("id", "撤回编号", "recall"),
    Column("dataset", "数据集", "dataset"),
    Column("records", "记录数", "records"),
    Column("receivers", "接收方", "receivers"),
    Column("unanswered", "未确认", "unanswered"),
    Column("begun_at", "开始时间", "begun"),
    Column("done_at", "完成时间", "done"),
)
FACTS = (*COLUMNS, Column("receipt", "删除回执", "receipt"), Column("reason", "理由", "reason"))
RECEIVED = (
    Column("subscription", "共享申请", "subscription"),
    Column("count", "记录数", "records"),
    Column("ways", "方式", "ways"),
    Column("due_on", "确认期限", "due"),
    Column("overdue", "已超期", "overdue"),
    Column("answer", "答复", "answer", RECALL_ANSWERS),
    Column("reason", "说明", "reason"),
    Column("answered_at", "答复时间", "answered"),
)
OWN = (Column("recall", "撤回编号", "recall"), *RECEIVED, Column("why", "撤回理由", "why"))
RECEIVERS = Part("received", "接收方", "receivers", RECEIVED)


class KeyUnclear(SijiError):
    """A key that is no JSON object."""

    code = "key_unclear"
    zh = '主键“{given}”不是 JSON 对象，应如 \'{{"code": "130602"}}\''
    en = 'The key “{given}” is no JSON object such as \'{{"code": "130602"}}\''


@app.command()
def new(
    dataset: Code,
    reason: Reason = "",
    receipt: Annotated[int | None, typer.Option(min=1, help="回执编号 · the receipt's number")] = None,
    keys: Annotated[
        list[str] | None, typer.Option("--key", help="主键，JSON，可重复 · a key in JSON; may be repeated")
    ] = None,
    system: Annotated[str | None, typer.Option(help="以该信息系统的名义 · for this system")] = None,
    once: Annotated[
        str | None, typer.Option("--idempotency-key", help="幂等键，重试时不变 · the same when tried again")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """撤回数据 · Delete records of a receipt, or of keys, and tell whoever got any of them."""
    body: dict[str, Any] = {"receipt": receipt, "keys": [_key(one) for one in keys or ()], "reason": reason}
    made = open_portal().send(
        "POST", at("datasets", dataset, "recalls"), body, key=once, **told(system=system)
    )
    show_one(made, FACTS, RECEIVERS, as_json=as_json)


@app.command("list")
def list_(dataset: Code, as_json: AsJson = False) -> None:
    """列出撤回 · List the recalls of a dataset, the newest first."""
    show_list(open_portal().list(at("datasets", dataset, "recalls")), COLUMNS, as_json=as_json)


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """显示撤回 · Show a recall, who got any of its records, and what they answered."""
    show_one(open_portal().get(at("recalls", number)), FACTS, RECEIVERS, as_json=as_json)


@app.command()
def received(number: Number, as_json: AsJson = False) -> None:
    """收到的撤回 · List the recalls of what was delivered under a subscription."""
    show_list(open_portal().list(at("subscriptions", number, "recalls")), OWN, as_json=as_json)


@app.command()
def answer(
    number: Number,
    recall: Annotated[int, typer.Argument(min=1, help="撤回编号 · the recall's number")],
    done: Annotated[
        Literal["deleted", "kept"], typer.Argument(help="已删除或未删除 · what was done with the records")
    ],
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """答复撤回 · Say that the records were deleted, or why they were not."""
    path = at("subscriptions", number, "recalls", recall)
    show_one(open_portal().send("POST", path, {"answer": done, "reason": reason}), OWN, as_json=as_json)


def _key(given: str) -> dict[str, Any]:
    try:
        found = json.loads(given)
    except ValueError as error:
        raise KeyUnclear(given=given) from error
    if not isinstance(found, dict):
        raise KeyUnclear(given=given)
    return found
