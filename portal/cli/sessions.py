"""`siji sign-in`, `sign-out`, `password`, `whoami`: the session with which commands speak to a portal."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer

from identity.passwords import MAX_LENGTH, MIN_LENGTH
from infra.errors import SijiError
from infra.settings import Settings
from portal.cli import remote
from portal.cli.speech import say

SAID = {
    "in": {"zh": "已登录 {url}", "en": "Signed in to {url}"},
    "change": {
        "zh": "您使用的是一次性密码，请先设置自己的密码：siji password {login}，或在门户中：{url}/password",
        "en": "You signed in with a one-time password; choose your own first: siji password {login}, "
        "or in the portal: {url}/password",
    },
    "rules": {
        "zh": f"新密码须为 {MIN_LENGTH} 至 {MAX_LENGTH} 个字符，不得包含登录名，不得与当前密码相同",
        "en": f"A new password has {MIN_LENGTH} to {MAX_LENGTH} characters, does not hold the login, and is "
        "not the current one",
    },
    "differ": {"zh": "两次输入不一致", "en": "The two are not the same"},
    "still": {
        "zh": "本次登录未成功，后续命令仍以此前登录的 {name}（{bureau}）办理（siji sign-out 可退出）",
        "en": "Nobody new is signed in; later commands still act as {name} ({bureau}) until siji sign-out",
    },
    "token": {
        "zh": "已设置 SIJI_TOKEN，后续命令仍代表该令牌的信息系统；如需以本人办理，请先 unset SIJI_TOKEN",
        "en": "SIJI_TOKEN is set, so later commands still act for its system; "
        "unset SIJI_TOKEN to act as yourself",
    },
    "changed": {"zh": "密码已更改，已登录 {url}", "en": "The password is changed; signed in to {url}"},
    "out": {"zh": "已退出 {url}", "en": "Signed out of {url}"},
    "who": {"zh": "{name}（{bureau}）@ {url}", "en": "{name} ({bureau}) at {url}"},
    "may": {"zh": "权限：{permissions}", "en": "may: {permissions}"},
}

TRIES = 3
"""How often a new password may be repeated wrongly."""


class RepetitionDiffers(SijiError):
    """The new password was not repeated as it was typed."""

    code = "repetition_differs"
    zh = "{tries} 次输入均不一致，密码未更改"
    en = "The two were not the same {tries} times; the password is not changed"


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
    with _telling_who_stays():
        must_change = remote.sign_in(login, password)
    say(SAID["in"], url=_url())
    if must_change:
        say(SAID["change"], url=_url(), login=login)
    _warn_of_token()


def password(
    login: Annotated[str, typer.Argument(help="登录名 · login")],
    old: Annotated[
        str,
        typer.Option(prompt="当前密码 · current password", hide_input=True, help="当前密码 · the old"),
    ],
    new: Annotated[str | None, typer.Option(help="新密码，不给则询问 · asked for if left out")] = None,
) -> None:
    """更改密码 · Choose a new password, also in place of a one-time one; you are signed in afterwards."""
    chosen = new or _ask_for_new()
    with _telling_who_stays():
        remote.change_password(login, old, chosen)
    say(SAID["changed"], url=_url())
    _warn_of_token()


def sign_out() -> None:
    """退出门户 · End the session."""
    remote.sign_out()
    say(SAID["out"], url=_url())


def whoami() -> None:
    """我是谁 · Who the portal takes you for, and what you may do."""
    me = remote.open_portal().get("/me")
    say(SAID["who"], url=_url(), name=me["name"], bureau=me["bureau"] or "-")
    say(SAID["may"], permissions=", ".join(me["permissions"]))


def _ask_for_new() -> str:
    """A new password, typed twice. Raises RepetitionDiffers."""
    say(SAID["rules"], err=True)
    for _ in range(TRIES):
        chosen: str = typer.prompt("新密码 · new password", hide_input=True)
        if typer.prompt("再输入一次 · once more", hide_input=True) == chosen:
            return chosen
        say(SAID["differ"], err=True)
    raise RepetitionDiffers(tries=TRIES)


@contextmanager
def _telling_who_stays() -> Iterator[None]:
    """A refusal within says too whose session goes on."""
    try:
        yield
    except remote.Refused:
        before = remote.kept_portal()
        with suppress(SijiError):
            if before is not None:
                me = before.get("/me")
                say(SAID["still"], err=True, name=me["name"], bureau=me["bureau"] or "-")
        raise


def _warn_of_token() -> None:
    if remote.has_token():
        say(SAID["token"], err=True)


def _url() -> str:
    return remote.portal_url(Settings())
