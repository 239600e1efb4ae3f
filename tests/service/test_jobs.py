"""Nudges leave after commit, carry ids only, and may be lost without harm."""

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from infra import jobs
from infra.clock import Clock
from infra.database import transaction
from infra.installation import Installation
from infra.settings import Settings
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def outside_any_installation() -> Iterator[None]:
    yield
    jobs.leave()


@pytest.fixture
def installation(settings: Settings, sqlite_database: Engine) -> Installation:
    return Installation(settings, Clock(), sqlite_database)


def messages(settings: Settings) -> list[tuple[str, list[int | str]]]:
    """Task and ids of each message that waits in the filesystem transport, oldest first."""
    found = []
    folder: Path = settings.data_dir / "jobs" / "messages"
    for file in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns):
        message = json.loads(file.read_bytes())
        positional, _named, _embedded = json.loads(base64.b64decode(message["body"]))
        found.append((message["headers"]["task"], positional))
    return found


def test_a_nudge_leaves_after_the_commit_and_carries_ids(installation: Installation) -> None:
    jobs.join(installation)
    with transaction(installation.engine) as session:
        jobs.enqueue(session, "provisioning.provision", 7, "baoding")
        assert messages(installation.settings) == []
    assert messages(installation.settings) == [("provisioning.provision", [7, "baoding"])]


def test_a_nudge_for_later_leaves_when_its_time_has_come_and_holds_up_no_other(
    installation: Installation,
) -> None:
    jobs.join(installation)
    with transaction(installation.engine) as session:
        for number, after_s in ((1, 3600.0), (2, 1.0), (3, 0.5), (4, 0.0)):
            jobs.enqueue(session, "provisioning.provision", number, after_s=after_s)
    assert messages(installation.settings) == [("provisioning.provision", [4])]
    wait_until(lambda: len(messages(installation.settings)) == 3)
    assert [ids for _, ids in messages(installation.settings)] == [[4], [3], [2]]


def test_a_rollback_sends_nothing(installation: Installation) -> None:
    jobs.join(installation)

    def enqueue_and_stop() -> None:
        with transaction(installation.engine) as session:
            jobs.enqueue(session, "provisioning.provision", 7)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        enqueue_and_stop()
    assert messages(installation.settings) == []


def test_a_process_that_joined_nothing_commits_all_the_same(installation: Installation) -> None:
    committed = False
    with transaction(installation.engine) as session:
        jobs.enqueue(session, "provisioning.provision", 7)
        committed = True
    assert committed
    assert not (installation.settings.data_dir / "jobs").exists()


def test_a_broker_that_is_down_costs_a_warning_and_not_the_act(
    tmp_path: Path,
    sqlite_database: Engine,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nowhere = Settings(data_dir=tmp_path / "data", job_broker_url="amqp://127.0.0.1:1//")
    jobs.join(Installation(nowhere, Clock(), sqlite_database))
    waits: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", waits.append)  # between two tries of a connection
    with caplog.at_level(logging.WARNING, logger="infra.jobs"), transaction(sqlite_database) as session:
        jobs.enqueue(session, "provisioning.provision", 7)
    assert waits == [], "whoever acts does not wait for the broker"
    assert "the nudge provisioning.provision(7,) was not sent" in caplog.text


def test_tasks_find_their_installation(installation: Installation) -> None:
    with pytest.raises(RuntimeError, match="joined no installation"):
        jobs.here()
    jobs.join(installation)
    assert jobs.here() is installation
    jobs.leave()
    with pytest.raises(RuntimeError, match="joined no installation"):
        jobs.here()


@pytest.mark.parametrize("url", ["amqp://127.0.0.1:5672//", ""])
def test_tasks_are_acknowledged_late_and_end_before_the_broker_gives_up(settings: Settings, url: str) -> None:
    app = jobs.make_celery(settings.model_copy(update={"job_broker_url": url}))
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.task_time_limit < 30 * 60, "RabbitMQ ends a consumer that holds a message for 30 minutes"
    assert bool(app.conf.broker_transport_options.get("confirm_publish")) is bool(url)
