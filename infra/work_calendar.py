"""Which days are worked: a plain value without a database, for rules. Loading it: workdays.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Literal

import chinese_calendar

from infra.errors import Kind, SijiError

DayKind = Literal["holiday", "workday"]
SATURDAY = 5


class NotYetPublished(SijiError):
    """The State Council has not announced this year's calendar, or nobody has imported it."""

    kind = Kind.unavailable
    code = "calendar_not_yet_published"
    zh = "{year} 年工作日历尚未公布或尚未导入（siji calendar import），不能推算"
    en = "The work calendar of {year} is not yet published, or not yet imported (siji calendar import)"

    def __init__(self, year: int) -> None:
        self.year = year
        super().__init__(year=year)


@dataclass(frozen=True)
class WorkCalendar:
    """The years whose calendar is known, and the days in them that do not follow their weekday."""

    published: frozenset[int]
    holidays: frozenset[date]
    workdays: frozenset[date]

    def is_published(self, year: int) -> bool:
        """Whether days of `year` can be judged."""
        return year in self.published

    def is_work_day(self, day: date) -> bool:
        """Whether `day` (a city date) is worked; `NotYetPublished` for a year that nobody published."""
        if not self.is_published(day.year):
            raise NotYetPublished(day.year)
        return day in self.workdays or (day.weekday() < SATURDAY and day not in self.holidays)

    def exceptions(self, year: int) -> dict[date, DayKind]:
        """The days of `year` that do not follow their weekday."""
        listed: dict[date, DayKind] = {day: "holiday" for day in self.holidays if day.year == year}
        listed |= {day: "workday" for day in self.workdays if day.year == year}
        return against_weekday(listed)

    def with_year(self, year: int, days: Mapping[date, DayKind]) -> "WorkCalendar":
        """This calendar with `year` as `days` say, whatever it said before."""
        return WorkCalendar(
            published=self.published | {year},
            holidays=_others(self.holidays, year) | {day for day, kind in days.items() if kind == "holiday"},
            workdays=_others(self.workdays, year) | {day for day, kind in days.items() if kind == "workday"},
        )


def against_weekday(days: Mapping[date, DayKind]) -> dict[date, DayKind]:
    """Those of `days` that say something else than their weekday does, by date."""
    return {day: days[day] for day in sorted(days) if (days[day] == "workday") == (day.weekday() >= SATURDAY)}


@cache
def built_in_calendar() -> WorkCalendar:
    """The State Council's calendars that the product comes with (chinesecalendar's years)."""
    holidays, workdays = frozenset(chinese_calendar.holidays), frozenset(chinese_calendar.workdays)
    first, last = min(holidays).year, max(holidays).year
    return WorkCalendar(frozenset(range(first, last + 1)), holidays, workdays)


def _others(days: frozenset[date], year: int) -> frozenset[date]:
    return frozenset(day for day in days if day.year != year)
