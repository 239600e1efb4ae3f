"""A new installation as README builds it: from an empty database to servers that people asked for and got."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from infra.clock import Clock, city_date
from infra.database import open_database
from tests.portal.commands import Siji
from tests.waiting import wait_until

SIJI = str(Path(sys.executable).with_name("siji"))
OWN = "自己选的十二字以上密码-2026"
DIVISIONS = """code,parent_code,level,name
1306,,city,保定市
1306-zhb,1306,city,市智慧办
1306-mzj,1306,city,市民政局
"""
FIRST = (
    "people first-administrators --system-login xitong --system-name 冯系统"
    " --security-login anquan --security-name 陈安全"
)
PEOPLE = (("shenhe", "1306-zhb"), ("hezhun", "1306-zhb"), ("minzheng", "1306-mzj"))
ROLES = ("shenhe operator 1306", "hezhun operator 1306", "minzheng bureau_admin 1306-mzj")


@pytest.fixture
def bare(fresh_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """An empty PostgreSQL database, an empty folder and a port; these are the settings from now on."""
    url = fresh_database()
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port: int = free.getsockname()[1]
    for name, value in {"DATA_DIR": tmp_path / "data", "DATABASE_URL": url, "PORTAL_PORT": port}.items():
        monkeypatch.setenv(f"SIJI_{name}", str(value))
    return port


@pytest.fixture
def start(bare: int) -> Iterator[Callable[[str], None]]:
    """Starts `siji serve` or `siji worker` for the rest of the test."""
    started: list[subprocess.Popen[bytes]] = []
    yield lambda name: started.append(subprocess.Popen([SIJI, name], stdout=subprocess.DEVNULL))
    for process in started:
        process.kill()
        process.wait()


def test_an_operator_builds_it_by_commands_alone(
    bare: int, start: Callable[[str], None], tmp_path: Path
) -> None:
    siji = Siji(f"http://127.0.0.1:{bare}", tmp_path, OWN)
    file = tmp_path / "divisions.csv"
    file.write_text(DIVISIONS)
    for language, told in (("zh_CN", "请先运行 siji migrate"), ("en_US", "run siji migrate first")):
        refused = on_console("serve", language=language)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert told in refused.stderr
    assert on_console("migrate").stdout == "数据库已升级到当前版本\n已加载 3 个审批事项\n"
    assert on_console("migrate").stdout == "数据库已是当前版本\n"
    assert on_console(f"bureaus import {file}").returncode == 0
    file.write_text("".join(DIVISIONS.splitlines(keepends=True)[:2]))
    rehearsed = on_console(f"bureaus import {file} --dry-run").stdout
    assert "文件中的 1 个单位均与现有部门树一致" in rehearsed
    one_time = dict(re.findall(r"账号 (\w+)（.*一次性密码：(\S+)", on_console(FIRST).stdout))

    start("serve")
    start("worker")
    wait_until(lambda: is_served(bare))
    choose_passwords(siji, one_time)
    for login, bureau in PEOPLE:
        choose_passwords(siji, {login: siji.did(f"accounts add {login} 某人 --bureau {bureau}", by="xitong")})
    for given in ROLES:
        siji.did(f"roles give {given}", by="anquan")

    siji.refused("regions open baoding", by="minzheng")
    siji.did("regions open baoding", by="shenhe")
    wait_until(lambda: bool(siji.json("regions capacity baoding", by="shenhe")["inventory_seen_at"]))
    for code in ("1306", "1306-mzj"):
        limit = "--limit servers=4 --limit vcpus=16 --limit ram_mib=32768 --limit root_gib=320"
        siji.did(f"grants set {code} baoding {limit}", by="shenhe")

    siji.did(
        "systems register 1306-mzj-s1 --bureau 1306-mzj --name 智慧民生 --mlps-grade 2 --zone extranet",
        by="minzheng",
    )
    asked = ask(siji)
    for decider in ("shenhe", "shenhe", "hezhun"):
        assert asked["case"] in siji.did("inbox", by=decider)
        siji.did(f"cases decide {asked['case']} approve", by=decider)
    number = asked["id"]
    wait_until(lambda: siji.json(f"requests show {number}", by="minzheng")["state"] == "confirming")
    assert siji.json(f"requests confirm {number}", by="minzheng")["state"] == "active"
    servers = siji.json("servers list", by="minzheng")
    assert [one["state"] for one in servers] == ["active", "active"]


def on_console(line: str, *, language: str = "zh_CN") -> "subprocess.CompletedProcess[str]":
    """What became of a command on the server itself."""
    told = {**os.environ, "LC_ALL": f"{language}.UTF-8", "PYTHONUTF8": "1"}
    return subprocess.run([SIJI, *line.split()], env=told, capture_output=True, text=True, check=False)


def choose_passwords(siji: Siji, one_time: dict[str, str]) -> None:
    """Each replaces the one-time password, and can do nothing before."""
    for login, password in one_time.items():
        assert f"siji password {login}" in siji.did(f"sign-in {login} --password {password}")
        typed = f"{password.strip()}\n{OWN}\n{OWN}\n"
        assert "密码已更改" in siji.did(f"password {login}", stdin=typed)


def ask(siji: Siji) -> dict[str, Any]:
    """A request for two servers until the end of next year, submitted."""
    end_on = f"{city_date(Clock().now()).year + 1}-12-31"
    drafted = siji.json(
        "requests new --kind new_system --system 1306-mzj-s1 --region baoding --flavor g4 --count 2"
        f" --image openEuler-24.03-LTS --purpose 上云 --end-on {end_on}",
        by="minzheng",
    )
    submitted: dict[str, Any] = siji.json(f"requests submit {drafted['id']}", by="minzheng")
    return submitted


def is_served(port: int) -> bool:
    """Whether somebody answers there."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
