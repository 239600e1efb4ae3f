"""`siji cases`: read and decide cases, and act on them. A decision goes to what its case is about."""

from typing import Annotated, Any

import typer

from approval.deadline import Procedure
from approval.flow import Decision
from approval.wording import PROCEDURES, STATES
from portal.cli.options import AsJson, Reason, Revision
from portal.cli.remote import API, Portal, at, etag, open_portal
from portal.cli.tables import Column, Part, show_list, show_one

app = typer.Typer(no_args_is_help=True)

CaseNumber = Annotated[str, typer.Argument(help="办件编号 · the case's number")]
Special = Annotated[Procedure, typer.Argument(help="特别程序 · special procedure")]
LastOn = Annotated[str | None, typer.Option(help="最后一天（不计入时限）· last day that is not counted")]

DECISIONS = {
    "approve": ("同意", "approved"),
    "refuse": ("不同意", "refused"),
    "return": ("退回", "sent back"),
}
STEPS = {
    "waiting": ("未开始", "not yet begun"),
    "active": ("办理中", "waits"),
    "done": ("已办", "done"),
    "void": ("已作废", "void"),
}
OUTCOMES = {"approved": ("同意", "approved"), "refused": ("不同意", "refused")}
SUBJECTS = {"request": ("资源申请", "request"), "subscription": ("共享申请", "subscription")}
CLOCKS = {
    "acceptance": ("受理期限", "acceptance"),
    "handling": ("办理期限", "handling"),
    "step": ("环节期限", "step"),
}
STANDS = {
    "due": ("计时中", "runs"),
    "paused": ("暂停", "paused"),
    "calendar_not_yet_published": ("日历尚未公布", "calendar not yet published"),
}
DUE = Column("due_on", "截止日期", "due")
STANDING = Column("stands", "计时", "stands", STANDS)
CARDS = {"none": ("", ""), "yellow": ("黄牌", "yellow"), "red": ("红牌", "red")}
COLUMNS = (
    Column("number", "办件", "case"),
    Column("item_{language}", "事项", "item"),
    Column("state", "状态", "state", STATES),
    Column("outcome", "结果", "outcome", OUTCOMES),
    Column("applicant.name", "申请人", "applicant"),
    Column("bureau", "部门", "bureau"),
    Column("subject.kind", "申请类型", "about", SUBJECTS),
    Column("subject.id", "申请编号", "number"),
    Column("submitted_at", "提交时间", "submitted"),
    Column("ended_at", "办结时间", "ended"),
)
FACTS = (
    *COLUMNS,
    Column("accepted_at", "受理时间", "accepted"),
    Column("supplement.missing", "应补正内容", "to be added"),
    Column("supplement.answered_at", "补正时间", "added"),
    Column("round", "轮次", "round"),
    Column("revision", "版本", "revision"),
)
PARTS = (
    Part(
        "steps",
        "环节",
        "Steps",
        (
            Column("round", "轮次", "round"),
            Column("key", "代号", "key"),
            Column("name_{language}", "环节", "step"),
            Column("bureau", "办理部门", "bureau"),
            Column("state", "状态", "state", STEPS),
            Column("decision.decision", "决定", "decision", DECISIONS),
            Column("decision.by.name", "办理人", "by"),
            Column("decision.reason", "理由", "reason"),
            Column("decision.decided_at", "办理时间", "decided"),
        ),
    ),
    Part(
        "clocks",
        "时限",
        "Limits",
        (
            Column("kind", "时限", "limit", CLOCKS),
            Column("step", "环节", "step"),
            Column("budget_days", "工作日", "work days"),
            STANDING,
            DUE,
            Column("card", "亮牌", "card", CARDS),
        ),
        nothing=("没有计时中的期限", "No limit is running"),
    ),
    Part(
        "suspensions",
        "特别程序",
        "Special procedures",
        (
            Column("kind", "程序", "procedure", PROCEDURES),
            Column("first_on", "开始", "from"),
            Column("last_on", "结束", "to"),
            Column("reason", "理由", "reason"),
        ),
    ),
)


