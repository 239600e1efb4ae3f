"""Celery: the app of this process, and nudges that leave after commit.

The row is the job and the message only a nudge: a message that is lost, or could not be sent, costs time and
nothing else, because the sweeps find rows that wait too long.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy.orm import Session

from infra.database import after_commit
from infra.installation import Installation
from infra.later import Later
from infra.settings import Settings

TASK_MODULES = ("infra.tasks", "approval.tasks", "provisioning.tasks", "exchange.tasks")
TASK_TIME_LIMIT_S = 20 * 60
GIVE_UP_AT_ONCE = {"max_retries": 1, "interval_start": 0}  # else an act waits 6 s for a dead broker

log = logging.getLogger(__name__)
_joined: tuple[Celery, Installation] | None = None
_later = Later()


def make_celery(settings: Settings) -> Celery:
    """The Celery app that `settings` describe: a broker by address, else the filesystem transport."""
    app = Celery("siji", broker=settings.job_broker_url or "filesystem://", set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=TASK_TIME_LIMIT_S,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"confirm_publish": True, **GIVE_UP_AT_ONCE}
        if settings.job_broker_url
        else _filesystem_options(settings.data_dir),
        timezone="UTC",
        task_default_queue="siji",
    )
    return app


def join(installation: Installation) -> Celery:
    """Let this process send nudges, and tasks that run in it find their installation."""
    global _joined
    _later.forget()  # what was to leave for another installation
    app = make_celery(installation.settings)
    app.set_current()
    app.set_default()
    _joined = (app, installation)
    return app


def leave() -> None:
    """Forget the app; later nudges are not sent, and the sweeps do their work."""
    global _joined
    _joined = None


def here() -> Installation:
    """The installation that this worker process serves."""
    if _joined is None:
        raise RuntimeError("this process has joined no installation: call infra.jobs.join first")
    return _joined[1]


def load_tasks(app: Celery) -> None:
    """Let a worker of `app` know every task."""
    for module in TASK_MODULES:
        app.loader.import_task_module(module)


def enqueue(
    session: Session, task: str, *ids: int | str, lasts_s: int | None = None, after_s: float = 0
) -> None:
    """Nudge the workers to run `task` with `ids`, once `session` has committed, or `after_s` later.

    A message that nobody took for `lasts_s` is dropped, so that few pile up while there is no worker. What
    is to leave later waits in this process, as not every broker keeps messages back, and ends with it.
    """
    send = partial(_send, task, ids, lasts_s)
    after_commit(session, partial(_later.call, send, after_s=after_s) if after_s > 0 else send)


def _send(task: str, ids: tuple[Any, ...], lasts_s: int | None) -> None:
    if _joined is None:
        return
    try:
        _joined[0].send_task(task, args=ids, expires=lasts_s, retry=False)
    except (OperationalError, OSError) as error:
        log.warning("the nudge %s%r was not sent (%s); a sweep will find the row", task, ids, error)


def _filesystem_options(data_dir: Path) -> dict[str, str]:
    folders = {name: data_dir.absolute() / "jobs" / name for name in ("messages", "processed", "control")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(folders["messages"]),
        "data_folder_out": str(folders["messages"]),
        "processed_folder": str(folders["processed"]),
        "control_folder": str(folders["control"]),
    }
