"""The lab's PostgreSQL: started by whoever asks first, survives every kind of end, ends when told."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from infra.lab import postgres
from infra.lab.errors import DataOfOtherVersion, DidNotStart, NotUp
from infra.lab.record import Record, children_of, running_in


def _connect(lab: Path) -> psycopg.Connection[tuple[object, ...]]:
    url = make_url(postgres.address(lab)).set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


def _pid(lab: Path) -> int:
    record = Record.read(lab / "postgres" / "pid.json")
    assert record is not None
    return record.pid


def test_life_of_a_server(lab: Path) -> None:
    with pytest.raises(NotUp, match="siji lab up postgres"):
        postgres.address(lab)
    assert postgres.status(lab).state == "down"
    postgres.up(lab)
    first, address = _pid(lab), postgres.address(lab)
    postgres.up(lab)
    assert _pid(lab) == first
    with _connect(lab) as connection:
        settings = {row[0]: row[1] for row in connection.execute("SELECT name, setting FROM pg_settings")}
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    wanted = {
        "fsync": "on",
        "listen_addresses": "127.0.0.1",
        "max_connections": "400",
        "server_encoding": "UTF8",
    }
    assert {name: settings[name] for name in wanted} == wanted
    told = postgres.status(lab)
    assert told.state == "up"
    assert told.memory_kib is not None
    assert told.memory_kib > 1000
    password = make_url(address).password
    assert password
    assert password not in repr(told)

    postgres.down(lab)
    assert postgres.status(lab).state == "down"
    assert not running_in(lab, ["postgres"])
    postgres.up(lab)
    assert postgres.address(lab) == address
    with _connect(lab) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to run servers as")
def test_root_runs_it_as_an_unprivileged_user_who_cannot_read_the_password(lab: Path) -> None:
    postgres.up(lab)
    assert Path(f"/proc/{_pid(lab)}").stat().st_uid != 0
    password = lab / "postgres" / "password"
    assert (password.stat().st_uid, password.stat().st_mode & 0o777) == (0, 0o600)


def test_a_killed_server_comes_back_with_what_was_committed(lab: Path) -> None:
    """Killed from outside with a backend in the middle of something, then by the lab's own kill."""
    postgres.up(lab)
    with _connect(lab) as connection:
        connection.execute("CREATE TABLE acts (n int)")
        connection.execute("INSERT INTO acts VALUES (1)")
    os.kill(_pid(lab), signal.SIGKILL)
    postgres.up(lab)
    with _connect(lab) as connection:
        connection.execute("INSERT INTO acts VALUES (2)")
        postgres.kill(lab)
    assert not running_in(lab, ["postgres"])
    assert postgres.status(lab).state == "down"
    postgres.up(lab)
    with _connect(lab) as connection:
        assert connection.execute("SELECT array_agg(n ORDER BY n) FROM acts").fetchone() == ([1, 2],)


def test_a_stale_pid_file_ends_nobody_else(lab: Path) -> None:
    """Our pid with another start time: what a pid file means after its number went to another process."""
    (lab / "postgres").mkdir(mode=0o755)
    ours = Record.of(os.getpid())
    Record(ours.pid, ours.started_ticks + 1, ours.boot_id).write(lab / "postgres" / "pid.json")
    postgres.kill(lab)
    postgres.down(lab)
    (lab / "postgres" / "pid.json").write_text("not a record")
    postgres.up(lab)
    assert postgres.status(lab).state == "up"


def test_an_interrupted_first_installation_is_started_over(lab: Path) -> None:
    """initdb was killed half-way: its remains are never taken for data."""
    remains = lab / "postgres" / "making" / "data"
    remains.mkdir(parents=True)
    (lab / "postgres").chmod(0o755)
    (remains / "PG_VERSION").write_text("15\n")
    postgres.up(lab)
    assert postgres.status(lab).state == "up"
    assert not remains.exists()


def test_two_ups_at_once_start_one_server(lab: Path) -> None:
    code = f"from pathlib import Path; from infra.lab import postgres; postgres.up(Path({str(lab)!r}))"
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [one.wait(timeout=120) for one in both] == [0, 0]
    assert set(running_in(lab, ["postgres"])) == set(children_of(_pid(lab)))


def test_a_server_that_cannot_start_shows_the_end_of_its_log(lab: Path) -> None:
    postgres.up(lab)
    postgres.down(lab)
    (lab / "postgres" / "data" / "global" / "pg_control").unlink()
    with pytest.raises(DidNotStart, match="pg_control"):
        postgres.up(lab)


def test_data_of_a_version_that_is_gone_is_left_alone(lab: Path) -> None:
    postgres.up(lab)
    postgres.down(lab)
    version = lab / "postgres" / "data" / "PG_VERSION"
    version.write_text("9\n")
    with pytest.raises(DataOfOtherVersion, match="postgres 9"):
        postgres.up(lab)
    assert version.exists()


def test_a_port_that_another_program_took_is_replaced(lab: Path) -> None:
    postgres.up(lab)
    postgres.down(lab)
    port_file = lab / "postgres" / "port"
    before = port_file.read_text()
    with socket.create_server(("127.0.0.1", int(before))):
        postgres.up(lab)
    assert port_file.read_text() != before
    assert postgres.status(lab).state == "up"
