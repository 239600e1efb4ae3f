"""`siji topics`: a subscription's own topic on Kafka, and the credential that reads it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.wording import TOPIC_STATES
from portal.cli.options import AsJson, Number
from portal.cli.remote import at, open_portal
from portal.cli.speech import say
from portal.cli.tables import Column, show_one

app = typer.Typer(no_args_is_help=True)

FACTS = (
    Column("topic", "主题", "topic"),
    Column("user", "用户", "user"),
    Column("groups", "可用的消费组", "groups it may use"),
    Column("bootstrap", "Kafka 地址", "brokers"),
    Column("state", "状态", "state", TOPIC_STATES),
    Column("offsets", "已写至偏移量", "filled up to"),
    Column("generation", "批次", "generation"),
    Column("lag", "滞后", "lag"),
    Column("retention_days", "保留天数", "days kept"),
    Column("credential_issued_at", "凭据领取于", "credential issued"),
    Column("opened_at", "开通于", "opened"),
)
CREDENTIAL = (
    Column("user", "用户", "user"),
    Column("password", "口令（只显示一次）", "password (shown once)"),
)
SAID = {
    "ended": {"zh": "专用主题已停用", "en": "The topic has ended"},
    "written": {
        "zh": "已写入 {folder}/client.properties 和 ca.pem；口令不再显示",
        "en": "Wrote client.properties and ca.pem into {folder}; the password is not shown again",
    },
}


@app.command("open")
def open_(number: Number, as_json: AsJson = False) -> None:
    """开通专用主题 · Let a subscription's records flow into a topic of its own."""
    show_one(open_portal().send("PUT", at("subscriptions", number, "topic")), FACTS, as_json=as_json)


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """显示专用主题 · Show how the topic of a subscription stands."""
    show_one(open_portal().get(at("subscriptions", number, "topic")), FACTS, as_json=as_json)


@app.command()
def credential(
    number: Number,
    folder: Annotated[
        Path | None,
        typer.Option("--to", file_okay=False, help="写入此文件夹 · write client.properties and ca.pem there"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """领取凭据 · A new password for the topic's user, shown once; the one before it ends."""
    made: dict[str, Any] = open_portal().send("POST", at("subscriptions", number, "topic", "credential"))
    if folder is None:
        show_one(made, CREDENTIAL, as_json=as_json)
        return
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "client.properties"
    properties.touch(mode=0o600)
    properties.write_text(made["client_properties"], encoding="ascii")
    (folder / "ca.pem").write_text(made["ca"], encoding="ascii")
    say(SAID["written"], err=True, folder=folder)


@app.command()
def end(number: Number) -> None:
    """停用专用主题 · Write nothing more to it, and let nobody read it."""
    open_portal().send("DELETE", at("subscriptions", number, "topic"))
    say(SAID["ended"])
