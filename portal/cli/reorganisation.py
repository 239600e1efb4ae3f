"""`siji bureaus`, what goes through the portal: reading the tree, and reorganising a unit of it."""

from typing import Annotated, Any

import typer

from portal.cli.options import AsJson, BureauCode, Revision, told
from portal.cli.remote import at, open_portal
from portal.cli.tables import Column, show_list, show_one

app = typer.Typer()

Level = Annotated[str | None, typer.Option(help="层级 · level: city, county, township, village")]

LEVELS = {
    "city": ("市", "city"),
    "county": ("县", "county"),
    "township": ("乡", "township"),
    "village": ("村", "village"),
}
COLUMNS = (
    Column("code", "代码", "code"),
    Column("name", "名称", "name"),
    Column("level", "层级", "level", LEVELS),
)
FACTS = (
    *COLUMNS,
    Column("parent", "上级", "parent"),
    Column("is_territorial", "行政区划", "territorial"),
    Column("abolished_at", "撤销时间", "abolished"),
    Column("revision", "版本", "revision"),
)
THEN = (*COLUMNS, Column("parent", "上级", "parent"))
VERSIONS = (*THEN, Column("valid_from", "起", "from"), Column("valid_to", "止", "to"))


@app.command("list")
def list_(
    parent: Annotated[str | None, typer.Option(help="直属该部门 · right below this one")] = None,
    level: Level = None,
    name: Annotated[str | None, typer.Option(help="名称包含 · part of the name")] = None,
    as_json: AsJson = False,
) -> None:
    """列出部门 · List living bureaus by code."""
    found = open_portal().list("/bureaus", parent=parent, level=level, name=name)
    show_list(found, COLUMNS, as_json=as_json)


@app.command()
def show(code: BureauCode, as_json: AsJson = False) -> None:
    """显示部门 · Show a bureau, abolished ones too."""
    show_one(open_portal().get(at("bureaus", code)), FACTS, as_json=as_json)


@app.command()
def history(code: BureauCode, as_json: AsJson = False) -> None:
    """部门沿革 · What the unit was called and where it stood, the oldest first."""
    show_list(open_portal().list(at("bureaus", code, "history")), VERSIONS, as_json=as_json)


@app.command()
def tree(
    top: Annotated[str | None, typer.Option(help="该部门及其下级 · this one and all below it")] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--at", help="时刻，如 2026-03-02T09:00:00+08:00，默认现在 · now if left out"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """某一时刻的部门树 · The tree as it stood at an instant, by the codes of then."""
    show_list(open_portal().list("/tree", top=top, at=as_of), THEN, as_json=as_json)


@app.command()
def rename(
    code: BureauCode,
    name: Annotated[str, typer.Argument(help="新名称 · its new name")],
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """更名 · Give a unit another name."""
    _change(code, "renaming", {"name": name}, revision, as_json)


@app.command()
def recode(
    code: BureauCode,
    new_code: Annotated[str, typer.Argument(help="新代码 · its new code")],
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """改码 · Give a unit another code, under which it is found from now on."""
    _change(code, "recoding", {"code": new_code}, revision, as_json)


@app.command()
def move(
    code: BureauCode,
    parent: Annotated[str, typer.Argument(help="新上级代码 · code of its new parent")],
    level: Level = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """改变上级 · Put a unit, with all below it and its quota, under another parent."""
    _change(code, "move", told(parent=parent, level=level), revision, as_json)


@app.command()
def merge(
    code: BureauCode,
    successor: Annotated[str, typer.Argument(help="承接部门代码 · code of its successor")],
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """合并 · Hand what a unit has to its successor and abolish it."""
    _change(code, "merger", {"successor": successor}, revision, as_json)


@app.command()
def abolish(code: BureauCode, revision: Revision = None, as_json: AsJson = False) -> None:
    """撤销 · End a unit that holds nothing; its history stays."""
    _change(code, "abolition", None, revision, as_json)


def _change(code: str, act: str, body: Any, revision: int | None, as_json: bool) -> None:
    here = at("bureaus", code)
    done = open_portal().revise("POST", f"{here}/{act}", body, seen=here, revision=revision)
    show_one(done, FACTS, as_json=as_json)
