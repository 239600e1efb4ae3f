"""What waits for the reader, and their notices."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from approval.queries import list_notices
from approval.service import read_notice
from identity.queries import find_bureaus, list_names
from portal.access import At, Reading
from portal.case_view import due_words
from portal.flash import onward
from portal.form import Form, SentForm
from portal.inbox_view import INBOX_AT_MOST, list_own, list_unread, list_waiting, show_notices
from portal.needs import Asker, form_needs, page_needs
from portal.numbers import LARGEST_ID, Place
from portal.render import render
from portal.sight import CASE_SEERS
from provisioning.wording import KINDS

router = APIRouter(include_in_schema=False)
Sees = Annotated[Asker, page_needs(*CASE_SEERS)]
AT_ONCE = 50
FIRST_NOTICES = 10


@router.get("/inbox")
def inbox(
    request: Request,
    asker: Sees,
    session: Reading,
    at: At,
    skip: Annotated[int, Query(ge=0, le=INBOX_AT_MOST)] = 0,
) -> Response:
    """Steps to decide, own requests to see to, the newest notices."""
    actor = asker.actor
    waiting = list_waiting(session, actor, at=at)
    shown = waiting[skip : skip + AT_ONCE]
    unread = list_unread(session, actor, limit=FIRST_NOTICES + 1)
    facts: dict[str, Any] = {
        "waiting": shown,
        "count": len(waiting),
        "is_all": len(waiting) < INBOX_AT_MOST,
        "names": list_names(session, person_ids=[one.applicant_id for one in shown]),
        "bureaus": find_bureaus(session, [one.bureau_id for one in shown]),
        "own": list_own(session, actor),
        "me": actor.id,
        "kind_names": KINDS,
        "notices": show_notices(session, unread[:FIRST_NOTICES]),
        "has_more_notices": len(unread) > FIRST_NOTICES,
        "due_words": due_words,
        "form": Form(),
        "skip": skip,
        "next": skip + AT_ONCE if skip + AT_ONCE < len(waiting) else 0,
    }
    return render(request, "inbox.html", facts)


@router.get("/notices")
def notices(
    request: Request,
    asker: Sees,
    session: Reading,
    read: Annotated[str, Query(max_length=1)] = "",
    before: Place = 0,
) -> Response:
    """All notices, newest first; `read` shows those that were read too."""
    found = list_notices(
        session,
        person_id=asker.person_id,
        roles=asker.actor.roles,
        unread_only=not read,
        before_id=before or None,
        limit=AT_ONCE + 1,
    )
    shown = found[:AT_ONCE]
    facts: dict[str, Any] = {
        "notices": show_notices(session, shown),
        "form": Form(),
        "read": read,
        "before": before,
        "next": shown[-1].id if len(found) > AT_ONCE else 0,
    }
    return render(request, "notices.html", facts)


@router.post("/notices/read")
def mark_as_read(
    request: Request, asker: Annotated[Asker, form_needs(*CASE_SEERS)], sent: SentForm
) -> Response:
    """Mark notices as read, for all who see them."""
    ids = [int(one) for one in sent.form.all_typed("notice") if _is_id(one)]
    back = "/notices" if sent.form.typed("back") == "notices" else "/inbox"

    def act(session: Session) -> str:
        for notice_id in ids[:AT_ONCE]:
            read_notice(
                session,
                notice_id=notice_id,
                person_id=asker.person_id,
                roles=asker.actor.roles,
                at=sent.at,
            )
        return back

    path = sent.once(asker.actor, act)
    return onward(request, path or back, ("已标为已读", "Marked as read") if path else None)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= LARGEST_ID
