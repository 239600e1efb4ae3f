"""`siji requests`: draft, edit, submit, withdraw and confirm requests. They are decided by `siji cases`."""

from typing import Annotated, Any

import typer

from portal.cli.cases import STANDS
from portal.cli.options import (
    LIMIT_WORDS,
    AsJson,
    LimitPairs,
    MaybeDocument,
    Number,
    OfBureau,
    Reason,
    Revision,
    read_document,
    read_limit,
    told,
)
from portal.cli.remote import at, open_portal
from portal.cli.speech import language, say
from portal.cli.tables import Column, Part, show_list, show_one
from provisioning.removal import THINGS
from provisioning.wording import KINDS, LINE_STATES, REQUEST_STATES, SERVER_STATES, RequestKind

app = typer.Typer(no_args_is_help=True)

System = Annotated[str | None, typer.Option(help="信息系统代码 · the system's code")]
Purpose = Annotated[str | None, typer.Option(help="用途 · what it is for")]
EndOn = Annotated[
    str | None, typer.Option("--until-on", "--end-on", help="使用期限（含当日）· last day, YYYY-MM-DD")
]
Flavor = Annotated[str | None, typer.Option(help="规格 · flavor")]
Image = Annotated[str | None, typer.Option(help="镜像 · image")]
Count = Annotated[int | None, typer.Option(min=1, help="台数 · how many")]
VolumeGib = Annotated[int | None, typer.Option(min=0, help="云硬盘容量 GiB · size of its volume")]
Server = Annotated[int | None, typer.Option(min=1, help="已有云服务器编号 · a server that is there")]
CloudId = Annotated[
    str | None, typer.Option(help="待接管云服务器在云平台上的编号 · id in the cloud of a server to adopt")
]

Finding = Annotated[
    int | None, typer.Option(min=1, help="要移除的核对结果编号 · a finding, to have removed what it is about")
]
Volume = Annotated[
    int | None, typer.Option(min=1, help="要扩容的云硬盘编号 · a volume, to be --volume-gib in all")
]

COLUMNS = (
    Column("id", "编号", "number"),
    Column("case", "办件", "case"),
    Column("kind", "类别", "kind", KINDS),
    Column("state", "状态", "state", REQUEST_STATES),
    Column("bureau", "部门", "bureau"),
    Column("system", "信息系统", "system"),
    Column("region", "区域", "region"),
    Column("applicant", "申请人", "applicant"),
    Column("end_on", "使用期限", "last day"),
    Column("purpose", "用途", "purpose"),
)
FACTS = (
    *COLUMNS,
    Column("waits_for", "待办环节", "waits for"),
    Column("waits_for.limit.due_on", "办理时限", "due"),
    Column("waits_for.limit.stands", "计时", "stands", STANDS),
    Column("created_at", "起草时间", "drafted"),
    Column("ended_at", "办结时间", "ended"),
    Column("revision", "版本", "revision"),
)
QUOTA = Column("limit", "申请配额", "quota asked for", LIMIT_WORDS)
POSITION = Column("position", "序号", "line")
FLAVOR_ASKED = Column("flavor", "规格", "flavor")
VOLUME_ASKED = Column("volume_gib", "云硬盘 GiB", "volume GiB")
NEW_SERVERS = Part(
    "lines",
    "明细",
    "Lines",
    (
        POSITION,
        Column("count", "台数", "count"),
        FLAVOR_ASKED,
        Column("image", "镜像", "image"),
        VOLUME_ASKED,
    ),
)
"""These lines have no state of their own: their servers have, which are listed below them."""
CHANGES = Part(
    "lines",
    "明细",
    "Lines",
    (
        POSITION,
        Column("server", "云服务器", "server"),
        Column("volume", "云硬盘", "volume"),
        FLAVOR_ASKED,
        VOLUME_ASKED,
        Column("state", "状态", "state", LINE_STATES),
    ),
)
ADOPTED = Part(
    "lines",
    "明细",
    "Lines",
    (
        POSITION,
        Column("cloud_id", "云平台编号", "id in the cloud"),
        Column("seen.name", "云上名称", "name in the cloud"),
        Column("seen.flavor", "规格", "flavor"),
        Column("seen.volumes", "云硬盘 GiB", "volumes GiB"),
    ),
)
"""What was seen is empty until a worker has looked."""
REMOVED = Part(
    "lines",
    "明细",
    "Lines",
    (
        POSITION,
        Column("finding", "核对结果", "finding"),
        Column("sight.thing", "类别", "kind", THINGS),
        Column("sight.name", "名称", "name"),
        Column("sight.size", "规格", "size"),
        Column("sight.attached", "相连的资源", "attached"),
        Column("state", "状态", "state", LINE_STATES),
        Column("fault", "原因", "fault"),
    ),
)
SEEN = {"adoption": ADOPTED, "removal": REMOVED}
ASKS_FOR_SERVERS = ("new_system", "servers")
SERVERS = Part(
    "servers",
    "云服务器",
    "Servers",
    (
        Column("id", "编号", "number"),
        Column("name", "名称", "name"),
        Column("state", "状态", "state", SERVER_STATES),
        Column("fault", "原因", "fault"),
    ),
)
SAID = {
    "short": {
        "zh": (
            "配额不足，如现在核准将被拒绝："
            "{bureau}（{code}）{dimension}：限额 {limit}，已用 {used}，申请 {asked}"
        ),
        "en": (
            "Quota falls short, a verification now would be refused: {bureau} ({code}), {dimension}: "
            "limit {limit}, used {used}, asked {asked}"
        ),
    },
    "below_a_ceiling": {
        "zh": (
            "如现在核准将被拒绝："
            "{bureau}（{code}）{dimension}：限额 {limit}，低于下级{child[name]}（{child[code]}）的上限 {used}"
        ),
        "en": (
            "A verification now would be refused: {bureau} ({code}), {dimension}: "
            "limit {limit}, below the ceiling {used} of {child[name]} ({child[code]})"
        ),
    },
}


