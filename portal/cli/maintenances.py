"""`siji maintenances`: hosts that are taken out of service; plan, agree, object, overrule, end."""

from typing import Annotated, Any

import typer

from portal.cli.options import AsJson, Number, Reason, read_instant
from portal.cli.remote import at, open_portal
from portal.cli.tables import Column, Part, show_list, show_one
from provisioning.wording import ANSWERS, MAINTENANCE_STATES

app = typer.Typer(no_args_is_help=True)

COLUMNS = (
    Column("id", "编号", "number"),
    Column("region", "区域", "region"),
    Column("host", "计算主机", "host"),
    Column("state", "状态", "state", MAINTENANCE_STATES),
    Column("live", "在线迁移", "live"),
    Column("from_at", "开始", "from"),
    Column("until_at", "结束", "until"),
    Column("left", "待迁出", "still to leave"),
    Column("reason", "原因", "reason"),
)
FACTS = (
    *COLUMNS,
    Column("fault", "受阻原因", "what stands in its way"),
    Column("overruled", "强制理由", "why overruled"),
    Column("planned_by", "计划人", "planned by"),
    Column("looked_at", "最近查看", "last looked at"),
    Column("ended_at", "结束于", "ended"),
)
BUREAUS = Part(
    "bureaus",
    "涉及单位",
    "Bureaus that it meets",
    (
        Column("bureau", "单位", "bureau"),
        Column("servers", "云服务器", "servers"),
        Column("told_at", "通知于", "told"),
        Column("answer", "答复", "answer", ANSWERS),
        Column("reason", "理由", "reason"),
    ),
)
MOVES = Part(
    "moves",
    "迁移",
    "Moves",
    (
        Column("name", "云服务器", "server"),
        Column("tries", "次数", "tries"),
        Column("began_at", "开始", "began"),
        Column("ended_at", "结束", "ended"),
        Column("to_host", "迁至", "arrived at"),
        Column("fault", "失败原因", "why it failed"),
    ),
)
OfBureau = Annotated[str, typer.Option("--bureau", help="答复的单位代码 · code of the bureau that answers")]
INSTANT = "北京时间，如 2026-03-02T22:00 · in the city's time, such as 2026-03-02T22:00"


@app.command("list")
def list_(
    region: Annotated[str | None, typer.Option(help="区域 · region")] = None,
    host: Annotated[str | None, typer.Option(help="计算主机 · host")] = None,
    state: Annotated[
        str | None, typer.Option(help=f"状态 · state: {', '.join(MAINTENANCE_STATES)}", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """列出主机维护 · List maintenances of hosts."""
    found = open_portal().list("/maintenances", region=region, host=host, state=state)
    show_list(found, COLUMNS, as_json=as_json)


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """显示主机维护 · Show a maintenance with the bureaus' answers and what was moved."""
    _show(open_portal().get(at("maintenances", number)), as_json)


@app.command()
def plan(
    host: Annotated[str, typer.Argument(help="计算主机 · the host")],
    region: Annotated[str, typer.Option(help="区域 · region")],
    reason: Reason,
    from_at: Annotated[str, typer.Option("--from", help=f"开始 · beginning; {INSTANT}")],
    until_at: Annotated[str, typer.Option("--until", help=f"结束 · end; {INSTANT}")],
    live: Annotated[
        bool, typer.Option("--live/--cold", help="在线迁移或停机迁移 · moved while they run, or stopped")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """计划主机维护 · Have a host emptied in a window; its bureaus are told, and asked where servers stop."""
    wanted = {
        "region": region,
        "host": host,
        "live": live,
        "reason": reason,
        "from_at": read_instant(from_at),
        "until_at": read_instant(until_at),
    }
    _show(open_portal().send("POST", "/maintenances", wanted), as_json)


@app.command()
def agree(
    number: Number,
    bureau: OfBureau,
    reason: Annotated[str, typer.Option(help="说明 · a remark")] = "",
    as_json: AsJson = False,
) -> None:
    """同意维护 · Agree, for a bureau, that its servers are moved."""
    _act(number, "agree", {"bureau": bureau, "reason": reason}, as_json)


@app.command("object")
def object_(number: Number, bureau: OfBureau, reason: Reason, as_json: AsJson = False) -> None:
    """不同意维护 · Object, for a bureau; the office is told why."""
    _act(number, "object", {"bureau": bureau, "reason": reason}, as_json)


@app.command()
def overrule(number: Number, reason: Reason, as_json: AsJson = False) -> None:
    """强制进行 · Have it begin although a bureau has not agreed."""
    _act(number, "overrule", {"reason": reason}, as_json)


@app.command()
def end(number: Number, as_json: AsJson = False) -> None:
    """结束维护 · Have the host take servers again; one that has not begun is cancelled."""
    _act(number, "end", None, as_json)


def _act(number: int, act: str, body: dict[str, Any] | None, as_json: bool) -> None:
    _show(open_portal().send("POST", at("maintenances", number, act), body), as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    show_one(found, FACTS, BUREAUS, MOVES, as_json=as_json)