@app.command("list")
def list_(
    state: Annotated[
        str | None, typer.Option(help=f"状态 · state: {', '.join(STATES)}", show_default=False)
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", help="只看本人申请的 · those that you applied for")] = False,
    as_json: AsJson = False,
) -> None:
    """列出办件 · List cases, newest first."""
    show_list(open_portal().list("/cases", state=state, mine=mine), COLUMNS, as_json=as_json)


@app.command()
def show(number: CaseNumber, as_json: AsJson = False) -> None:
    """显示办件 · Show a case with its steps, decisions and limits."""
    _show(open_portal().get(at("cases", number)), as_json)


@app.command()
def decide(
    number: CaseNumber,
    decision: Annotated[Decision, typer.Argument(help="同意、不同意、退回 · what you decide")],
    reason: Reason = "",
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """办理待办环节 · Decide the step that waits; to refuse or to return needs a reason."""
    portal = open_portal()
    case, seen = portal.get_tagged(at("cases", number))
    if revision is not None:
        seen = etag(revision)
    body = {"decision": decision, "reason": reason}
    if case["subject"]["kind"] == "subscription":
        portal.send("POST", _subject(case) + "/decision", body, if_match=seen)
    else:
        step = next((one["key"] for one in case["steps"] if one["state"] == "active"), "")
        portal.send("POST", _subject(case) + "/decide", body | {"step": step}, if_match=seen)
    _show(portal.get(at("cases", number)), as_json)


@app.command()
def withdraw(number: CaseNumber, reason: Reason = "", as_json: AsJson = False) -> None:
    """撤回本人的办件 · Take your own case back until it is decided."""
    portal = open_portal()
    case = portal.get(at("cases", number))
    where = "/withdrawal" if case["subject"]["kind"] == "subscription" else "/withdraw"
    portal.send("POST", _subject(case) + where, {"reason": reason})
    _show(portal.get(at("cases", number)), as_json)


@app.command()
def accept(number: CaseNumber, revision: Revision = None, as_json: AsJson = False) -> None:
    """受理 · Accept a case that was submitted; its handling begins."""
    _act(open_portal(), number, "acceptance", None, revision, as_json)


@app.command()
def supplement(
    number: CaseNumber,
    missing: Annotated[str, typer.Argument(help="应补正的全部内容 · all that is missing")],
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """一次性告知补正 · Tell the applicant, once, all that is missing."""
    _act(open_portal(), number, "supplement", {"missing": missing}, revision, as_json)


@app.command()
def answer(number: CaseNumber, revision: Revision = None, as_json: AsJson = False) -> None:
    """提交补正 · Hand in what was missing; the case waits for acceptance again."""
    _act(open_portal(), number, "supplement/answer", None, revision, as_json)


@app.command()
def suspend(
    number: CaseNumber,
    procedure: Special,
    first_on: Annotated[str, typer.Option(help="开始日期 · first day, YYYY-MM-DD")],
    reason: Annotated[str, typer.Option(help="理由 · why")],
    last_on: LastOn = None,
    as_json: AsJson = False,
) -> None:
    """启动特别程序，时限暂停 · Begin a special procedure, while which the limits stand still."""
    body = {"procedure": procedure, "first_on": first_on, "last_on": last_on, "reason": reason}
    _show(open_portal().send("POST", at("cases", number, "suspensions"), body), as_json)


@app.command()
def resume(number: CaseNumber, procedure: Special, last_on: LastOn = None, as_json: AsJson = False) -> None:
    """结束特别程序 · End the special procedure that runs; its last day is today unless told."""
    body = {"procedure": procedure, "last_on": last_on}
    _show(open_portal().send("POST", at("cases", number, "resumption"), body), as_json)


def _act(
    portal: Portal, number: str, act: str, body: dict[str, Any] | None, revision: int | None, as_json: bool
) -> None:
    here = at("cases", number)
    _show(portal.revise("POST", f"{here}/{act}", body, seen=here, revision=revision), as_json)


def _subject(case: dict[str, Any]) -> str:
    """The path of what the case is about."""
    return str(case["subject"]["href"]).removeprefix(API)


def _show(found: dict[str, Any], as_json: bool) -> None:
    """As its page does: of the limits only those that have not ended; JSON has all."""
    if not as_json:
        found = found | {"clocks": [one for one in found["clocks"] if one["ended_at"] is None]}
    show_one(found, FACTS, *PARTS, as_json=as_json)
