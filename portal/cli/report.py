"""`siji report`: the capacity report; its figures are made in metrics.capacity."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.database import reading
from metrics.capacity import report_capacity
from metrics.export import as_csv, as_table, as_xlsx, narrowest
from portal.cli.local import open_local
from portal.cli.speech import language

WIDTH_IN_A_FILE = 200
SAID = {
    "written": {"zh": "已写入 {file}（{rows} 行）", "en": "Wrote {file} ({rows} rows)"},
    "empty": {"zh": "尚无可报告的内容", "en": "There is nothing to report yet"},
}


class By(StrEnum):
    """What a row of the report is of."""

    region = "region"
    level = "level"
    bureau = "bureau"
    system = "system"


def report(
    by: Annotated[By, typer.Option(help="按何汇总 · what a row is of")] = By.region,
    csv: Annotated[Path | None, typer.Option(dir_okay=False, help="写入 CSV 文件 · write a CSV file")] = None,
    xlsx: Annotated[
        Path | None, typer.Option(dir_okay=False, help="写入 XLSX 文件 · write an XLSX file")
    ] = None,
) -> None:
    """容量报表 · Inventory, capacity, granted, used, in flight, headroom; a table unless a file is named."""
    here = open_local()
    with reading(here.engine) as session:
        found = report_capacity(session, by=by.value)
    spoken, sample = language(), here.settings.sample
    if csv is not None:
        csv.write_bytes(as_csv(found, language=spoken, sample=sample))
    if xlsx is not None:
        xlsx.write_bytes(as_xlsx(found, by=by.value, language=spoken, sample=sample))
    for file in filter(None, (csv, xlsx)):
        typer.echo(SAID["written"][spoken].format(file=file, rows=len(found)))
    if csv is None and xlsx is None:
        if found.empty:
            typer.echo(SAID["empty"][spoken])
            return
        table = as_table(found, by=by.value, language=spoken, sample=sample)
        width = Console().width if sys.stdout.isatty() else WIDTH_IN_A_FILE
        Console(width=max(width, narrowest(table))).print(table)
