"""What waits for a person: steps to decide, the most urgent first; own requests; notices to read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from approval.deadline import Card
from approval.models import Notice
from approval.queries import InboxRow, cases_by_id, list_inbox, list_notices
from approval.wording import NOTICES as CASE_NOTICES
from approval.wording import word
from exchange.wording import NOTICES as SHARING_NOTICES
from identity.actor import Actor
from identity.roles import Permission
from identity.service.access import scope_of
from infra.clock import city_date
from infra.workdays import load_calendar
from provisioning.queries import AppliedFor, list_applied_for
from provisioning.wording import NOTICES as CLOUD_NOTICES

INBOX_AT_MOST = 500
"""Steps that are looked through for the most urgent ones; more are there when some of these are done."""
NOTICE_TEXTS = {**CASE_NOTICES, **CLOUD_NOTICES, **SHARING_NOTICES}
URGENCY = {Card.red: 0, Card.yellow: 1, Card.none: 2}
PAGES = {
    "grant": "/bureaus/{code}/grants/{region}",
    "request": "/requests/{}",
    "server": "/servers/{}",
    "subscription": "/subscriptions/{}",
    "finding": "/findings/{}",
    "maintenance": "/maintenances/{}",
}


@dataclass(frozen=True)
class NoticeShown:
    """A notice in both languages, and the path of what it is about, if that has a page."""

    notice: Notice
    zh: str
    en: str
    path: str


def list_waiting(
    session: Session, actor: Actor, *, at: datetime, limit: int = INBOX_AT_MOST
) -> list[InboxRow]:
    """The steps that the person may decide: red cards first, then yellow ones; the oldest first of each."""
    found = list_inbox(
        session,
        person_id=actor.id,
        roles=actor.roles,
        calendar=load_calendar(session),
        on=city_date(at),
        limit=limit,
    )
    return sorted(found, key=lambda row: (URGENCY[row.card], row.step_id))


def list_own(session: Session, actor: Actor) -> list[AppliedFor]:
    """The own requests that wait for the person: to confirm, supplement or edit, or with failed servers;
    and those of people who left, for whom the person stands in.
    """
    stands_in_at = scope_of(session, actor, Permission.requests_confirm)
    return list_applied_for(session, applicant_id=actor.id, stands_in_at=stands_in_at)


def show_notices(session: Session, notices: Sequence[Notice]) -> list[NoticeShown]:
    """The notices in words."""
    about = [one.subject_id for one in notices if one.subject_kind == "case"]
    numbers = {case.id: case.number for case in cases_by_id(session, about).values()}
    return [_show(one, numbers) for one in notices]


def list_unread(session: Session, actor: Actor, *, limit: int) -> Sequence[Notice]:
    """Notices to the person or to a role of theirs that nobody has marked as read, newest first."""
    return list_notices(session, person_id=actor.id, roles=actor.roles, limit=limit)


def _show(notice: Notice, numbers: dict[int, str]) -> NoticeShown:
    path = PAGES.get(notice.subject_kind, "").format(notice.subject_id, **notice.facts)
    if notice.subject_id in numbers and notice.subject_kind == "case":
        path = f"/cases/{numbers[notice.subject_id]}"
    return NoticeShown(
        notice,
        word(notice.code, notice.facts, "zh", NOTICE_TEXTS),
        word(notice.code, notice.facts, "en", NOTICE_TEXTS),
        path,
    )
