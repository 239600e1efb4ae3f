"""The sweep: rows that wait for a visit are found by the table, whatever became of their messages."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from infra.jobs import enqueue
from provisioning.queries import list_due
from provisioning.service.settling import TASK

SERVERS_A_SWEEP = 1000


def sweep(session: Session, *, at: datetime, limit: int = SERVERS_A_SWEEP) -> Sequence[int]:
    """Nudge the workers for every server that is due, the longest waiting first; their ids.

    A nudge too many finds a row that is not due, and does nothing.
    """
    due = list_due(session, at=at, limit=limit)
    for server_id in due:
        enqueue(session, TASK, server_id)
    return due
