"""`siji --help` names every command, and waits for none of them."""

import subprocess
import sys

import pytest
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


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("pull", "缺少参数：subscription"),
        ("bureaus rename 1306", "缺少参数：name"),
        ("accounts add a b", "缺少参数：--bureau"),
        ("inbox --all", "没有这个选项：--all"),
        ("request", "没有这个命令：request"),
        ("cases refuse", "没有这个命令：refuse"),
        ("inbox now", "多余的参数：now"),
        ("pull 1 --out", "选项 --out 缺少取值"),
        ("bureaus import none.csv", "参数 file 所指的 none.csv 不存在"),
        ("pull first", "参数 subscription 的值无效"),
    ],
)
def test_what_is_wrong_with_a_line_is_told_in_chinese_first(line: str, told: str) -> None:
    chinese = CliRunner().invoke(app, line.split(), env={"LC_ALL": "zh_CN.UTF-8"})
    assert (chinese.exit_code, chinese.stdout) == (2, "")
    assert chinese.stderr.splitlines()[0] == told
    english = CliRunner().invoke(app, line.split(), env={"LC_ALL": "en_US.UTF-8"})
    assert english.exit_code == 2
    assert english.stderr == chinese.stderr.removeprefix(f"{told}\n")


def test_who_ends_a_question_is_told_so_in_their_language() -> None:
    for language, told in (("zh_CN.UTF-8", "已中止"), ("en_US.UTF-8", "Aborted")):
        ended = CliRunner().invoke(app, ["sign-in", "shenhe"], env={"LC_ALL": language}, input="")
        assert ended.exit_code == 1
        assert ended.stderr.splitlines()[-1] == told


def test_a_command_that_is_not_there_is_met_with_one_that_is() -> None:
    told = CliRunner().invoke(app, ["request"])
    assert told.exit_code == 2
    assert "requests" in told.stderr
