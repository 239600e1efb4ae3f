"""`siji run` on the real city: killed with its workers in the middle, and completed by the next run."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

RUN = [str(Path(sys.executable).with_name("siji")), "run", "--no-serve"]
WITHIN_S = 1800
"""A bound against hanging, not a measure."""


def test_the_sample_city_is_whole_after_a_kill(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    environment = {**os.environ, "SIJI_DATA_DIR": str(tmp_path), "LANG": "zh_CN.UTF-8"}
    first = subprocess.Popen(RUN, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    wait_for_servers(tmp_path, random.Random(seed).randrange(1, 200), first)
    kill_all(first)
    assert count_servers(tmp_path) < 262

    second = subprocess.run(
        RUN, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=True
    )
    assert "云服务器 262 台,1,332 vCPU,存储 273 TiB" in second.stdout
    assert count_servers(tmp_path) == 262
    recount = subprocess.run([RUN[0], "quota", "recount"], env=environment, capture_output=True, check=False)
    assert recount.returncode == 0, recount.stdout


def wait_for_servers(folder: Path, number: int, running: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + WITHIN_S
    while count_servers(folder) < number:
        assert running.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def count_servers(folder: Path) -> int:
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
