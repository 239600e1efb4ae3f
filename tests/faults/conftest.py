"""Installations for tests of several processes, and programs that end with the test."""

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.database import open_database
from infra.lab import rabbitmq
from infra.migrations.run import upgrade
from infra.settings import Settings

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def broker() -> str:
    """Address of the lab's RabbitMQ, which `make test` ends afterwards: other processes may still need it."""
    rabbitmq.up()
    return rabbitmq.address()


@pytest.fixture(params=["embedded", "production"])
def environment(
    request: pytest.FixtureRequest, fresh_database: Callable[[], str], tmp_path: Path
) -> Iterator[dict[str, str]]:
    """SQLite and the filesystem transport, or PostgreSQL and RabbitMQ (a virtual host of the test's own)."""
    told = {**os.environ, "SIJI_DATA_DIR": str(tmp_path), "SIJI_JOB_SWEEP_S": "1"}
    if request.param == "embedded":
        yield told
        return
    request.getfixturevalue("broker")
    host = f"test-{uuid.uuid4().hex[:12]}"
    url = rabbitmq.make_virtual_host(host)
    yield {**told, "SIJI_DATABASE_URL": fresh_database(), "SIJI_JOB_BROKER_URL": url}
    rabbitmq.control("delete_vhost", host)


@pytest.fixture
def told(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that the environment says, which this process has from now on too."""
    for name, value in environment.items():
        if name.startswith("SIJI_"):
            monkeypatch.setenv(name, value)
    return Settings()


@pytest.fixture
def records(told: Settings) -> Iterator[Engine]:
    """The records of that installation, migrated."""
    told.data_dir.mkdir(exist_ok=True)
    made = open_database(told.records_url)
    upgrade(made)
    yield made
    made.dispose()


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Starts programs in the environment and `more`; whatever is left of them ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, more: dict[str, str] | None = None, **how: Any) -> "subprocess.Popen[str]":
        started.append(subprocess.Popen(arguments, env=environment | (more or {}), text=True, **how))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()
