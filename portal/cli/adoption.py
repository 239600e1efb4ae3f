"""`siji cloud adopt`: taking over a cloud that was in use before Siji, on this machine."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from identity.actor import INSTALLATION
from infra.clock import city_date
from infra.errors import Kind, SijiError
from infra.textfile import read_bytes
from portal.cli.local import open_local
from portal.cli.progress import Meters
from portal.cli.speech import language, say
from provisioning.cloud.connect import connect
from provisioning.errors import AdoptionRefused
from provisioning.quota import DIMENSIONS
from provisioning.service.adoption_book import write_book
from provisioning.service.adoption_import import (
    AdoptionReport,
    Raised,
    import_adoption,
    settle_adoptions,
)
from provisioning.service.adoption_proposal import propose

MARGIN_PERCENT = 20
SHOWN = 50
SAID = {
    "written": {
        "zh": "已写入 {file}：待接管云服务器 {total} 台，其中 {undecided} 台未能判断单位，请逐行核对后导入",
        "en": "Wrote {file}: {total} servers to adopt, of which {undecided} seem to be no bureau's; review "
        "every row, then import it",
    },
    "rehearsed": {"zh": "预演，未写入；如正式执行：", "en": "A rehearsal, nothing is written; in earnest:"},
    "done": {
        "zh": "登记云服务器 {servers} 台、云硬盘 {volumes} 块，申请 {requests} 件；"
        "新登记信息系统 {systems} 个；此前已登记 {known} 台（文件 SM3：{digest}）",
        "en": "{servers} servers with {volumes} volumes recorded, under {requests} requests; {systems} "
        "systems registered; {known} servers were recorded before (SM3 of the file: {digest})",
    },
    "same": {
        "zh": "文件中的云服务器均已登记（{known} 台），未作任何更改",
        "en": "All servers of the file, {known}, are recorded already; nothing was changed",
    },
    "grant": {
        "zh": "配额 {code} {name}：{changes}",
        "en": "Grant of {code} {name}: {changes}",
    },
    "left": {
        "zh": "云上另有 {count} 台未登记：{names}",
        "en": "{count} more in the cloud are not recorded: {names}",
    },
    "waiting": {
        "zh": "尚有 {count} 台等待在云平台上加标识，由任务进程继续，或再次运行本命令",
        "en": "{count} wait to be tagged in the cloud; the workers go on, or run this command again",
    },
}


class WhichWay(SijiError):
    """Neither or both of writing and reading, or an option that goes with the other."""

    kind = Kind.invalid
    code = "which_way"
    zh = "请在 --write 与 --read 中选一个；--read 正式导入须用 --operator 指明运营人员的登录名"
    en = "Give one of --write and --read; to import, --read needs an operator's login in --operator"


def adopt(
    region: Annotated[str, typer.Option(help="区域 · region")],
    write: Annotated[
        Path | None, typer.Option(dir_okay=False, help="写出待核对的 XLSX · write a proposal to review")
    ] = None,
    read: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="导入核对后的 XLSX · import a reviewed one"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只预演 · rehearse only")] = False,
    operator: Annotated[
        str | None, typer.Option(help="以哪位运营人员的名义（登录名）· login of the operator who decides")
    ] = None,
    margin: Annotated[
        int, typer.Option(min=0, max=1000, help="配额余量，百分比 · margin of proposed grants, percent")
    ] = MARGIN_PERCENT,
) -> None:
    """接管 · Propose whose the servers of a cloud in use are, then record what was reviewed.

    导入可重复执行，不会删除云上任何资源 · An import may be repeated; nothing in the cloud is ever deleted.
    """
    if (write is None) == (read is None) or (read is not None and operator is None):
        raise WhichWay()
    here = open_local()
    cloud = connect(here.settings, region, here.clock)
    if write is not None:
        found = propose(here.engine, cloud, on=city_date(here.clock.now()), margin_percent=margin)
        write.write_bytes(write_book(found.servers, found.grants))
        say(SAID["written"], file=write, total=len(found.servers), undecided=found.undecided)
        return
    try:
        report = import_adoption(
            here.engine,
            cloud,
            raw=read_bytes(read or Path()),
            login=operator or "",
            at=here.clock.now(),
            actor=INSTALLATION.journal_id,
            rehearse=dry_run,
        )
    except AdoptionRefused as refused:
        _tell_problems(refused)
        raise
    if dry_run:
        say(SAID["rehearsed"])
    _tell(report)
    if dry_run:
        return
    with Meters(Console(stderr=True)) as meters:
        meter = meters.add("标识 · tags", report.servers)
        waiting = settle_adoptions(here.engine, cloud, now=here.clock.now, done=meter.advance)
    if waiting:
        say(SAID["waiting"], count=waiting)


def _tell(report: AdoptionReport) -> None:
    facts: dict[str, Any] = {
        "servers": report.servers,
        "volumes": report.volumes,
        "requests": len(report.request_ids),
        "systems": len(report.systems),
        "known": report.known,
        "digest": report.digest,
    }
    say(SAID["same" if report.is_noop else "done"], **facts)
    for raised in report.grants:
        say(SAID["grant"], code=raised.code, name=raised.name, changes=_changes(raised))
    if report.left:
        names = ", ".join(report.left[:SHOWN]) + ("…" if len(report.left) > SHOWN else "")
        say(SAID["left"], count=len(report.left), names=names)


def _changes(raised: Raised) -> str:
    zh = language() == "zh"
    return ("，" if zh else ", ").join(
        f"{d.zh if zh else d.en} {raised.old[d.key]} → {raised.new[d.key]}{d.unit and ' ' + d.unit}"
        for d in DIMENSIONS
        if raised.old[d.key] != raised.new[d.key]
    )


def _tell_problems(refused: AdoptionRefused) -> None:
    for problem in refused.facts["problems"]:
        typer.echo(problem[language()], err=True)
