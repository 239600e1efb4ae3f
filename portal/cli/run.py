"""`siji run`: the sample city on embedded defaults, then the portal on loopback."""

import socket
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

from exchange.broker.connect import connect_broker
from identity.phase1 import read_phase1
from infra import jobs
from infra.database import reading, transaction
from infra.installation import Installation, open_installation
from infra.settings import Settings
from metrics.capacity import report_capacity
from metrics.export import as_table
from portal.cli.binding import bind, portal_address
from portal.cli.local import bring_up
from portal.cli.progress import Meters
from portal.cli.run_engines import engines_of_the_run, keep_to_engines, write_exports
from portal.cli.serve import serve_portal
from portal.cli.speech import language
from portal.sample.aside import Aside
from portal.sample.city import city_units, load_systems, load_tree, system_codes
from portal.sample.cloud import (
    confirm_everything,
    count_built,
    grant_down_the_tree,
    list_left_aside,
    open_sample_region,
    request_everything,
)
from portal.sample.people import list_standing, load_people
from portal.sample.sharing import (
    CHANGES_CODE,
    DIVISIONS_CODE,
    SYSTEMS_CODE,
    Shared,
    catalogue_changes,
    share_divisions,
    share_systems,
)
from portal.sample.workers import workers
from provisioning.cloud.connect import connect
from provisioning.service.sweep import sweep
from provisioning.wording import REQUEST_STATES

POLL_S = 0.5


def run(
    serve: Annotated[bool, typer.Option(help="最后启动门户 · serve the portal at the end")] = True,
) -> None:
    """Load the sample city (a later run does what is missing alone), print its people, serve the portal."""
    settings = Settings().model_copy(update={"sample": True})
    bound = bind(portal_address(settings)) if serve else []
    with engines_of_the_run(settings) as settings:
        _run(open_installation(settings), bound)


def _run(installation: Installation, bound: list[socket.socket]) -> None:
    """Everything on `installation`; the portal only where `bound` holds its address."""
    zh, say, settings = language() == "zh", Console(), installation.settings
    with say.status("建库 · migrating the records"):
        bring_up(installation)
    keep_to_engines(settings)
    with say.status("导入区划 · importing the tree"):
        new = load_tree(installation.engine, at=installation.clock.now())
    there = len(city_units()) - new
    say.print(
        f"部门树：新增 {new:,}，已有 {there:,}" if zh else f"Tree: {new:,} new, {there:,} there already"
    )
    aside = Aside()
    with say.status("登记信息系统 · registering systems"):
        new = load_systems(installation.engine, at=installation.clock.now(), aside=aside)
    say.print(
        f"信息系统：新增 {new}（拆分为示意）" if zh else f"Systems: {new} new (the split is illustrative)"
    )
    password = load_people(
        installation.engine, data_dir=settings.data_dir, at=installation.clock.now(), aside=aside
    )
    with workers(log=settings.data_dir / "worker.log", exports=write_exports(settings)):
        with Meters(say) as meters:
            provide_servers(installation, meters, zh=zh, aside=aside)
            shared = share_data(installation, meters, zh=zh, aside=aside)
        if aside:
            say.print("以下保持现状，未再办理：" if zh else "Left as it is, since people changed it:")
            for line in aside.told(language()):
                say.print(f"  {line}")
        say.print(_counted(installation, zh))
        if shared is not None:
            say.print(_exchanged(shared, zh))
        with reading(installation.engine) as session:
            say.print(as_table(report_capacity(session, by="level"), by="level", language=language()))
            say.print(_people_table(session, zh))
        say.print(
            f"密码（示例人员，自行更改者除外）：{password}"
            if zh
            else f"Password of the sample people, unless they changed theirs: {password}"
        )
        if bound:
            serve_portal(installation, bound)


def provide_servers(here: Installation, meters: Meters, *, zh: bool, aside: Aside) -> None:
    """Every phase-1 system from its quota to confirmed servers; takes up where an earlier run ended."""
    cloud = connect(here.settings, here.settings.region, here.clock)
    open_sample_region(here, cloud)
    grant_down_the_tree(here, region=cloud.region, aside=aside)
    jobs.join(here)
    nudge_unfinished(here)
    groups = read_phase1()
    asked = meters.add("申请与审批" if zh else "requests", len(system_codes(groups)))
    ids = request_everything(here, region=cloud.region, aside=aside, done=asked.advance)
    built = meters.add("建服务器" if zh else "servers", sum(group.count for group in groups))
    while confirm_everything(here, ids, aside=aside):
        built.reach(count_built(here, ids))
        time.sleep(POLL_S)
    built.reach(count_built(here, ids))
    for code, state in list_left_aside(here, ids):
        aside.setdefault(code, REQUEST_STATES[state])


def nudge_unfinished(here: Installation) -> None:
    """What an earlier run left waiting goes on at once; what is lost from now on, the beat sends again."""
    with transaction(here.engine) as session:
        sweep(session, at=here.clock.now())


def share_data(here: Installation, meters: Meters, *, zh: bool, aside: Aside) -> Shared | None:
    """One bureau publishes the city's divisions, another pulls them; a second dataset awaits a decision.

    None if the first could not be, since people changed what it needs.
    """
    steps = meters.add("数据共享" if zh else "shared data", 2)
    broker = connect_broker(here.settings)
    shared = None
    try:
        with aside.unless_refused(DIVISIONS_CODE):
            shared = share_divisions(here, broker)
        steps.advance()
        with aside.unless_refused(SYSTEMS_CODE):
            share_systems(here, broker)
        with aside.unless_refused(CHANGES_CODE):
            catalogue_changes(here)
        steps.advance()
    finally:
        broker.close()
    return shared


def _exchanged(shared: Shared, zh: bool) -> str:
    same = shared.published_digest == shared.delivered_digest
    if not shared.delivered:
        return (
            f"行政区划代码：市民政局发布 {shared.published:,} 条，市人社局未接收"
            if zh
            else f"Divisions: {shared.published:,} published, none pulled by another bureau"
        )
    if zh:
        said = "双方 SM3 摘要一致" if same else "双方 SM3 摘要不一致"
        figures = f"市民政局发布 {shared.published:,} 条，市人社局已接收 {shared.delivered:,} 条"
        return f"行政区划代码：{figures}，{said}"
    said = "the SM3 digests of both agree" if same else "the SM3 digests of both differ"
    return f"Divisions: {shared.published:,} published, {shared.delivered:,} pulled by another bureau; {said}"


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


def _people_table(session: Session, zh: bool) -> Table:
    table = Table(title="示例人员" if zh else "Sample people")
    for heading in (
        ("登录名", "姓名", "角色", "单位", "范围") if zh else ("login", "name", "role", "bureau", "scope")
    ):
        table.add_column(heading)
    for row in list_standing(session, "zh" if zh else "en"):
        table.add_row(*row)
    return table
