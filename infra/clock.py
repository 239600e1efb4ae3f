"""The platform's clock: the only place that reads the machine's time.

Instants are aware UTC; dates are the city's, Asia/Shanghai. Everything else takes time as an argument.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

CITY_ZONE = ZoneInfo("Asia/Shanghai")


class Clock:
    """The machine's time plus a fixed shift, so that a rehearsal can live on another date."""

    def __init__(self, shift_s: int = 0) -> None:
        self._shift = timedelta(seconds=shift_s)

    def now(self) -> datetime:
        """The present instant, aware UTC."""
        return datetime.now(UTC) + self._shift


def city_date(instant: datetime) -> date:
    """The calendar date in the city at `instant` (aware)."""
    return instant.astimezone(CITY_ZONE).date()


def city_midnight(day: date) -> datetime:
    """The instant, aware UTC, at which `day` begins in the city."""
    return datetime(day.year, day.month, day.day, tzinfo=CITY_ZONE).astimezone(UTC)
