"""The work calendar in the records: years imported when they are announced, over those that come built in.

Not here: what a calendar answers (work_calendar.py), reading files (calendar_file.py), counting (approval/).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from infra import journal
from infra.database import Base, serialise
from infra.errors import Kind, SijiError
from infra.work_calendar import DayKind, NotYetPublished, WorkCalendar, against_weekday, built_in_calendar

__all__ = [
    "CalendarDay",
    "CalendarYear",
    "DayKind",
    "DayOfAnotherYear",
    "NotYetPublished",
    "PublishedYear",
    "WorkCalendar",
    "YearDiffers",
    "import_year",
    "list_published",
    "load_calendar",
]

LOADED = "siji.calendar"


class CalendarYear(Base):
    """A year whose calendar was imported, and from where."""

    __tablename__ = "calendar_years"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str] = mapped_column(Text)
    imported_at: Mapped[datetime]


class CalendarDay(Base):
    """A day that the announcement of an imported year lists."""

    __tablename__ = "calendar_days"
    __table_args__ = (CheckConstraint("kind IN ('holiday', 'workday')", name="kind"),)

    day: Mapped[date] = mapped_column(primary_key=True)
    year: Mapped[int] = mapped_column(ForeignKey("calendar_years.year"), index=True)
    kind: Mapped[DayKind] = mapped_column(String(16))


@dataclass(frozen=True)
class PublishedYear:
    """A year whose calendar is known, and whence; None: it came with the product."""

    year: int
    source: str | None
    imported_at: datetime | None


class YearDiffers(SijiError):
    """The year is known already, with other days."""

    kind = Kind.conflict
    code = "calendar_year_differs"
    zh = "{year} 年工作日历已有且不同（{count} 天不一致，首日 {first}）；确认以新文件为准请用 --replace"
    en = (
        "The work calendar of {year} is there already and differs on {count} days, the first {first}; "
        "use --replace if the new one is right"
    )


class DayOfAnotherYear(SijiError):
    """A calendar of one year lists a day of another."""

    code = "calendar_day_of_another_year"
    zh = "{year} 年工作日历中不能有 {day}"
    en = "The work calendar of {year} cannot list {day}"


def load_calendar(session: Session) -> WorkCalendar:
    """The built-in years and the imported ones; an imported year replaces a built-in one.

    Read once in a session, which is one transaction: an act that starts several clocks asks for it each time.
    """
    loaded: WorkCalendar | None = session.info.get(LOADED)
    if loaded is None:
        loaded = session.info[LOADED] = _read_calendar(session)
    return loaded


def list_published(session: Session) -> list[PublishedYear]:
    """Every year whose calendar is known, in order."""
    imported = {row.year: row for row in session.scalars(select(CalendarYear))}
    return [
        PublishedYear(year, imported[year].source, imported[year].imported_at)
        if year in imported
        else PublishedYear(year, None, None)
        for year in sorted(built_in_calendar().published | imported.keys())
    ]


def import_year(
    session: Session,
    *,
    year: int,
    days: Mapping[date, DayKind],
    source: str,
    actor: str,
    at: datetime,
    replace: bool = False,
) -> bool:
    """Publish `year`: `days` as listed, every other day by its weekday. Returns False if it was so already.

    `YearDiffers` if the year is known with other days, unless `replace`; `DayOfAnotherYear`.
    """
    strays = sorted(day for day in days if day.year != year)
    if strays:
        raise DayOfAnotherYear(year=year, day=strays[0].isoformat())
    serialise(session, "siji.calendar")
    session.info.pop(LOADED, None)  # what was read before the lock may be old
    known = load_calendar(session)
    before = known.exceptions(year) if known.is_published(year) else None
    after = against_weekday(days)
    if before == after:
        return False
    if before is not None and not replace:
        differing = sorted(day for day in {*before, *after} if before.get(day) != after.get(day))
        raise YearDiffers(year=year, count=len(differing), first=differing[0].isoformat())
    session.info.pop(LOADED)
    session.execute(delete(CalendarDay).where(CalendarDay.year == year))
    session.execute(delete(CalendarYear).where(CalendarYear.year == year))
    session.add(CalendarYear(year=year, source=source, imported_at=at))
    session.flush()
    session.add_all(CalendarDay(day=day, year=year, kind=kind) for day, kind in days.items())
    journal.append(
        session,
        actor=actor,
        act="calendar.imported",
        subject=f"calendar:{year}",
        bureau_id=None,
        at=at,
        before=None if before is None else _told(before),
        after={**_told(after), "source": source},
    )
    return True


def _read_calendar(session: Session) -> WorkCalendar:
    listed: dict[int, dict[date, DayKind]] = {year: {} for year in session.scalars(select(CalendarYear.year))}
    for row in session.execute(select(CalendarDay.year, CalendarDay.day, CalendarDay.kind)):
        listed[row.year][row.day] = row.kind
    calendar = built_in_calendar()
    for year, days in listed.items():
        calendar = calendar.with_year(year, days)
    return calendar


def _told(days: Mapping[date, DayKind]) -> dict[str, Any]:
    """The days that do not follow their weekday, for the journal."""
    return {
        "holidays": [day.isoformat() for day, kind in days.items() if kind == "holiday"],
        "workdays": [day.isoformat() for day, kind in days.items() if kind == "workday"],
    }
