"""`siji worker`: Celery workers that serve this installation's queue."""

from typing import Annotated

import typer

from infra import jobs
from infra.installation import open_installation
from infra.settings import Settings


def worker(
    threads: Annotated[int, typer.Option(min=1, max=64, help="并发线程 · tasks at once")] = 4,
) -> None:
    """Run tasks until ended by Ctrl+C or SIGTERM; any number of workers may run."""
    app = jobs.join(open_installation(Settings(), pool_size=threads))
    app.loader.import_default_modules()
    for module in jobs.TASK_MODULES:
        app.loader.import_task_module(module)
    app.worker_main(
        ["worker", "--pool=threads", f"--concurrency={threads}", "--loglevel=WARNING", "--without-mingle"]
    )
