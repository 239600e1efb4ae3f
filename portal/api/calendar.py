"""The work calendar: the years that are published, their exceptions, importing one that is announced."""

from datetime import date, datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from approval.service import publish_year
from identity.roles import Permission
from infra.calendar_file import read_calendar_file
from infra.errors import NotFound
from infra.work_calendar import DayKind
from infra.workdays import list_published, load_calendar
from portal.access import At, Reading, Writing
from portal.api.shapes import Out, Page, api_router
from portal.api.uploads import Encoding, Sent, csv_body
from portal.needs import Asker, needs

router = api_router("calendar")

EXAMPLE = "date,kind\n2027-01-01,holiday\n2027-02-14,workday\n"


class YearOut(Out):
    """A published year, and where it was announced; both null: it came with the product."""

    year: int = Field(examples=[2026])
    source: str | None = Field(examples=["国办发明电〔2026〕12号"])
    imported_at: datetime | None


class DayOut(Out):
    """A day that does not follow its weekday."""

    day: date = Field(examples=["2026-10-01"])
    kind: DayKind = Field(examples=["holiday"])


class YearWhole(YearOut):
    """The same with its exceptions, by date."""

    exceptions: list[DayOut]


class ImportedOut(Out):
    """What an import did; `alarms_cleared` limits have got their date by it."""

    year: int = Field(examples=[2027])
    days: int
    changed: bool
    alarms_raised: int
    alarms_cleared: int


@router.get("/calendar/years")
def years(asker: Annotated[Asker, needs()], session: Reading) -> Page[YearOut]:
    """The years whose work days are known, all on one page."""
    return Page(items=[YearOut.model_validate(year) for year in list_published(session)], next=None)


@router.get("/calendar/years/{year}")
def year(
    asker: Annotated[Asker, needs()], session: Reading, year: Annotated[int, Path(ge=1, le=9999)]
) -> YearWhole:
    """One published year with the days that do not follow their weekday."""
    found = next((one for one in list_published(session) if one.year == year), None)
    if found is None:
        raise NotFound(what_zh="已公布的工作日历", what_en="published work calendar of", key=year)
    exceptions = load_calendar(session).exceptions(year)
    return YearWhole(
        **YearOut.model_validate(found).model_dump(),
        exceptions=[DayOut(day=day, kind=kind) for day, kind in exceptions.items()],
    )


@router.post("/calendar/import", openapi_extra=csv_body(EXAMPLE))
def import_file(
    asker: Annotated[Asker, needs(Permission.calendar_import)],
    session: Writing,
    at: At,
    raw: Sent,
    source: Annotated[
        str, Query(min_length=1, max_length=255, description="公布文号 · where the year was announced")
    ],
    encoding: Encoding = None,
    replace: Annotated[bool, Query(description="替换已有的年份 · replace a year that is known")] = False,
) -> ImportedOut:
    """Publish a year: days that the CSV does not list follow their weekday. Limits that waited for it get
    their dates, and their alarms are cleared. Sending it again changes nothing."""
    asker.at(session, None)
    year, days = read_calendar_file(raw, name=source, encoding=encoding)
    published = publish_year(
        session,
        year=year,
        days=days,
        source=source,
        actor=asker.actor.journal_id,
        at=at,
        replace=replace,
    )
    return ImportedOut(
        year=year,
        days=len(days),
        changed=published.changed,
        alarms_raised=published.raised,
        alarms_cleared=published.cleared,
    )
