"""`siji calendar`: import a year when it is announced; the work is in approval.service.years."""

from pathlib import Path
from typing import Annotated

import typer

from approval.service import publish_year
from infra.calendar_file import LARGEST_FILE_BYTES, read_calendar_file
from infra.database import reading, transaction
from infra.textfile import read_bytes
from infra.workdays import load_calendar
from portal.cli.local import open_local
from portal.cli.speech import language

app = typer.Typer(no_args_is_help=True)

ACTOR = "system:import"

SAID = {
    "imported": {
        "zh": "已导入 {year} 年工作日历，共列 {count} 天",
        "en": "Imported {year}: {count} days listed",
    },
    "same": {"zh": "{year} 年工作日历已是如此，未作改动", "en": "{year} is so already; nothing changed"},
    "alarms": {
        "zh": "工作日历缺失预警：解除 {cleared} 条，新增 {raised} 条",
        "en": "Alarms about missing calendars: {cleared} cleared, {raised} raised",
    },
    "years": {"zh": "已公布：{first}–{last} 年", "en": "Published: {first} to {last}"},
    "gaps": {"zh": "其中缺少：{years}", "en": "missing between them: {years}"},
}


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV: date,kind (holiday|workday)")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="替换已有的年份 · replace a year that is known")
    ] = False,
    source: Annotated[
        str, typer.Option(help="公布文号 · where the year was announced; by default the file's name")
    ] = "",
    encoding: Annotated[str | None, typer.Option(help="文件编码 · utf-8, gb18030")] = None,
) -> None:
    """导入一年的工作日历 · Import one year; days that are not listed follow their weekday."""
    here = open_local()
    year, days = read_calendar_file(
        read_bytes(file, limit=LARGEST_FILE_BYTES), name=file.name, encoding=encoding
    )
    with transaction(here.engine) as session:
        published = publish_year(
            session,
            year=year,
            days=days,
            source=source or file.name,
            actor=ACTOR,
            at=here.clock.now(),
            replace=replace,
        )
    typer.echo(
        SAID["imported" if published.changed else "same"][language()].format(year=year, count=len(days))
    )
    if published.raised or published.cleared:
        facts = {"raised": published.raised, "cleared": published.cleared}
        typer.echo(SAID["alarms"][language()].format_map(facts))


@app.command()
def years() -> None:
    """列出已公布的年份 · List the years whose work days are known."""
    here = open_local()
    with reading(here.engine) as session:
        published = load_calendar(session).published
    first, last = min(published), max(published)
    typer.echo(SAID["years"][language()].format(first=first, last=last))
    if gaps := sorted(set(range(first, last)) - published):
        typer.echo(SAID["gaps"][language()].format(years=", ".join(map(str, gaps))))
