"""Waiting for what other processes and other transactions do."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from infra.database import reading, transaction

WITHIN_S = 1800
"""A bound against hanging, not a measure."""
WAITING_FOR_LOCKS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def wait_until(what: Callable[[], bool]) -> None:
    """Return when `what` holds."""
    deadline = time.monotonic() + WITHIN_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def held_up(engine: Engine, act: Callable[[], object]) -> Iterator[Session]:
    """A transaction on PostgreSQL that commits once `act`, in another thread, waits for a lock that it holds.

    Raises what `act` raises.
    """
    with ThreadPoolExecutor(1) as pool:
        with transaction(engine) as session:
            yield session
            session.flush()
            waiting = pool.submit(act)
            wait_until(lambda: waiting.done() or someone_waits(engine))
            assert not waiting.done()
        waiting.result()


def someone_waits(engine: Engine) -> bool:
    """Whether a transaction of this database waits for a lock."""
    with reading(engine) as session:
        return bool(session.scalar(WAITING_FOR_LOCKS))
