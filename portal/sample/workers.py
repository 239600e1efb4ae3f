"""Celery workers of the sample city, as a process of their own, while its servers are being provisioned."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STOP_WITHIN_S = 20


@contextmanager
def workers() -> Iterator[None]:
    """`siji worker` runs while the block does."""
    process = subprocess.Popen([sys.argv[0], "worker"])  # noqa: S603 -- this very command, by the path it was called
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
