"""Waiting for what other processes do."""

import time
from collections.abc import Callable

WITHIN_S = 1800
"""A bound against hanging, not a measure."""


def wait_until(what: Callable[[], bool]) -> None:
    """Return when `what` holds."""
    deadline = time.monotonic() + WITHIN_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)
