"""`siji run` on the real city: killed with its workers in the middle, and completed by the next run.

The first run lives on the last day of a year, the second on the first of the next, which has no calendar.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.waiting import WITHIN_S, wait_until

SIJI = str(Path(sys.executable).with_name("siji"))
RUN = [SIJI, "run", "--no-serve"]
LAST_DAY = datetime(2026, 12, 31, 15, 30, tzinfo=UTC)
NEW_YEAR = datetime(2026, 12, 31, 16, 30, tzinfo=UTC)
"""In the city it is 23:30 and then 00:30."""


def test_the_sample_city_is_whole_after_a_kill_at_the_turn_of_the_year(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    before, after = environment(tmp_path, LAST_DAY), environment(tmp_path, NEW_YEAR)
    first = subprocess.Popen(RUN, env=before, stdout=subprocess.DEVNULL, start_new_session=True)
    some = random.Random(seed).randrange(1, 200)
    wait_until(lambda: count_servers(tmp_path) >= some or first.poll() is not None)
    assert first.poll() is None, "the run ended before it was killed"
    kill_all(first)
    assert 0 < count_servers(tmp_path) < 262

    second = subprocess.run(RUN, env=after, capture_output=True, text=True, timeout=WITHIN_S, check=True)
    assert "云服务器 262 台，1,332 vCPU，存储 273 TiB" in second.stdout
    assert "发布 7,285 条，市人社局已接收 7,285 条，双方 SM3 摘要一致" in second.stdout
    assert count_servers(tmp_path) == 262
    recount = subprocess.run([SIJI, "quota", "recount"], env=after, capture_output=True, check=False)
    assert recount.returncode == 0, recount.stdout


def environment(folder: Path, now: datetime) -> dict[str, str]:
    """That of this process, with a data folder and a clock of its own."""
    shift_s = round((now - datetime.now(UTC)).total_seconds())
    own = {"SIJI_DATA_DIR": str(folder), "SIJI_CLOCK_SHIFT_S": str(shift_s), "LANG": "zh_CN.UTF-8"}
    return {**os.environ, **own, "COLUMNS": "200"}


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
