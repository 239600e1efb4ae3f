"""`siji worker`: Celery workers that serve this installation's queue, and the beat that keeps its rhythm."""

import os
import signal
import sys
import time
from contextlib import nullcontext
from threading import Thread
from typing import Annotated

import typer

from infra import jobs
from infra.beat import beating
from portal.cli.local import open_local

LET_GO_AFTER_S = 20


def worker(
    threads: Annotated[int, typer.Option(min=1, max=64, help="并发线程 · tasks at once")] = 4,
    beat: Annotated[
        bool, typer.Option(help="同时发出定期任务 · send the periodic tasks too; any number of workers may")
    ] = True,
    leashed: Annotated[
        bool,
        typer.Option("--leashed", hidden=True, help="标准输入关闭时结束 · end when standard input ends"),
    ] = False,
) -> None:
    """Run tasks until ended by Ctrl+C or SIGTERM; any number of workers may run."""
    here = open_local(pool_size=threads)
    app = jobs.join(here)
    jobs.load_tasks(app)
    if leashed:
        Thread(target=_end_with_whoever_holds_stdin, name="leash", daemon=True).start()
    with beating(here) if beat else nullcontext():
        app.worker_main(
            [
                "worker",
                "--pool=threads",
                f"--concurrency={threads}",
                f"--hostname=siji-{os.getpid()}@%h",
                "--loglevel=WARNING",
                "--without-mingle",
            ]
        )


def _end_with_whoever_holds_stdin() -> None:
    """Only the end of the process that started this one closes the pipe, however it ended."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LET_GO_AFTER_S)
    os._exit(1)
