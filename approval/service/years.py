"""Publishing a year's work days: the dates that waited for it are known at once, and their alarms go out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from approval.service.clocks import refresh_alarms
from infra.work_calendar import DayKind
from infra.workdays import import_year


@dataclass(frozen=True)
class Published:
    """Whether the year changed, and how many alarms its coming raised and cleared."""

    changed: bool
    raised: int
    cleared: int


def publish_year(
    session: Session,
    *,
    year: int,
    days: Mapping[date, DayKind],
    source: str,
    actor: str,
    at: datetime,
    replace: bool = False,
) -> Published:
    """Import the year's calendar and look at every running clock again. Raises as `import_year`."""
    changed = import_year(session, year=year, days=days, source=source, actor=actor, at=at, replace=replace)
    session.flush()
    raised, cleared = refresh_alarms(session, at=at)
    return Published(changed, raised, cleared)
