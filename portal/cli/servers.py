"""`siji servers`: servers as they were seen last, and what may be done with one."""

from typing import Annotated, Any

import typer

from portal.cli.options import AsJson, Number, OfBureau
from portal.cli.remote import at, open_portal
from portal.cli.systems import ZONES
from portal.cli.tables import Column, Part, show_list, show_one
from provisioning.wording import SERVER_STATES, VOLUME_STATES

app = typer.Typer(no_args_is_help=True)

COLUMNS = (
    Column("id", "编号", "number"),
    Column("name", "名称", "name"),
    Column("state", "状态", "state", SERVER_STATES),
    Column("bureau", "部门", "bureau"),
    Column("system", "信息系统", "system"),
    Column("region", "区域", "region"),
    Column("flavor", "规格", "flavor"),
    Column("end_on", "使用期限", "last day"),
)
FACTS = (
    *COLUMNS,
    Column("image", "镜像", "image"),
    Column("zone", "网络区", "zone", ZONES),
    Column("wanted_flavor", "变更为", "being resized to"),
    Column("cloud_id", "云上编号", "id in the cloud"),
    Column("since_at", "状态始于", "in this state since"),
    Column("fault", "最近一次失败的原因", "why the last try failed"),
)
VOLUMES = Part(
    "volumes",
    "云硬盘",
    "Volumes",
    (
        Column("id", "编号", "number"),
        Column("name", "名称", "name"),
        Column("size_gib", "容量 GiB", "GiB"),
        Column("wanted_gib", "扩容至 GiB", "to be GiB"),
        Column("state", "状态", "state", VOLUME_STATES),
    ),
)


@app.command("list")
def list_(
    bureau: OfBureau = None,
    system: Annotated[str | None, typer.Option(help="信息系统代码 · the system's code")] = None,
    state: Annotated[
        str | None, typer.Option(help=f"状态 · state: {', '.join(SERVER_STATES)}", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """列出云服务器 · List servers."""
    found = open_portal().list("/servers", bureau=bureau, system=system, state=state)
    show_list(found, COLUMNS, as_json=as_json)


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """显示云服务器 · Show a server with its volumes, its lease, and why the last try failed."""
    _show(open_portal().get(at("servers", number)), as_json)


@app.command()
def stop(number: Number, as_json: AsJson = False) -> None:
    """停机 · Have a running server stopped; it keeps what it holds."""
    _act(number, "stop", as_json)


@app.command()
def start(number: Number, as_json: AsJson = False) -> None:
    """开机 · Have a stopped server run again, while its lease lasts."""
    _act(number, "start", as_json)


@app.command()
def reboot(
    number: Number,
    hard: Annotated[bool, typer.Option("--hard", help="如同断电 · as if its power were cut")] = False,
    as_json: AsJson = False,
) -> None:
    """重启 · Have a running server rebooted; hard also where a reboot hangs."""
    _show(open_portal().send("POST", at("servers", number, "reboot"), {"hard": hard}), as_json)


@app.command()
def console(number: Number, as_json: AsJson = False) -> None:
    """控制台 · Print the address of a running server's screen; it lasts some minutes. It is journalled."""
    found = open_portal().send("POST", at("servers", number, "console"))
    show_one(found, (Column("url", "地址", "address"),), as_json=as_json)


@app.command()
def retry(number: Number, as_json: AsJson = False) -> None:
    """重建 · Build a failed server anew; its quota is claimed again."""
    _act(number, "retry", as_json)


@app.command("give-up")
def give_up(number: Number, as_json: AsJson = False) -> None:
    """放弃 · Do without a failed server, so that the rest of its request can be confirmed."""
    _act(number, "give-up", as_json)


@app.command()
def reclaim(
    number: Number,
    reason: Annotated[str, typer.Option(help="理由 · why, for its bureau to read")],
    as_json: AsJson = False,
) -> None:
    """回收 · The office takes a server back: a snapshot is kept, then it and its volumes are deleted."""
    _show(open_portal().send("POST", at("servers", number, "reclaim"), {"reason": reason}), as_json)


def _act(number: int, act: str, as_json: bool) -> None:
    _show(open_portal().send("POST", at("servers", number, act)), as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    show_one(found, FACTS, VOLUMES, as_json=as_json)
