"""Celery workers of the sample city with their beat, as a process of their own that ends with this one."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STOP_WITHIN_S = 20


@contextmanager
def workers(*, log: Path, exports: Path) -> Iterator[None]:
    """`siji worker` runs while the block does; `log` takes what it says.

    It has this process's environment, and what `exports`, a file for a shell, sets: passwords are nothing
    for a command line, which everybody on the machine can read.
    """
    with log.open("ab") as said:
        process = subprocess.Popen(
            ["/bin/sh", "-c", '. "$0" && exec "$@"', exports, sys.argv[0], "worker", "--leashed"],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
