"""`siji lab`: what it prints and how it refuses."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.lab import engines, state
from portal.cli.lab import app


@pytest.fixture(autouse=True)
def empty_lab(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command works in the test's own lab."""
    monkeypatch.setattr(state, "default_folder", lambda: lab)


def test_status_is_plain_columns_where_nobody_looks() -> None:
    answer = CliRunner().invoke(app, ["status"])
    assert answer.exit_code == 0
    header, *rows = [line.split("\t") for line in answer.stdout.splitlines()]
    assert header == ["name", "state", "address", "user", "password file", "data", "memory"]
    assert [row[0] for row in rows] == list(engines.ENGINES)


def test_up_tells_each_step_and_status_shows_the_server(lab: Path) -> None:
    answer = CliRunner().invoke(app, ["up", "postgres"])
    assert answer.exit_code == 0, answer.output
    assert answer.stderr.splitlines() == ["postgres: starting", "postgres: up"]
    name, now, address, user, password, data, memory = (
        CliRunner().invoke(app, ["status", "postgres"]).stdout.splitlines()[1].split("\t")
    )
    assert (name, now, data) == ("postgres", "up", str(lab / "postgres" / "data"))
    assert address == f"127.0.0.1:{(lab / 'postgres' / 'port').read_text()}"
    assert (user, password) == ("siji", str(lab / "postgres" / "password"))
    assert memory.endswith(" MiB")
    assert CliRunner().invoke(app, ["down"]).exit_code == 0
    assert "\tdown\t" in CliRunner().invoke(app, ["status", "postgres"]).stdout


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_an_unknown_engine_is_refused_in_both_languages(command: str) -> None:
    answer = CliRunner().invoke(app, [command, "postgres", "oracle"])
    assert answer.exit_code == 1
    assert "没有名为 oracle 的引擎" in answer.stderr
    assert "no engine oracle; there are: postgres, rabbitmq, chromium" in answer.stderr


@pytest.mark.parametrize(
    ("engine", "option"),
    [("openstack", "--full"), ("openstack", "--unified"), ("openstack", "--vm"), ("kafka", "--brokers=3")],
)
def test_how_an_engine_is_started_is_for_that_engine_alone(engine: str, option: str) -> None:
    answer = CliRunner().invoke(app, ["up", "postgres", option])
    assert answer.exit_code == 2
    assert f"is for {engine} alone" in answer.stderr
    assert "\tdown\t" in CliRunner().invoke(app, ["status", "postgres"]).stdout


def test_without_a_kafka_there_is_nothing_to_export() -> None:
    answer = CliRunner().invoke(app, ["env"])
    assert answer.exit_code == 1
    assert "siji lab up kafka" in answer.stderr
    assert not answer.stdout
