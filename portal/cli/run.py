"""`siji run`: the sample city on embedded defaults, then the portal on loopback."""

from typing import Annotated

import typer
import uvicorn
from rich.console import Console
from rich.table import Table

from identity.roles import ROLE_NAMES
from infra.installation import open_installation
from infra.migrations.run import upgrade
from infra.settings import Settings
from portal.app import create_app
from portal.cli.local import language
from portal.sample.city import load_systems, load_tree
from portal.sample.people import PEOPLE, load_people


def run(
    serve: Annotated[bool, typer.Option(help="最后启动门户 · serve the portal at the end")] = True,
) -> None:
    """Load the sample city (a second run doubles nothing), print its people, serve the portal."""
    zh = language() == "zh"
    say = Console()
    settings = Settings().model_copy(update={"sample": True})
    installation = open_installation(settings)
    with say.status("建库 · migrating the records"):
        upgrade(installation.engine)
    with say.status("导入区划 · importing the tree"):
        report = load_tree(installation.engine, at=installation.clock.now())
    say.print(
        f"部门树:新增 {report.created:,},不变 {report.unchanged:,}"
        if zh
        else f"Tree: {report.created:,} new, {report.unchanged:,} unchanged"
    )
    with say.status("登记信息系统 · registering systems"):
        new = load_systems(installation.engine, at=installation.clock.now())
    say.print(f"信息系统:新增 {new}(拆分为示意)" if zh else f"Systems: {new} new (the split is illustrative)")
    password = load_people(installation.engine, data_dir=settings.data_dir, at=installation.clock.now())
    say.print(_people_table(zh))
    say.print(f"密码(全部示例人员):{password}" if zh else f"Password of all sample people: {password}")
    if serve:
        address = f"http://{settings.portal_host}:{settings.portal_port}"
        say.print(f"门户:{address}(Ctrl+C 结束)" if zh else f"Portal: {address} (end it with Ctrl+C)")
        uvicorn.run(
            create_app(installation),
            host=settings.portal_host,
            port=settings.portal_port,
            log_level="warning",
        )


def _people_table(zh: bool) -> Table:
    table = Table(title="示例人员" if zh else "Sample people")
    for heading in (
        ("账号", "姓名", "角色", "单位", "范围") if zh else ("login", "name", "role", "bureau", "scope")
    ):
        table.add_column(heading)
    for one in PEOPLE:
        table.add_row(one.login, one.name, ROLE_NAMES[one.role][0 if zh else 1], one.bureau, one.scope)
    return table
