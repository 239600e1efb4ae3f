"""`siji items` and `siji alarms`: the items of the approval hall, and limits that have no date yet."""

from typing import Annotated

import typer

from identity.roles import ROLE_NAMES
from portal.cli.options import AsJson
from portal.cli.remote import at, open_portal
from portal.cli.tables import Column, Part, show_list, show_one

app = typer.Typer(no_args_is_help=True)

COLUMNS = (
    Column("code", "代码", "code"),
    Column("version", "版本", "version"),
    Column("name_{language}", "事项", "item"),
    Column("promised_days", "承诺工作日", "promised work days"),
    Column("statutory_days", "法定工作日", "statutory work days"),
)
FACTS = (
    *COLUMNS,
    Column("supplement_days", "告知补正工作日", "days to ask for a supplement"),
    Column("supplement_answer_days", "补正工作日", "days to answer one"),
    Column("loaded_at", "启用时间", "loaded"),
)
STEPS = Part(
    "steps",
    "环节",
    "Steps",
    (
        Column("key", "代号", "key"),
        Column("name_{language}", "环节", "step"),
        Column("role", "办理角色", "role", {role.value: names for role, names in ROLE_NAMES.items()}),
        Column("limit_days", "工作日", "work days"),
    ),
)
ALARMS = (
    Column("id", "编号", "number"),
    Column("case", "办件", "case"),
    Column("year", "缺少日历的年份", "year without a calendar"),
    Column("raised_at", "时间", "since"),
)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """列出事项 · List the items in their newest versions."""
    show_list(open_portal().list("/items"), COLUMNS, as_json=as_json)


@app.command()
def show(
    code: Annotated[str, typer.Argument(help="事项代码 · the item's code")],
    version: Annotated[int | None, typer.Option(min=1, help="版本，默认最新 · by default the newest")] = None,
    as_json: AsJson = False,
) -> None:
    """显示事项 · Show an item with its steps."""
    show_one(open_portal().get(at("items", code), version=version), FACTS, STEPS, as_json=as_json)


def alarms(as_json: AsJson = False) -> None:
    """日历缺失预警 · Limits that have no date, as the calendar of their year is not yet published."""
    show_list(open_portal().list("/alarms"), ALARMS, as_json=as_json)
