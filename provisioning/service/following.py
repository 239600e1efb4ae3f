"""Lets requests be what became of their cases by an act on the case alone: a supplement never came."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from identity.actor import INSTALLATION
from provisioning.queries import get_request, list_left_behind
from provisioning.service.settling import record_request


def follow_cases(session: Session, *, at: datetime, case_id: int | None = None) -> Sequence[int]:
    """End the requests that wait on although their case (one, or any) has ended without approval; their ids.

    May be repeated. What the case decides for it goes through service/requests.py and leaves nothing behind.
    """
    left = list_left_behind(session, case_id=case_id)
    for request_id, outcome in left:
        request = get_request(session, request_id, lock=True)
        if request.ended_at is None:
            request.state, request.ended_at = outcome or "withdrawn", at
            record_request(session, request, act="follow_case", at=at, actor=INSTALLATION.journal_id)
    return [request_id for request_id, _ in left]
