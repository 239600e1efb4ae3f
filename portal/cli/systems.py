"""`siji systems`: information systems; list, register, edit, hand over to another bureau, retire."""

from typing import Annotated, Any

import typer

from portal.cli.options import AsJson, Revision, told
from portal.cli.remote import at, open_portal
from portal.cli.tables import Column, show_list, show_one

app = typer.Typer(no_args_is_help=True)

Code = Annotated[str, typer.Argument(help="信息系统代码 · the system's code")]
Name = Annotated[str | None, typer.Option(help="名称 · name")]
Grade = Annotated[int | None, typer.Option("--mlps-grade", help="等级保护级别 · MLPS grade")]
Zone = Annotated[str | None, typer.Option(help="网络区 · zone: internet, extranet")]
Purpose = Annotated[str | None, typer.Option(help="用途 · what it is for")]
Contacts = Annotated[str | None, typer.Option(help="联系人 · whom to call")]
Retired = Annotated[bool, typer.Option("--retired", help="含已注销的 · retired ones too")]

ZONES = {"internet": ("互联网区", "internet"), "extranet": ("政务外网区", "government extranet")}
COLUMNS = (
    Column("code", "代码", "code"),
    Column("name", "名称", "name"),
    Column("bureau", "部门", "bureau"),
    Column("mlps_grade", "等保级别", "MLPS grade"),
    Column("zone", "网络区", "zone", ZONES),
    Column("retired_at", "注销时间", "retired"),
)
FACTS = (*COLUMNS, Column("revision", "版本", "revision"))
WHOLE = (
    *FACTS,
    Column("purpose", "用途", "purpose"),
    Column("contacts", "联系人", "contacts"),
    Column("created_at", "登记时间", "registered"),
)
OWNERS = (
    Column("bureau", "部门", "bureau"),
    Column("valid_from", "起", "from"),
    Column("valid_to", "止", "to"),
)


@app.command("list")
def list_(
    bureau: Annotated[str | None, typer.Option(help="只看该部门 · of this bureau alone")] = None,
    search: Annotated[str, typer.Option(help="代码、名称或部门名称包含 · part of a name")] = "",
    retired: Retired = False,
    as_json: AsJson = False,
) -> None:
    """列出信息系统 · List the systems that you may see."""
    portal = open_portal()
    if bureau is None:
        found = portal.list("/systems", search=search, retired=retired)
    else:
        found = portal.list(at("bureaus", bureau, "systems"), retired=retired)
    show_list(found, COLUMNS, as_json=as_json)


@app.command()
def show(code: Code, as_json: AsJson = False) -> None:
    """显示信息系统 · Show a system with its contacts; the look is journalled."""
    show_one(open_portal().get(at("systems", code)), WHOLE, as_json=as_json)


@app.command()
def owners(code: Code, as_json: AsJson = False) -> None:
    """历任主管部门 · Which bureaus owned the system, the first one first."""
    show_list(open_portal().list(at("systems", code, "owners")), OWNERS, as_json=as_json)


@app.command()
def register(
    code: Code,
    bureau: Annotated[str, typer.Option(help="主管部门代码 · code of its bureau")],
    name: Annotated[str, typer.Option(help="名称 · name")],
    mlps_grade: Annotated[int, typer.Option(help="等级保护级别 · MLPS grade")],
    zone: Annotated[str, typer.Option(help="网络区 · zone: internet, extranet")],
    purpose: Purpose = None,
    contacts: Contacts = None,
    as_json: AsJson = False,
) -> None:
    """登记信息系统 · Register a system of a bureau."""
    body = told(code=code, name=name, mlps_grade=mlps_grade, zone=zone, purpose=purpose, contacts=contacts)
    _show(open_portal().send("POST", at("bureaus", bureau, "systems"), body), as_json)


@app.command()
def edit(
    code: Code,
    name: Name = None,
    mlps_grade: Grade = None,
    zone: Zone = None,
    purpose: Purpose = None,
    contacts: Contacts = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """修改信息系统 · Change what is given; what is left out stays."""
    body = told(name=name, mlps_grade=mlps_grade, zone=zone, purpose=purpose, contacts=contacts)
    here = at("systems", code)
    _show(open_portal().revise("PATCH", here, body, seen=here, revision=revision), as_json)


@app.command()
def transfer(
    code: Code,
    bureau: Annotated[str, typer.Argument(help="接收部门代码 · the bureau that takes it over")],
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """移交 · Hand a system, with its servers, tokens and subscriptions, to another bureau."""
    here = at("systems", code)
    done = open_portal().revise("POST", f"{here}/transfer", {"bureau": bureau}, seen=here, revision=revision)
    _show(done, as_json)


@app.command()
def retire(code: Code, revision: Revision = None, as_json: AsJson = False) -> None:
    """注销 · End a system that holds nothing; its tokens are revoked."""
    here = at("systems", code)
    _show(open_portal().revise("POST", f"{here}/retirement", seen=here, revision=revision), as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    show_one(found, FACTS, as_json=as_json)
