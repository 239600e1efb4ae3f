"""Lets requests be what became of their cases by an act on the case alone: a supplement never came."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine

from identity.actor import INSTALLATION
from identity.service.tree import keep_tree_still
from infra.database import reading, transaction
from infra.each import for_each
from provisioning.queries import get_request, list_left_behind
from provisioning.service.settling import record_request


def follow_cases(engine: Engine, *, at: datetime, case_id: int | None = None) -> Sequence[int]:
    """End the requests that wait on although their case (one, or any) has ended without approval; their ids.

    Each in a transaction of its own, so that nobody waits for more than one. May be repeated. What the case
    decides for it goes through service/requests.py and leaves nothing behind. Raises ExceptionGroup, at the
    end, for those that failed.
    """
    with reading(engine) as session:
        left = dict(list_left_behind(session, case_id=case_id))

    def follow(request_id: int) -> None:
        with transaction(engine) as session:
            keep_tree_still(session)
            request = get_request(session, request_id, lock=True)
            if request.ended_at is None:
                request.state, request.ended_at = left[request_id] or "withdrawn", at
                record_request(session, request, act="follow_case", at=at, actor=INSTALLATION.journal_id)

    for_each(left, follow, what="request {}")
    return list(left)
