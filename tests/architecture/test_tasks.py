"""Every task is known to the workers, waits in a queue that they consume, and somebody sends it."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from infra import jobs
from infra.beat import HOUR, schedule
from infra.settings import Settings

ROOT = Path(__file__).parents[2]
SUBJECTS = ("request", "subscription")  # what a case can be about
PACKAGES = ("infra", "identity", "approval", "provisioning", "exchange", "metrics", "portal")


@pytest.fixture
def app(settings: Settings) -> Celery:
    made = jobs.make_celery(settings)
    jobs.load_tasks(made)
    return made


def known(app: Celery) -> set[str]:
    return {name for name in app.tasks if not name.startswith("celery.")}


def enqueued() -> Iterator[str]:
    """The names of tasks in calls of `enqueue(session, NAME, …)`."""
    for path in (file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "enqueue":
                yield from _name(node.args[1], path)


def _name(argument: ast.expr, path: Path) -> Iterator[str]:
    """A literal, one for each subject, or a constant of the module; the beat's variable is the schedule."""
    if isinstance(argument, ast.Constant):
        yield str(argument.value)
    elif isinstance(argument, ast.JoinedStr):
        beginning, end = (ast.unparse(argument)[2:-1]).split("{case.subject_kind}")
        yield from (f"{beginning}{subject}{end}" for subject in SUBJECTS)
    elif path != ROOT / "infra/beat.py":
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        yield getattr(module, ast.unparse(argument))


def test_every_file_of_tasks_is_loaded() -> None:
    files = {f"{package}.tasks" for package in PACKAGES if (ROOT / package / "tasks.py").exists()}
    assert files == set(jobs.TASK_MODULES)


def test_every_task_is_sent_by_somebody_and_nothing_else_is(app: Celery) -> None:
    assert set(schedule(Settings())) | set(enqueued()) == known(app)


def test_every_task_waits_where_workers_look(app: Celery) -> None:
    consumed = set(app.amqp.queues.consume_from)
    waiting = {app.amqp.router.route({}, name)["queue"].name for name in known(app)}
    assert waiting == consumed == {"siji"}


def test_nothing_is_scheduled_more_rarely_than_a_lost_message_may_cost() -> None:
    for shortest_or_longest in (1, HOUR):
        settings = Settings(job_sweep_s=shortest_or_longest)
        assert all(1 <= every_s <= HOUR for every_s in schedule(settings).values())
