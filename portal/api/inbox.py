"""What waits for the caller: steps of cases to decide, and notices to read."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import Field

from approval.models import Notice
from approval.queries import InboxRow, list_inbox, list_notices
from approval.service import read_notice
from approval.wording import word
from identity.models import Bureau, Person
from identity.queries import find_bureaus, find_persons
from infra.clock import city_date
from infra.workdays import load_calendar
from portal.access import At, Reading, Writing
from portal.api.cases import PersonNamed
from portal.api.clocks import StandingOut
from portal.api.shapes import Cursor, Limit, Out, Page, api_router, id_of, page_of
from portal.inbox_view import NOTICE_TEXTS
from portal.language import language_of
from portal.needs import Asker, needs
from portal.numbers import RowId

router = api_router("inbox")

Somebody = Annotated[Asker, needs()]


class WaitingOut(StandingOut):
    """A step that waits for you; its decision carries `revision` as If-Match at what the case is about."""

    case: str = Field(examples=["BD-2026-000012"])
    item_zh: str = Field(examples=["政务云资源申请"])
    item_en: str = Field(examples=["Request for government cloud resources"])
    step: str = Field(examples=["review"])
    step_zh: str = Field(examples=["审核"])
    step_en: str = Field(examples=["review"])
    applicant: PersonNamed
    bureau: str = Field(examples=["1306-mzj"])
    subject_kind: str = Field(examples=["request"])
    subject_id: int
    revision: int
    began_at: datetime | None
    card: str = Field(examples=["none"])

    @classmethod
    def of_row(cls, row: InboxRow, applicant: Person, bureau: Bureau) -> "WaitingOut":
        """As the row has it."""
        return cls(
            **StandingOut.of(row.stands).model_dump(),
            case=row.number,
            item_zh=row.item_zh,
            item_en=row.item_en,
            step=row.step_key,
            step_zh=row.step_zh,
            step_en=row.step_en,
            applicant=PersonNamed.model_validate(applicant),
            bureau=bureau.code,
            subject_kind=row.subject_kind,
            subject_id=row.subject_id,
            revision=row.revision,
            began_at=row.began_at,
            card=row.card.value,
        )


class NoticeOut(Out):
    """A notice for you or for a role of yours; `text` is in your language, `facts` are what it names."""

    id: int
    code: str = Field(examples=["step_waiting"])
    text: str = Field(examples=["办件 BD-2026-000012 的“审核”等待办理"])
    facts: dict[str, Any]
    subject_kind: str = Field(examples=["case"])
    subject_id: int
    made_at: datetime
    read_at: datetime | None


@router.get("/inbox")
def inbox(
    asker: Somebody, session: Reading, at: At, cursor: Cursor = "", limit: Limit = 100
) -> Page[WaitingOut]:
    """The steps that you may decide, the longest waiting first; what another part of yours rules out is not
    there."""
    found = list_inbox(
        session,
        person_id=asker.person_id,
        roles=asker.actor.roles,
        calendar=load_calendar(session),
        on=city_date(at),
        after_step_id=id_of(cursor) or 0,
        limit=limit + 1,
    )
    people = find_persons(session, {row.applicant_id for row in found})
    bureaus = find_bureaus(session, {row.bureau_id for row in found})
    return page_of(
        found,
        limit,
        shown=lambda row: WaitingOut.of_row(row, people[row.applicant_id], bureaus[row.bureau_id]),
        place=lambda row: row.step_id,
    )


@router.get("/notices")
def notices(
    request: Request,
    asker: Somebody,
    session: Reading,
    unread: Annotated[bool, Query(description="只看未读 · unread ones only")] = True,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[NoticeOut]:
    """Notices for you and for roles that you hold, newest first."""
    found = list_notices(
        session,
        person_id=asker.person_id,
        roles=asker.actor.roles,
        unread_only=unread,
        before_id=id_of(cursor),
        limit=limit + 1,
    )

    def shown(notice: Notice) -> NoticeOut:
        text = word(notice.code, notice.facts, language_of(request), NOTICE_TEXTS)
        plain = {name: getattr(notice, name) for name in NoticeOut.model_fields if name != "text"}
        return NoticeOut(text=text, **plain)

    return page_of(found, limit, shown=shown, place=lambda notice: notice.id)


@router.post("/notices/{number}/reading", status_code=204)
def read(asker: Somebody, session: Writing, at: At, number: RowId) -> None:
    """Mark a notice as read; one for a role is then read for all who hold it."""
    read_notice(session, notice_id=number, person_id=asker.person_id, roles=asker.actor.roles, at=at)
