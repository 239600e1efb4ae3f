"""`siji roles`: which roles people hold; giving and ending them, as the portal lets the one signed in."""

from typing import Annotated

import typer

from identity.roles import ROLE_NAMES, Role
from portal.cli.options import AsJson, BureauCode
from portal.cli.remote import at, open_portal
from portal.cli.speech import say
from portal.cli.tables import Column, show_list, show_one

app = typer.Typer(no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="登录名 · login")]

COLUMNS = (
    Column("id", "编号", "number"),
    Column("role", "角色", "role", {role.value: names for role, names in ROLE_NAMES.items()}),
    Column("bureau", "部门", "bureau"),
    Column("since", "起", "since"),
)
HOLDERS = (Column("login", "登录名", "login"), Column("name", "姓名", "name"), *COLUMNS)
SAID = {"ended": {"zh": "{login} 的角色 {number} 已终止", "en": "Role {number} of {login} has ended"}}


@app.command("list")
def list_(login: Login, as_json: AsJson = False) -> None:
    """列出个人角色 · List the roles that a person holds; the look is journalled."""
    show_list(open_portal().list(at("people", login, "roles")), COLUMNS, as_json=as_json)


@app.command()
def holders(bureau: BureauCode, as_json: AsJson = False) -> None:
    """列出部门角色 · List who holds roles at that very bureau; the look is journalled."""
    show_list(open_portal().list(at("bureaus", bureau, "roles")), HOLDERS, as_json=as_json)


@app.command()
def give(
    login: Login,
    role: Annotated[Role, typer.Argument(help="角色 · role")],
    bureau: BureauCode,
    as_json: AsJson = False,
) -> None:
    """授予角色 · Let a person hold a role at a bureau and all below it."""
    body = {"role": role.value, "bureau": bureau}
    show_one(open_portal().send("POST", at("people", login, "roles"), body), COLUMNS, as_json=as_json)


@app.command()
def end(
    login: Login, number: Annotated[int, typer.Argument(min=1, help="角色编号 · the role's number")]
) -> None:
    """终止角色 · End a role now."""
    open_portal().send("DELETE", at("people", login, "roles", number))
    say(SAID["ended"], login=login, number=number)
