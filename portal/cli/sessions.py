"""`siji sign-in`, `sign-out`, `password`, `whoami`: the session with which commands speak to a portal."""

from typing import Annotated

import typer

from infra.settings import Settings
from portal.cli import remote
from portal.cli.speech import language

SAID = {
    "in": {"zh": "已登录 {url}", "en": "Signed in to {url}"},
    "change": {
        "zh": "您使用的是一次性密码，请先设置自己的密码：siji password {login}，或在门户中：{url}/password",
        "en": "You signed in with a one-time password; choose your own first: siji password {login}, "
        "or in the portal: {url}/password",
    },
    "changed": {"zh": "密码已更改，已登录 {url}", "en": "The password is changed; signed in to {url}"},
    "out": {"zh": "已退出 {url}", "en": "Signed out of {url}"},
    "who": {"zh": "{name}（{bureau}）@ {url}", "en": "{name} ({bureau}) at {url}"},
    "may": {"zh": "权限：{permissions}", "en": "may: {permissions}"},
}


def sign_in(
    login: Annotated[str, typer.Argument(help="登录名 · login")],
    password: Annotated[
        str,
        typer.Option(
            prompt="密码 · password",
            hide_input=True,
            help="密码，不给则询问 · password, asked for if left out",
        ),
    ],
) -> None:
    """登录门户，供后续命令使用 · Sign in to the portal; later commands act as you until the session ends."""
    must_change = remote.sign_in(login, password)
    _say("in")
    if must_change:
        _say("change", login=login)


def password(
    login: Annotated[str, typer.Argument(help="登录名 · login")],
    old: Annotated[
        str,
        typer.Option(prompt="当前密码 · current password", hide_input=True, help="当前密码 · the old"),
    ],
    new: Annotated[str | None, typer.Option(help="新密码，不给则询问 · asked for if left out")] = None,
) -> None:
    """更改密码 · Choose a new password, also in place of a one-time one; you are signed in afterwards."""
    chosen = new or typer.prompt(
        "新密码 · new password", hide_input=True, confirmation_prompt="再输入一次 · once more"
    )
    remote.change_password(login, old, chosen)
    _say("changed")


def sign_out() -> None:
    """退出门户 · End the session."""
    remote.sign_out()
    _say("out")


def whoami() -> None:
    """我是谁 · Who the portal takes you for, and what you may do."""
    me = remote.open_portal().get("/me")
    _say("who", name=me["name"], bureau=me["bureau"] or "-")
    _say("may", permissions=", ".join(me["permissions"]))


def _say(what: str, **facts: str) -> None:
    url = remote.portal_url(Settings())
    typer.echo(SAID[what][language()].format(url=url, **facts))
