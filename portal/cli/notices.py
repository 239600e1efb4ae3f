"""`siji notices`: notices for whoever is signed in, and for the roles they hold."""

from typing import Annotated

import typer

from portal.cli.options import AsJson
from portal.cli.remote import at, open_portal
from portal.cli.speech import say
from portal.cli.tables import Column, show_list

app = typer.Typer(no_args_is_help=True)

COLUMNS = (
    Column("id", "编号", "number"),
    Column("made_at", "时间", "at"),
    Column("text", "内容", "text"),
    Column("read_at", "阅读时间", "read"),
)
SAID = {"read": {"zh": "已读 {count} 条", "en": "{count} marked as read"}}


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="含已读 · those that were read too")] = False,
    as_json: AsJson = False,
) -> None:
    """列出通知 · List notices that were not read, newest first."""
    show_list(open_portal().list("/notices", unread=not all_), COLUMNS, as_json=as_json)


@app.command()
def read(numbers: Annotated[list[int], typer.Argument(min=1, help="编号，可多个 · numbers")]) -> None:
    """标为已读 · Mark notices as read; one for a role is then read for all who hold it."""
    portal = open_portal()
    for number in numbers:
        portal.send("POST", at("notices", number, "reading"))
    say(SAID["read"], count=len(numbers))
