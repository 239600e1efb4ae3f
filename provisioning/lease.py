"""Rules of leases: when to tell, when to stop, when a server may be deleted. Pure; dates are the city's."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Protocol

NOTICE_DAYS = (30, 7, 1)
GRACE_DAYS = 15
SNAPSHOT_DAYS = 3
"""How long the snapshot before a deletion is sought; the office can mend what hinders it meanwhile."""


class Calendar(Protocol):
    """What says which days are worked; it raises for a year that nobody has published."""

    def is_published(self, year: int) -> bool:
        """Whether days of `year` can be judged."""
        ...

    def is_work_day(self, day: date) -> bool:
        """Whether `day` is worked."""
        ...


def notices_due(end_on: date, *, on: date, sent: Iterable[int]) -> tuple[int, ...]:
    """Which of NOTICE_DAYS are due on `on` and not yet sent; none once the lease is over."""
    if is_over(end_on, on=on):
        return ()
    done = set(sent)
    return tuple(days for days in NOTICE_DAYS if (end_on - on).days <= days and days not in done)


def is_over(end_on: date, *, on: date) -> bool:
    """Whether the lease, which holds through `end_on`, has ended."""
    return on > end_on


def may_delete(end_on: date, *, on: date, calendar: Calendar, grace_days: int = GRACE_DAYS) -> bool:
    """Whether the grace period after `end_on` is over and `on` is a work day by a published calendar."""
    if on <= end_on + timedelta(days=grace_days):
        return False
    return calendar.is_published(on.year) and calendar.is_work_day(on)


def may_go_without_snapshot(since_on: date, *, on: date, calendar: Calendar) -> bool:
    """Whether a snapshot was sought in vain for SNAPSHOT_DAYS and `on` is a work day by a published calendar:
    then the server is deleted without one.
    """
    if on < since_on + timedelta(days=SNAPSHOT_DAYS):
        return False
    return calendar.is_published(on.year) and calendar.is_work_day(on)
