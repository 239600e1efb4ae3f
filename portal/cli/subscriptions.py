"""`siji subscriptions`: ask for shared data, answer, pause and end subscriptions, see what was delivered."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from approval.flow import Decision
from exchange.wording import OPERATORS as OPERATOR_WORDS
from exchange.wording import SENSITIVITIES, SUBSCRIPTION_STATES, WAYS, mask_words
from portal.cli.options import AsJson, Number, Reason, Revision, read_document, read_filters, told
from portal.cli.remote import at, open_portal
from portal.cli.saving import save
from portal.cli.tables import Column, Part, show_list, show_one

app = typer.Typer(no_args_is_help=True)

State = Literal["pending", "active", "paused", "refused", "withdrawn", "revoked", "expired"]
Items = Annotated[list[str] | None, typer.Option("--item", help="信息项，可重复 · may be repeated")]
Purpose = Annotated[str | None, typer.Option(help="用途 · what it is for")]
Basis = Annotated[str | None, typer.Option(help="依据 · legal basis")]
UntilOn = Annotated[str | None, typer.Option(help="期限（含当日）· last day, YYYY-MM-DD")]
Masks = Annotated[
    Path | None,
    typer.Option(help='JSON 文件 {信息项: 脱敏方式或 null}，- 为标准输入 · {"item": mask or null}'),
]
Filter = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="'ITEM OPERATOR [VALUE…]'",
        help="只要符合条件的记录，如 '区划 in 130602 130606'，可重复 · only records that fit",
    ),
]
Unfiltered = Annotated[bool, typer.Option("--no-filter", help="取消全部条件 · without any filter")]

COLUMNS = (
    Column("id", "编号", "number"),
    Column("state", "状态", "state", SUBSCRIPTION_STATES),
    Column("dataset", "数据集", "dataset"),
    Column("dataset_name", "数据集名称", "its name"),
    Column("provider", "提供部门", "provider"),
    Column("subscriber", "申请部门", "subscriber"),
    Column("system", "信息系统", "system"),
    Column("until_on", "期限", "last day"),
    Column("case", "办件", "case"),
)
FACTS = (
    *COLUMNS,
    Column("purpose", "用途", "purpose"),
    Column("basis", "依据", "legal basis"),
    Column("reason", "理由", "reason"),
    Column("requested_at", "申请时间", "asked"),
    Column("decided_at", "答复时间", "answered"),
    Column("ended_at", "终止时间", "ended"),
    Column("revision", "版本", "revision"),
)
SEEN = Part(
    "items",
    "可见信息项",
    "Items as they are seen",
    (
        Column("name", "信息项", "item"),
        Column("label", "中文名", "label"),
        Column("sensitivity", "敏感级别", "sensitivity", SENSITIVITIES),
        Column("mask", "脱敏", "mask", told=mask_words),
    ),
)
FILTERS = Part(
    "filters",
    "筛选条件（须全部符合）",
    "Filters, all of which hold",
    (
        Column("item", "信息项", "item"),
        Column("operator", "比较", "operator", OPERATOR_WORDS),
        Column("values", "值", "values"),
    ),
)
POSITION = (
    Column("offsets", "从此偏移量继续", "goes on at"),
    Column("generation", "批次", "generation"),
    Column("acknowledged_at", "最近确认", "last acknowledged"),
)
DELIVERIES = (
    Column("id", "编号", "number"),
    Column("at", "时间", "at"),
    Column("way", "方式", "way", WAYS),
    Column("count", "条数", "records"),
    Column("items", "信息项", "items"),
    Column("digest", "摘要（SM3）", "digest (SM3)"),
)


@app.command("list")
def list_(
    side: Annotated[
        Literal["subscriber", "provider"] | None,
        typer.Option("--as", help="只看本方申请的或本方提供的 · those asked for, or those provided"),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="数据集代码 · the dataset's code")] = None,
    system: Annotated[str | None, typer.Option(help="信息系统代码 · the system's code")] = None,
    state: Annotated[State | None, typer.Option(help="状态 · state")] = None,
    as_json: AsJson = False,
) -> None:
    """列出共享申请 · List subscriptions, newest first."""
    query = {"as": side, "dataset": dataset, "system": system, "state": state}
    show_list(open_portal().list("/subscriptions", **query), COLUMNS, as_json=as_json)


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """显示共享申请 · Show a subscription with the items it shows, under which masks."""
    _show(open_portal().get(at("subscriptions", number)), as_json)


@app.command()
def proof(
    number: Number,
    start: Annotated[str, typer.Option("--from", help="首日 · first day, YYYY-MM-DD")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="写入文件 · the file to write")],
    end: Annotated[str | None, typer.Option("--to", help="末日，缺省首日 · last day, or the first")] = None,
) -> None:
    """下载存证 · Save the proof of what was delivered; `siji messages check` needs no platform."""
    save(at("subscriptions", number, "proof"), out, **{"from": start, "to": end or start})


@app.command()
def new(
    dataset: Annotated[str, typer.Option(help="数据集代码 · the dataset's code")],
    system: Annotated[str, typer.Option(help="信息系统代码 · the system that will pull")],
    items: Annotated[list[str], typer.Option("--item", help="信息项，可重复 · may be repeated")],
    purpose: Annotated[str, typer.Option(help="用途 · what it is for")],
    until_on: Annotated[str, typer.Option(help="期限（含当日）· last day, YYYY-MM-DD")],
    basis: Basis = None,
    masks: Masks = None,
    filters: Filter = None,
    as_json: AsJson = False,
) -> None:
    """申请共享 · Ask for items of a dataset; unconditional sharing is granted at once."""
    body = told(dataset=dataset, system=system, items=items, purpose=purpose, until_on=until_on, basis=basis)
    body |= {"masks": read_document(masks), "filters": read_filters(filters)}
    _show(open_portal().send("POST", "/subscriptions", body), as_json)


@app.command()
def edit(
    number: Number,
    items: Items = None,
    purpose: Purpose = None,
    basis: Basis = None,
    until_on: UntilOn = None,
    filters: Filter = None,
    no_filter: Unfiltered = False,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """修改共享申请 · Change what is asked for while it is pending; its case begins again."""
    body = told(items=items or None, purpose=purpose, basis=basis, until_on=until_on)
    body |= _filters_anew(filters, no_filter)
    _change("PATCH", number, "", body, revision, as_json)


@app.command()
def withdraw(number: Number, reason: Reason = "", as_json: AsJson = False) -> None:
    """撤回共享申请 · Take it back while it is pending."""
    _show(open_portal().send("POST", at("subscriptions", number, "withdrawal"), {"reason": reason}), as_json)


@app.command()
def decide(
    number: Number,
    decision: Annotated[Decision, typer.Argument(help="同意、不同意、退回 · what you decide")],
    reason: Reason = "",
    masks: Masks = None,
    filters: Filter = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """答复共享申请 · Answer as the provider, with the masks that shall hold, and further filters."""
    body: dict[str, Any] = {"decision": decision, "reason": reason, "masks": read_document(masks)}
    body["filters"] = read_filters(filters)
    _change("POST", number, "/decision", body, revision, as_json)


@app.command()
def pause(number: Number, reason: Reason = "", revision: Revision = None, as_json: AsJson = False) -> None:
    """暂停 · Give nothing until it is resumed."""
    _change("POST", number, "/pause", {"reason": reason}, revision, as_json)


@app.command()
def resume(number: Number, revision: Revision = None, as_json: AsJson = False) -> None:
    """恢复 · Go on with what was paused."""
    _change("POST", number, "/resumption", None, revision, as_json)


@app.command()
def revoke(number: Number, reason: Reason = "", revision: Revision = None, as_json: AsJson = False) -> None:
    """撤销 · End it for good, with a reason; the next pull is refused."""
    _change("POST", number, "/revocation", {"reason": reason}, revision, as_json)


@app.command()
def rewind(
    number: Number,
    to: Annotated[
        str | None,
        typer.Option(help="此时刻起入库的重新取 · what was stored since, YYYY-MM-DDTHH:MM+08:00"),
    ] = None,
    offset: Annotated[
        list[str] | None, typer.Option(help="分区=偏移量，可重复 · partition=offset, may be repeated")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """回退 · Receive again since a time, from offsets, or, with neither, from the beginning on."""
    parted = [one.partition("=") for one in offset or ()]
    body = told(to=to, offsets={partition: place for partition, _, place in parted} or None)
    done = open_portal().send("POST", at("subscriptions", number, "rewind"), body)
    show_one(done, POSITION, as_json=as_json)


@app.command()
def release(
    number: Number,
    items: Items = None,
    masks: Masks = None,
    filters: Filter = None,
    no_filter: Unfiltered = False,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """扩大提供范围 · Let it see further items, change masks, or say anew which records it sees."""
    body: dict[str, Any] = {"items": items or [], "masks": read_document(masks)}
    body |= _filters_anew(filters, no_filter)
    _change("POST", number, "/release", body, revision, as_json)


@app.command()
def narrow(
    number: Number,
    filters: Filter = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """缩小提供范围 · Let it see only records that also fit these filters."""
    _change("POST", number, "/narrowing", {"filters": read_filters(filters)}, revision, as_json)


@app.command()
def prolong(
    number: Number,
    until_on: Annotated[str, typer.Option(help="新的使用期限（含当日）· its new last day, YYYY-MM-DD")],
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """延长使用期限 · Let it go on until a later day, without a break."""
    _change("POST", number, "/prolongation", {"until_on": until_on}, revision, as_json)


@app.command()
def deliveries(number: Number, as_json: AsJson = False) -> None:
    """交付记录 · What was delivered under a subscription, the newest first."""
    show_list(open_portal().list(at("subscriptions", number, "deliveries")), DELIVERIES, as_json=as_json)


def _filters_anew(filters: list[str] | None, no_filter: bool) -> dict[str, Any]:
    """What is to be in place of the filters there are; nothing if they stay."""
    return {"filters": read_filters(filters)} if filters or no_filter else {}


def _change(method: str, number: int, act: str, body: Any, revision: int | None, as_json: bool) -> None:
    here = at("subscriptions", number)
    _show(open_portal().revise(method, here + act, body, seen=here, revision=revision), as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    show_one(found, FACTS, SEEN, FILTERS, as_json=as_json)
