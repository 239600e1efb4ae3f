"""The approval hall itself: its items (事项), and the alarms that its office must mend."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from approval.queries import get_item, list_alarms, list_items
from identity.roles import Permission
from portal.access import Reading
from portal.api.shapes import Cursor, Limit, Out, Page, api_router, id_of, page_of
from portal.needs import Asker, needs

router = api_router("hall")


class HallItemOut(Out):
    """An item in one version: of whom it is asked, with which materials, in which steps and work days."""

    code: str = Field(examples=["resource-request"])
    version: int
    name_zh: str = Field(examples=["政务云资源申请"])
    name_en: str = Field(examples=["Request for government cloud resources"])
    asked_of: str = Field(examples=["office"])
    materials: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    promised_days: int
    statutory_days: int
    supplement_days: int
    supplement_answer_days: int
    loaded_at: datetime


class AlarmOut(Out):
    """A limit of a case has no date, as the calendar of `year` is not yet published."""

    id: int
    kind: str = Field(examples=["calendar_not_published"])
    case: str = Field(examples=["BD-2026-000012"])
    year: int = Field(examples=[2027])
    raised_at: datetime


@router.get("/items")
def items(asker: Annotated[Asker, needs()], session: Reading) -> Page[HallItemOut]:
    """The items of the hall in their newest versions, by code; all on one page."""
    return Page(items=[HallItemOut.model_validate(item) for item in list_items(session)], next=None)


@router.get("/items/{code}")
def item(
    asker: Annotated[Asker, needs()],
    session: Reading,
    code: str,
    version: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="版本 · by default the newest")
    ] = None,
) -> HallItemOut:
    """One item; running cases stay on the version on which they began."""
    return HallItemOut.model_validate(get_item(session, code, version))


@router.get("/alarms")
def alarms(
    asker: Annotated[Asker, needs(Permission.alarms_see)],
    session: Reading,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[AlarmOut]:
    """The alarms that are not cleared, the oldest first, for those who may mend them."""
    asker.at(session, None)
    found = list_alarms(session, after_id=id_of(cursor) or 0, limit=limit + 1)
    return page_of(
        found,
        limit,
        shown=lambda row: AlarmOut(
            id=row[0].id, kind=row[0].kind, case=row[1].number, year=row[0].year, raised_at=row[0].raised_at
        ),
        place=lambda row: row[0].id,
    )
