"""`siji findings`: what audits found different between the records and the clouds; what is done about it."""

from typing import Annotated

import typer

from portal.cli.options import AsJson, Number, Reason
from portal.cli.remote import at, open_portal
from portal.cli.speech import say
from portal.cli.tables import Column, show_list, show_one
from provisioning.finding_wording import KINDS, SCOPES
from provisioning.wording import REQUEST_STATES

app = typer.Typer(no_args_is_help=True)

COLUMNS = (
    Column("id", "编号", "number"),
    Column("region", "区域", "region"),
    Column("kind", "类别", "kind", KINDS),
    Column("name", "对象", "what"),
    Column("bureau", "归属单位", "owner"),
    Column("told_{language}", "情况", "how it is"),
    Column("first_seen_at", "首次发现", "seen first"),
    Column("acknowledged_at", "认可于", "acknowledged"),
)
FACTS = (
    *COLUMNS,
    Column("cloud_id", "云上编号", "id in the cloud"),
    Column("server_id", "云服务器", "server"),
    Column("last_seen_at", "最近发现", "seen last"),
    Column("ended_at", "消除于", "over since"),
    Column("acknowledged_by", "认可人", "acknowledged by"),
    Column("reason", "认可理由", "why it may stay"),
)
REQUEST = (
    Column("id", "申请", "request"),
    Column("state", "状态", "state", REQUEST_STATES),
    Column("bureau", "部门", "bureau"),
    Column("purpose", "理由", "reason"),
)
AUDITS = (
    Column("region", "区域", "region"),
    Column("scope", "核对内容", "what", SCOPES),
    Column("began_at", "完成于", "last whole one"),
    Column("seen", "云上对象", "things seen"),
    Column("failed_at", "未完成于", "failed"),
    Column("fault", "未完成的原因", "why it failed"),
)
SAID = {
    "drafted": {
        "zh": "已起草，核对后用 siji requests submit {number} 提交",
        "en": "It is drafted; check it, then submit it by siji requests submit {number}",
    },
    "audit": {"zh": "已安排核对，稍后查看", "en": "An audit is under way; look in a moment"},
}


@app.command("list")
def list_(
    region: Annotated[str | None, typer.Option(help="区域 · region")] = None,
    kind: Annotated[str | None, typer.Option(help=f"类别 · kind: {', '.join(KINDS)}")] = None,
    state: Annotated[
        str, typer.Option(help="open（未消除）、unacknowledged、acknowledged、ended（已消除）")
    ] = "open",
    as_json: AsJson = False,
) -> None:
    """列出核对结果 · List findings."""
    found = open_portal().list("/findings", region=region, kind=kind, state=state)
    show_list(found, COLUMNS, as_json=as_json)


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """显示核对结果 · Show a finding."""
    show_one(open_portal().get(at("findings", number)), FACTS, as_json=as_json)


@app.command()
def acknowledge(number: Number, reason: Reason, as_json: AsJson = False) -> None:
    """认可 · Say that it is known and may stay; that lapses when it changes."""
    found = open_portal().send("POST", at("findings", number, "acknowledge"), {"reason": reason})
    show_one(found, FACTS, as_json=as_json)


@app.command()
def remove(
    numbers: Annotated[list[int], typer.Argument(min=1, help="核对结果编号，可多个 · findings, one or more")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """申请移除 · Draft a request to have removed from the cloud what no record has; submit it then."""
    portal = open_portal()
    region = portal.get(at("findings", numbers[0]))["region"]
    lines = [{"finding": number} for number in numbers]
    body = {"kind": "removal", "region": region, "purpose": reason, "lines": lines}
    drafted = portal.send("POST", "/requests", body)
    show_one(drafted, REQUEST, as_json=as_json)
    if not as_json:
        say(SAID["drafted"], number=drafted["id"])


@app.command()
def audits(as_json: AsJson = False) -> None:
    """最近一次核对 · Show the last audit of each region."""
    show_list(open_portal().get("/audits"), AUDITS, as_json=as_json)


@app.command()
def audit() -> None:
    """立即核对 · Have every region audited by the workers."""
    open_portal().send("POST", "/audits")
    say(SAID["audit"])
