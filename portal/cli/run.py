"""`siji run`: the sample city on embedded defaults, then the portal on loopback."""

import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from exchange.broker.connect import connect_broker
from identity.phase1 import read_phase1
from identity.roles import ROLE_NAMES
from infra import jobs
from infra.database import reading, transaction
from infra.installation import Installation, open_installation
from infra.settings import Settings
from metrics.capacity import report_capacity
from metrics.export import as_table
from portal.cli.local import bring_up
from portal.cli.progress import Meters
from portal.cli.serve import bind, serve_portal
from portal.cli.speech import language
from portal.sample.city import load_systems, load_tree, system_codes
from portal.sample.cloud import (
    confirm_everything,
    count_built,
    grant_down_the_tree,
    list_left_aside,
    open_sample_region,
    request_everything,
)
from portal.sample.people import PEOPLE, load_people
from portal.sample.sharing import Shared, catalogue_changes, share_divisions, share_systems
from portal.sample.workers import workers
from provisioning.cloud.connect import connect
from provisioning.service.sweep import sweep
from provisioning.wording import REQUEST_STATES

POLL_S = 0.5


def run(
    serve: Annotated[bool, typer.Option(help="最后启动门户 · serve the portal at the end")] = True,
) -> None:
    """Load the sample city (a second run doubles nothing), print its people, serve the portal."""
    zh = language() == "zh"
    say = Console()
    settings = Settings().model_copy(update={"sample": True})
    installation = open_installation(settings)
    bound = bind(settings) if serve else []
    with say.status("建库 · migrating the records"):
        bring_up(installation)
    with say.status("导入区划 · importing the tree"):
        report = load_tree(installation.engine, at=installation.clock.now())
    say.print(
        f"部门树：新增 {report.created:,}，不变 {report.unchanged:,}"
        if zh
        else f"Tree: {report.created:,} new, {report.unchanged:,} unchanged"
    )
    with say.status("登记信息系统 · registering systems"):
        new = load_systems(installation.engine, at=installation.clock.now())
    say.print(
        f"信息系统：新增 {new}（拆分为示意）" if zh else f"Systems: {new} new (the split is illustrative)"
    )
    password = load_people(installation.engine, data_dir=settings.data_dir, at=installation.clock.now())
    with workers(log=settings.data_dir / "worker.log"):
        with Meters(say) as meters:
            aside = provide_servers(installation, meters, zh=zh)
            shared = share_data(installation, meters, zh=zh)
        if aside:
            say.print(_left_aside(aside, zh))
        say.print(_counted(installation, zh))
        say.print(_exchanged(shared, zh))
        with reading(installation.engine) as session:
            say.print(as_table(report_capacity(session, by="level"), by="level", language=language()))
        say.print(_people_table(zh))
        say.print(f"密码（全部示例人员）：{password}" if zh else f"Password of all sample people: {password}")
        if serve:
            serve_portal(installation, bound)


def provide_servers(here: Installation, meters: Meters, *, zh: bool) -> list[tuple[str, str]]:
    """Every phase-1 system from its quota to confirmed servers; takes up where an earlier run ended.

    Which systems, (code, state of its request), were left aside since somebody else said no.
    """
    cloud = connect(here.settings, here.settings.region, here.clock)
    open_sample_region(here, cloud)
    grant_down_the_tree(here, region=cloud.region)
    jobs.join(here)
    nudge_unfinished(here)
    groups = read_phase1()
    asked = meters.add("申请与审批" if zh else "requests", len(system_codes(groups)))
    ids = request_everything(here, region=cloud.region, done=asked.advance)
    built = meters.add("建服务器" if zh else "servers", sum(group.count for group in groups))
    while confirm_everything(here, ids):
        built.reach(count_built(here, ids))
        time.sleep(POLL_S)
    built.reach(count_built(here, ids))
    return list_left_aside(here, ids)


def nudge_unfinished(here: Installation) -> None:
    """What an earlier run left waiting goes on at once; what is lost from now on, the beat sends again."""
    with transaction(here.engine) as session:
        sweep(session, at=here.clock.now())


def share_data(here: Installation, meters: Meters, *, zh: bool) -> Shared:
    """One bureau publishes the city's divisions, another pulls them; a second dataset awaits a decision."""
    steps = meters.add("数据共享" if zh else "shared data", 2)
    broker = connect_broker(here.settings)
    try:
        shared = share_divisions(here, broker)
        steps.advance()
        share_systems(here, broker)
        catalogue_changes(here)
        steps.advance()
    finally:
        broker.close()
    return shared


def _exchanged(shared: Shared, zh: bool) -> str:
    same = shared.published_digest == shared.delivered_digest
    if zh:
        said = "双方 SM3 摘要一致" if same else "双方 SM3 摘要不一致"
        figures = f"市民政局发布 {shared.published:,} 条，市人社局已接收 {shared.delivered:,} 条"
        return f"行政区划代码：{figures}，{said}"
    said = "the SM3 digests of both agree" if same else "the SM3 digests of both differ"
    return f"Divisions: {shared.published:,} published, {shared.delivered:,} pulled by another bureau; {said}"


def _left_aside(aside: Sequence[tuple[str, str]], zh: bool) -> str:
    told = [(code, REQUEST_STATES[state][0 if zh else 1]) for code, state in aside]
    if zh:
        return f"未再办理的系统申请：{'、'.join(f'{code}（{state}）' for code, state in told)}"
    return f"Requests of systems that were left as they are: {', '.join(f'{c} ({s})' for c, s in told)}"


def _counted(here: Installation, zh: bool) -> str:
    """The figures as the region itself has them."""
    cloud = connect(here.settings, here.settings.region, here.clock)
    vcpus = {flavor.name: flavor.vcpus for flavor in cloud.list_flavors()}
    roots = {flavor.name: flavor.root_gib for flavor in cloud.list_flavors()}
    found = cloud.list_servers()
    gib = sum(roots[one.flavor] for one in found) + sum(one.size_gib for one in cloud.list_volumes())
    cores = sum(vcpus[one.flavor] for one in found)
    if zh:
        return f"区域实有：云服务器 {len(found)} 台，{cores:,} vCPU，存储 {gib / 1024:g} TiB（拆分为示意）"
    return f"In the region: {len(found)} servers, {cores:,} vCPU, {gib / 1024:g} TiB (illustrative split)"


def _people_table(zh: bool) -> Table:
    table = Table(title="示例人员" if zh else "Sample people")
    for heading in (
        ("登录名", "姓名", "角色", "单位", "范围") if zh else ("login", "name", "role", "bureau", "scope")
    ):
        table.add_column(heading)
    for one in PEOPLE:
        table.add_row(one.login, one.name, ROLE_NAMES[one.role][0 if zh else 1], one.bureau, one.scope)
    return table
