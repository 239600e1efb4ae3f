"""`siji webhooks`: where a subscription's records are posted to, how it stands, going on after it stopped."""

from typing import Annotated, Any

import typer

from exchange.wording import HOOK_FAULTS, HOOK_STATES
from portal.cli.options import AsJson, Number, Reason
from portal.cli.remote import at, open_portal
from portal.cli.speech import say
from portal.cli.tables import Column, show_one

app = typer.Typer(no_args_is_help=True)

FACTS = (
    Column("url", "地址", "address"),
    Column("state", "状态", "state", HOOK_STATES),
    Column("message_id", "消息编号", "message"),
    Column("delivery_id", "交付编号", "delivery"),
    Column("attempts", "失败次数", "failed tries"),
    Column("last_status", "最近应答", "last status"),
    Column("last_fault", "最近故障", "last fault", HOOK_FAULTS),
    Column("last_tried_at", "最近推送", "last tried"),
    Column("next_at", "下次推送", "next try"),
    Column("old_secret_until", "旧密钥有效至", "old secret until"),
    Column("secret", "密钥", "secret"),
)
SAID = {"removed": {"zh": "已取消推送", "en": "Nothing is posted any more"}}


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """显示推送情况 · Show how the webhook of a subscription stands."""
    _show(open_portal().get(at("subscriptions", number, "webhook")), as_json)


@app.command("set")
def set_(
    number: Number,
    url: Annotated[str, typer.Argument(help="接收地址（https）· where to post to")],
    as_json: AsJson = False,
) -> None:
    """设置推送地址 · Post the records there; the secret is shown once, when the webhook is new."""
    _show(open_portal().send("PUT", at("subscriptions", number, "webhook"), {"url": url}), as_json)


@app.command()
def remove(number: Number) -> None:
    """取消推送 · Post nothing more."""
    open_portal().send("DELETE", at("subscriptions", number, "webhook"))
    say(SAID["removed"])


@app.command()
def rotate(
    number: Number,
    overlap_hours: Annotated[int, typer.Option(min=0, help="新旧密钥并用小时数 · hours that both sign")] = 24,
    as_json: AsJson = False,
) -> None:
    """更换密钥 · A new secret, shown once; for some hours messages are signed with both."""
    told = at("subscriptions", number, "webhook", "secret")
    made = open_portal().send("POST", told, {"overlap_hours": overlap_hours})
    show_one(made, FACTS[-1:], as_json=as_json)


@app.command()
def redrive(number: Number, as_json: AsJson = False) -> None:
    """重新推送 · Try the message that it stopped at again, now."""
    _show(open_portal().send("POST", at("subscriptions", number, "webhook", "redrive")), as_json)


@app.command()
def skip(number: Number, reason: Reason = "", as_json: AsJson = False) -> None:
    """跳过 · Go on behind the message that it stopped at, with a reason."""
    told = at("subscriptions", number, "webhook", "skip")
    _show(open_portal().send("POST", told, {"reason": reason}), as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    show_one(found, FACTS if found.get("secret") else FACTS[:-1], as_json=as_json)
