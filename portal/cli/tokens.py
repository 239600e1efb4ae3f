"""`siji tokens`: tokens of systems; a token's text is printed once, alone on standard output."""

from typing import Annotated, Any

import typer

from portal.cli.options import AsJson, Number
from portal.cli.remote import at, open_portal
from portal.cli.speech import say
from portal.cli.tables import Column, show_json, show_list, show_one

app = typer.Typer(no_args_is_help=True)

System = Annotated[str, typer.Argument(help="信息系统代码 · the system's code")]
ExpiresOn = Annotated[
    str, typer.Option("--until-on", "--expires-on", help="最后有效日（含当日）· last day, YYYY-MM-DD")
]

COLUMNS = (
    Column("id", "编号", "number"),
    Column("system", "信息系统", "system"),
    Column("label", "名称", "label"),
    Column("scopes", "范围", "scopes"),
    Column("datasets", "数据集", "datasets"),
    Column("is_good", "有效", "good"),
    Column("issued_by", "签发人", "issued by"),
    Column("expires_on", "最后有效日", "last day"),
    Column("ends_at", "轮换截止", "ends"),
    Column("revoked_at", "吊销时间", "revoked"),
    Column("seen_at", "最近使用", "last seen"),
)
SAID = {
    "once": {
        "zh": "系统“{system}”的令牌 {id}（{label}）有效至 {expires_on}；其内容只显示这一次，请妥善保存",
        "en": "Token {id} ({label}) of {system} is good until {expires_on}; its text is shown this once",
    },
}


@app.command("list")
def list_(system: System, as_json: AsJson = False) -> None:
    """列出令牌 · List a system's tokens, ended ones too, newest first."""
    show_list(open_portal().list(at("systems", system, "tokens")), COLUMNS, as_json=as_json)


@app.command()
def issue(
    system: System,
    label: Annotated[str, typer.Option(help="名称 · label")],
    scope: Annotated[list[str], typer.Option(help="范围，可重复，如 datasets:publish · may be repeated")],
    expires_on: ExpiresOn,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="数据集代码，可重复，不给则不限 · may be repeated; all if left out"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """签发令牌 · Issue a token; its text alone goes to standard output."""
    body = {"label": label, "scopes": scope, "datasets": dataset or None, "expires_on": expires_on}
    _hand_out(open_portal().send("POST", at("systems", system, "tokens"), body), as_json)


@app.command()
def rotate(
    number: Number,
    expires_on: ExpiresOn,
    overlap_days: Annotated[
        int | None, typer.Option(min=0, help="新旧并存天数 · for how many days both are good")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """轮换令牌 · Issue a successor; the old one ends after the overlap."""
    body: dict[str, Any] = {"expires_on": expires_on}
    if overlap_days is not None:
        body["overlap_days"] = overlap_days
    _hand_out(open_portal().send("POST", at("tokens", number, "rotation"), body), as_json)


@app.command()
def revoke(number: Number, as_json: AsJson = False) -> None:
    """吊销令牌 · End a token at once."""
    show_one(open_portal().send("POST", at("tokens", number, "revocation")), COLUMNS, as_json=as_json)


def _hand_out(issued: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(issued)
        return
    say(SAID["once"], err=True, **issued)
    typer.echo(issued["text"])
