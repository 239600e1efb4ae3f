"""`siji grants`: what bureaus were granted in a region, what is used of it; granting, modes and freezes."""

from typing import Annotated, Any, Literal

import typer

from portal.cli.options import (
    DIMENSION_WORDS,
    LIMIT_WORDS,
    AsJson,
    BureauCode,
    LimitPairs,
    Reason,
    Revision,
    read_limit,
)
from portal.cli.remote import at, open_portal
from portal.cli.tables import Column, show_json, show_list, show_one
from provisioning.quota import DIMENSIONS
from provisioning.wording import MODES

app = typer.Typer(no_args_is_help=True)

Region = Annotated[str, typer.Argument(help="区域 · region")]
Mode = Annotated[Literal["reserved", "shared"], typer.Argument(help="独占或共享 · how its children share")]

FACTS = (
    Column("bureau", "部门", "bureau"),
    Column("name", "名称", "name"),
    Column("region", "区域", "region"),
    Column("mode", "下级方式", "mode", MODES),
    Column("inconsistent.since", "云上配额不一致，自", "inconsistent in the cloud since"),
)
SERVICES = (Column("service", "云服务", "service"), Column("{language}", "原因", "why"))
AMOUNTS = (
    Column("dimension", "资源", "dimension", DIMENSION_WORDS),
    Column("limit", "配额", "limit", LIMIT_WORDS),
    Column("frozen", "冻结上限", "frozen at", LIMIT_WORDS),
    Column("used", "自用", "used"),
    Column("held", "合计占用", "held"),
    Column("headroom", "余量", "headroom", LIMIT_WORDS),
)
HISTORY = (
    Column("valid_from", "起", "from"),
    Column("valid_to", "止", "to"),
    Column("mode", "下级方式", "mode", MODES),
    Column("limit", "配额", "limit", LIMIT_WORDS),
    Column("frozen", "冻结上限", "frozen at", LIMIT_WORDS),
    Column("is_overcommit", "超出容量", "overcommit"),
    Column("actor", "办理者", "by"),
    Column("reason", "理由", "reason"),
)


@app.command()
def show(bureau: BureauCode, region: Region, as_json: AsJson = False) -> None:
    """显示配额 · Show a bureau's quota in a region, and what is used of it."""
    _show(open_portal().get(_at(bureau, region)), as_json)


@app.command("list")
def list_(bureau: BureauCode, region: Region, as_json: AsJson = False) -> None:
    """列出直属下级的配额 · List the quotas of the bureaus right below, a line for each resource."""
    found = open_portal().list(_at(bureau, region) + "/children")
    if as_json:
        show_json(list(found))
        return
    show_list((one | line for one in found for line in _lines(one)), (*FACTS, *AMOUNTS))


@app.command()
def history(bureau: BureauCode, region: Region, as_json: AsJson = False) -> None:
    """配额沿革 · What the bureau was granted over time, the newest first."""
    show_list(open_portal().list(_at(bureau, region) + "/history"), HISTORY, as_json=as_json)


@app.command("set")
def set_(
    bureau: BureauCode,
    region: Region,
    limit: LimitPairs = None,
    reason: Reason = "",
    overcommit: Annotated[
        bool, typer.Option("--overcommit", help="仅市级：超出容量下达 · beyond the capacity, with a reason")
    ] = False,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """下达配额 · Grant a bureau its whole quota anew, from its parent's."""
    body = {"limit": read_limit(limit) or {}, "reason": reason, "overcommit": overcommit}
    _change("PUT", bureau, region, "", body, revision, as_json)


@app.command()
def mode(
    bureau: BureauCode,
    region: Region,
    mode: Mode,
    reason: Reason = "",
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """设定下级方式 · Let the bureau's children carve out their grants, or share the bureau's."""
    _change("PUT", bureau, region, "/mode", {"mode": mode, "reason": reason}, revision, as_json)


@app.command()
def freeze(
    bureau: BureauCode,
    region: Region,
    reason: Annotated[str, typer.Option(help="理由 · why")],
    limit: LimitPairs = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """冻结 · Refuse growth beyond a limit in the whole subtree; shrinking stays allowed."""
    body = {"limit": read_limit(limit) or {}, "reason": reason}
    _change("PUT", bureau, region, "/freeze", body, revision, as_json)


@app.command()
def unfreeze(
    bureau: BureauCode,
    region: Region,
    reason: Reason = "",
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """解除冻结 · Let the grant itself count again."""
    _change("DELETE", bureau, region, "/freeze", None, revision, as_json, reason=reason)


def _at(bureau: str, region: str) -> str:
    return at("bureaus", bureau, "grants", region)


def _change(
    method: str,
    bureau: str,
    region: str,
    what: str,
    body: Any,
    revision: int | None,
    as_json: bool,
    **query: str,
) -> None:
    here = _at(bureau, region)
    _show(open_portal().revise(method, here + what, body, seen=here, revision=revision, **query), as_json)


def _show(account: dict[str, Any], as_json: bool) -> None:
    show_one(account, FACTS, as_json=as_json)
    if not as_json:
        if account["inconsistent"]:
            typer.echo()
            show_list(account["inconsistent"]["services"], SERVICES)
        typer.echo()
        show_list(_lines(account, with_empty=True), AMOUNTS)


def _lines(account: dict[str, Any], *, with_empty: bool = False) -> list[dict[str, Any]]:
    """The account by dimension; those of which nothing is granted nor held may be left out."""
    return [
        {"dimension": dimension.key}
        | {
            name: _amount(account[name], dimension.key)
            for name in ("limit", "frozen", "used", "held", "headroom")
        }
        for dimension in DIMENSIONS
        if with_empty or account["limit"][dimension.key] != 0 or account["held"][dimension.key]
    ]


def _amount(amounts: dict[str, int | None] | None, key: str) -> int | str | None:
    if amounts is None:
        return None
    return "null" if amounts[key] is None else amounts[key]
