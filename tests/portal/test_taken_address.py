"""An address that the portal cannot have is told before any work is done for it."""

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.installation import Installation
from portal.cli.binding import AddressUnusable, bind, portal_address
from portal.cli.main import app
from portal.cli.serve import serve_portal

SAID = {
    "zh_CN.UTF-8": ("无法在 127.0.0.1:{port} 启动门户", "SIJI_PORTAL_PORT"),
    "en_US.UTF-8": ("The portal cannot be served at 127.0.0.1:{port}", "SIJI_PORTAL_PORT"),
}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback on which somebody else listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        yield other.getsockname()[1]


@pytest.mark.parametrize("language", SAID)
def test_run_loads_nothing_that_it_could_not_show(taken: int, tmp_path: Path, language: str) -> None:
    env = {"SIJI_DATA_DIR": str(tmp_path), "SIJI_PORTAL_PORT": str(taken), "LC_ALL": language}
    refused = CliRunner().invoke(app, ["run"], env=env)
    assert (refused.exit_code, refused.stdout) == (1, "")
    for words in SAID[language]:
        assert words.format(port=taken) in refused.stderr
    assert not list(tmp_path.glob("*.sqlite"))


def test_serve_names_the_address_that_is_taken(taken: int, installation: Installation) -> None:
    env = {"SIJI_DATA_DIR": str(installation.settings.data_dir), "SIJI_PORTAL_PORT": str(taken)}
    refused = CliRunner().invoke(app, ["serve"], env={**env, "LC_ALL": "zh_CN.UTF-8"})
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert f"无法在 127.0.0.1:{taken} 启动门户" in refused.stderr


def test_an_address_that_another_took_during_the_work_is_told_too(installation: Installation) -> None:
    """Two `siji run` may both bind it, as neither listens before its work is done."""
    with closing(socket.socket()) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        settings = installation.settings.model_copy(update={"portal_port": other.getsockname()[1]})
        [bound] = bind(portal_address(settings))
        other.listen()
        with closing(bound), pytest.raises(AddressUnusable):
            serve_portal(replace(installation, settings=settings), [bound])


def test_the_exporter_names_its_own_settings(taken: int, installation: Installation) -> None:
    env = {"SIJI_DATA_DIR": str(installation.settings.data_dir), "SIJI_METRICS_PORT": str(taken)}
    for language, said in (
        ("zh_CN.UTF-8", "启动监控指标服务"),
        ("en_US.UTF-8", "The exporter cannot be served"),
    ):
        refused = CliRunner().invoke(app, ["exporter"], env={**env, "LC_ALL": language})
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert said in refused.stderr
        assert "SIJI_METRICS_PORT" in refused.stderr


@pytest.mark.parametrize("setting", [{"SIJI_PORTAL_PORT": "70000"}, {"SIJI_PORTAL_HOST": "192.0.2.1"}])
def test_an_address_that_this_machine_cannot_have_is_refused(
    setting: dict[str, str], installation: Installation
) -> None:
    env = {"SIJI_DATA_DIR": str(installation.settings.data_dir), **setting}
    refused = CliRunner().invoke(app, ["serve"], env={**env, "LC_ALL": "zh_CN.UTF-8"})
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "启动门户" in refused.stderr
