"""`siji accounts`: people's accounts, through the portal. From the console of the machine: people.py."""

from typing import Annotated, Any

import typer

from portal.cli.options import AsJson
from portal.cli.remote import at, open_portal
from portal.cli.speech import say
from portal.cli.tables import Column, show_json, show_list, show_one

app = typer.Typer(no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="登录名 · login")]

COLUMNS = (
    Column("login", "登录名", "login"),
    Column("name", "姓名", "name"),
    Column("bureau", "部门", "bureau"),
    Column("must_change_password", "须改密码", "must change password"),
    Column("locked_until", "锁定至", "locked until"),
    Column("created_at", "创建时间", "made"),
    Column("departed_at", "离任时间", "departed"),
)
SAID = {
    "once": {
        "zh": "账号 {login} 的一次性密码只显示这一次，首次登录时必须更改",
        "en": "The one-time password of {login} is shown this once and must be changed at the first sign-in",
    },
}


@app.command("list")
def list_(
    bureau: Annotated[str | None, typer.Option(help="部门代码 · code of one bureau")] = None,
    departed: Annotated[bool, typer.Option("--departed", help="含离任人员 · departed people too")] = False,
    as_json: AsJson = False,
) -> None:
    """列出账号 · List the accounts that you may see; the look is journalled."""
    show_list(open_portal().list("/people", bureau=bureau, departed=departed), COLUMNS, as_json=as_json)


@app.command()
def show(login: Login, as_json: AsJson = False) -> None:
    """显示账号 · Show an account; the look is journalled."""
    show_one(open_portal().get(at("people", login)), COLUMNS, as_json=as_json)


@app.command()
def add(
    login: Login,
    name: Annotated[str, typer.Argument(help="姓名 · name")],
    bureau: Annotated[str, typer.Option(help="部门代码 · code of the bureau")],
    as_json: AsJson = False,
) -> None:
    """创建账号（不含角色）· Make an account; its one-time password alone goes to standard output."""
    _hand_out(
        open_portal().send("POST", "/people", {"login": login, "name": name, "bureau": bureau}), as_json
    )


@app.command("reset-password")
def reset_password(login: Login, as_json: AsJson = False) -> None:
    """重置密码 · Give a person a new one-time password and end their sessions."""
    _hand_out(open_portal().send("POST", at("people", login, "password-reset")), as_json)


@app.command()
def depart(login: Login, as_json: AsJson = False) -> None:
    """登记离任 · Close an account: its sessions and roles end, tokens issued by it stay good."""
    show_one(open_portal().send("POST", at("people", login, "departure")), COLUMNS, as_json=as_json)


def _hand_out(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(made)
        return
    say(SAID["once"], err=True, login=made["login"])
    typer.echo(made["one_time_password"])
