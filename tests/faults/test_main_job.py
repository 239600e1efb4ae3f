"""`siji run` on the real city: killed with its workers in the middle, and completed by the next run.

The first run lives on the last day of a year, the second on the first of the next, which has no calendar.
A third undoes nothing of what people did meanwhile.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.installation import open_installation
from infra.settings import Settings
from tests.faults.upheaval import dump, turn_upside_down
from tests.waiting import WITHIN_S, wait_until

SIJI = str(Path(sys.executable).with_name("siji"))
RUN = [SIJI, "run", "--no-serve"]
LAST_DAY = datetime(2026, 12, 31, 15, 30, tzinfo=UTC)
NEW_YEAR = datetime(2026, 12, 31, 16, 30, tzinfo=UTC)
"""In the city it is 23:30 and then 00:30."""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a city whose first run was killed, and what its second run said."""
    folder = tmp_path_factory.mktemp("city")
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    before, after = environment(folder, LAST_DAY), environment(folder, NEW_YEAR)
    first = subprocess.Popen(RUN, env=before, stdout=subprocess.DEVNULL, start_new_session=True)
    some = random.Random(seed).randrange(1, 200)
    wait_until(lambda: count_servers(folder) >= some or first.poll() is not None)
    assert first.poll() is None, "the run ended before it was killed"
    kill_all(first)
    assert 0 < count_servers(folder) < 262
    return folder, run_again(after).stdout


def test_the_sample_city_is_whole_after_a_kill_at_the_turn_of_the_year(city: tuple[Path, str]) -> None:
    folder, said = city
    assert "云服务器 262 台，1,332 vCPU，存储 273 TiB" in said
    assert "发布 7,285 条，市人社局已接收 7,285 条，双方 SM3 摘要一致" in said
    assert "未再办理" not in said
    assert count_servers(folder) == 262
    recount = subprocess.run(
        [SIJI, "quota", "recount"], env=environment(folder, NEW_YEAR), capture_output=True, check=False
    )
    assert recount.returncode == 0, recount.stdout


def test_a_later_run_leaves_what_people_did_as_it_is(city: tuple[Path, str], tmp_path: Path) -> None:
    folder = shutil.copytree(city[0], tmp_path / "city")
    later = environment(folder, NEW_YEAR)
    shift_s = int(later["SIJI_CLOCK_SHIFT_S"])
    here = open_installation(Settings(data_dir=folder, sample=True, clock_shift_s=shift_s))
    turn_upside_down(here, (folder / "sample-people.txt").read_text())
    before = dump(here)

    said = run_again(later).stdout
    after = dump(here)
    here.engine.dispose()
    for table, rows in before.items():
        assert after[table] == rows, table
    assert "部门树：新增 0，已有 7,297" in said
    assert "云服务器 261 台" in said
    assert "未再办理" not in said
    people = said[said.index("示例人员") :]
    assert "kaifa" not in people
    assert "1306-minzheng" in people


def run_again(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """A later run, which goes well."""
    return subprocess.run(RUN, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=True)


def environment(folder: Path, now: datetime) -> dict[str, str]:
    """That of this process, with a data folder and a clock of its own."""
    shift_s = round((now - datetime.now(UTC)).total_seconds())
    own = {"SIJI_DATA_DIR": str(folder), "SIJI_CLOCK_SHIFT_S": str(shift_s), "LANG": "zh_CN.UTF-8"}
    outside = {name: value for name, value in os.environ.items() if not name.startswith("SIJI_")}
    return {**outside, **own, "COLUMNS": "200"}


def count_servers(folder: Path) -> int:
    """How many servers the region has, each counted by its tag."""
    file = folder / "region-baoding.sqlite"
    if not file.exists():
        return 0
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(DISTINCT tag) FROM servers").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def kill_all(run: "subprocess.Popen[bytes]") -> None:
    """The run and the workers it started, at once: they are one process group of their own."""
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