@app.command("list")
def list_(
    bureau: OfBureau = None,
    system: System = None,
    state: Annotated[
        str | None, typer.Option(help=f"状态 · state: {', '.join(REQUEST_STATES)}", show_default=False)
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", help="只看本人提交的 · only my own")] = False,
    as_json: AsJson = False,
) -> None:
    """列出申请 · List requests, newest first."""
    found = open_portal().list("/requests", bureau=bureau, system=system, state=state, mine=mine)
    show_list(found, COLUMNS, as_json=as_json)


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """显示申请 · Show a request with its lines, its servers, and the step that waits."""
    _show(open_portal().get(at("requests", number)), as_json)


@app.command()
def new(
    kind: Annotated[
        RequestKind | None, typer.Option(help="类别，默认 servers · kind, servers by default")
    ] = None,
    system: System = None,
    bureau: Annotated[str | None, typer.Option(help="部门代码，仅配额调整 · for a quota change only")] = None,
    region: Annotated[str | None, typer.Option(help="区域 · region")] = None,
    purpose: Purpose = None,
    end_on: EndOn = None,
    flavor: Flavor = None,
    image: Image = None,
    count: Count = None,
    volume_gib: VolumeGib = None,
    server: Server = None,
    cloud_id: CloudId = None,
    finding: Finding = None,
    volume: Volume = None,
    limit: LimitPairs = None,
    file: MaybeDocument = None,
    as_json: AsJson = False,
) -> None:
    """起草申请 · Draft a request of one line from options, of many from a file as the API takes it.

    文件与选项并用时以选项为准 · Options go before what the file says; their line is added to its lines.
    """
    body = {"kind": "servers"} | read_document(file)
    body |= told(
        kind=kind,
        system=system,
        bureau=bureau,
        region=region,
        purpose=purpose,
        end_on=end_on,
        limit=read_limit(limit),
    )
    if line := told(
        flavor=flavor,
        image=image,
        count=count,
        volume_gib=volume_gib,
        server=server,
        cloud_id=cloud_id,
        finding=finding,
        volume=volume,
    ):
        body["lines"] = [*body.get("lines", ()), line]
    _show(open_portal().send("POST", "/requests", body), as_json)


@app.command()
def edit(
    number: Number,
    purpose: Purpose = None,
    end_on: EndOn = None,
    limit: LimitPairs = None,
    file: MaybeDocument = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """修改申请，已有的审批作废 · Change a request before it is decided; a file may say its lines anew."""
    body = read_document(file) | told(purpose=purpose, end_on=end_on, limit=read_limit(limit))
    here = at("requests", number)
    _show(open_portal().revise("PATCH", here, body, seen=here, revision=revision), as_json)


@app.command()
def submit(number: Number, as_json: AsJson = False) -> None:
    """提交申请 · Hand a draft in; quota that is missing now is told, not refused."""
    done = open_portal().send("POST", at("requests", number, "submit"))
    for short in done["shortfalls"]:
        words = SAID["below_a_ceiling" if short["child"] else "short"]
        say(words, err=True, **short | {"dimension": short[language()]})
    _show(done["request"], as_json)


@app.command()
def withdraw(number: Number, reason: Reason = "", as_json: AsJson = False) -> None:
    """撤回申请 · Take a request back until it is decided."""
    _show(open_portal().send("POST", at("requests", number, "withdraw"), {"reason": reason}), as_json)


@app.command()
def confirm(number: Number, as_json: AsJson = False) -> None:
    """确认建成 · Confirm what was built; only then it is active."""
    _show(open_portal().send("POST", at("requests", number, "confirm")), as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    facts = (*FACTS, QUOTA) if found["kind"] == "quota_change" else FACTS
    show_one(found, facts, _lines_of(found["kind"]), SERVERS, as_json=as_json)


def _lines_of(kind: str) -> Part:
    if kind in SEEN:
        return SEEN[kind]
    return NEW_SERVERS if kind in ASKS_FOR_SERVERS else CHANGES
