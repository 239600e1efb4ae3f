"""A process killed with SIGKILL amid its calls: the simulated region keeps all that it acknowledged."""

import random
import signal
import sqlite3
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from infra.clock import Clock
from infra.settings import Settings
from provisioning.cloud.connect import connect
from provisioning.quota import Limits

WORK = """
import sys
from itertools import count
from pathlib import Path
from infra.clock import Clock
from infra.settings import Settings
from provisioning.cloud.connect import connect
cloud = connect(Settings(data_dir=Path(sys.argv[1])), "baoding", Clock())
project = cloud.list_projects()[0].id
for number in count():
    tag = f"{sys.argv[2]}-{number}"
    server_id = cloud.create_server(
        tag=tag, project_id=project, name=tag, flavor="g2", image="Debian-12", zone="internet")
    print("server", tag, server_id, flush=True)
    volume = cloud.create_volume(tag=f"{tag}-v", project_id=project, name=tag, size_gib=10)
    print("volume", tag, volume.id, flush=True)
    cloud.attach_volume(volume, server=cloud.get_server(server_id))
    if number % 3 == 2:
        print("deleting", tag, server_id, flush=True)
        cloud.delete_server(server_id)
        print("deleted", tag, server_id, flush=True)
"""


def work_until_killed(settings: Settings, name: str, lines: int) -> list[list[str]]:
    """Run a worker, kill it after it acknowledged `lines` calls, and return all that it had acknowledged."""
    arguments = [sys.executable, "-c", WORK, str(settings.data_dir), name]
    with Popen(arguments, stdout=PIPE, stderr=PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stderr is not None
        said = [worker.stdout.readline() for _ in range(lines)]
        worker.send_signal(signal.SIGKILL)
        said += worker.stdout.readlines()
        assert worker.stderr.read() == ""
    assert worker.returncode == -signal.SIGKILL
    return [line.split() for line in said if line.endswith("\n")]


@pytest.mark.parametrize("runs", [5, pytest.param(60, marks=pytest.mark.soak)])
def test_nothing_acknowledged_is_lost_and_nothing_is_half_done(settings: Settings, runs: int) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    cloud = connect(settings, "baoding", Clock())
    cloud.ensure_flavor(name="g2", vcpus=2, ram_mib=4096, root_gib=40)
    cloud.set_quota(
        cloud.ensure_project(bureau_code="1306", name="siji-1306", description="保定市"), Limits.unlimited()
    )
    acknowledged: dict[str, set[str]] = {kind: set() for kind in ("server", "volume", "deleting", "deleted")}
    for number in range(runs):
        for kind, _, key in work_until_killed(settings, f"run{number}", chance.randrange(1, 40)):
            acknowledged[kind].add(key)
    servers = {server.id: server for server in cloud.list_servers()}
    volumes = {volume.id: volume for volume in cloud.list_volumes()}
    assert acknowledged["server"] - acknowledged["deleting"] <= servers.keys()
    assert acknowledged["volume"] <= volumes.keys()
    assert acknowledged["deleted"] & servers.keys() == set()
    assert len(servers.keys() - acknowledged["server"]) <= runs
    assert len(volumes.keys() - acknowledged["volume"]) <= runs
    assert len({server.tag for server in servers.values()}) == len(servers)
    assert {volume.server_id for volume in volumes.values()} - {None} <= servers.keys()
    assert_sound(settings.data_dir / "region-baoding.sqlite", servers=len(servers))


def assert_sound(path: Path, *, servers: int) -> None:
    """Read by SQLite alone: the file is whole, and every server holds exactly its flavor."""
    apart = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    assert apart.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    held = apart.execute("SELECT count(*), count(DISTINCT server_id), sum(vcpus) FROM allocations").fetchone()
    apart.close()
    assert held == (servers, servers, 2 * servers)
