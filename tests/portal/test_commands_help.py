"""`siji --help` names every command, and waits for none of them."""

import subprocess
import sys

from typer.testing import CliRunner

from portal.cli.main import ROOMS, app

HEAVY = ("pandas", "fastapi", "uvicorn", "sqlalchemy", "celery", "httpx2", "pydantic")


def test_help_names_every_command_by_room() -> None:
    told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert told.exit_code == 0
    for room, subs in ROOMS.items():
        assert room in told.stdout
        for name, (_, line) in subs.items():
            assert any(name in row and line.split(" · ")[0] in row for row in told.stdout.splitlines()), name


def test_help_imports_nothing_that_a_command_needs() -> None:
    code = f"import sys, portal.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_command_that_is_not_there_is_met_with_one_that_is() -> None:
    told = CliRunner().invoke(app, ["request"])
    assert told.exit_code == 2
    assert "requests" in told.stderr
