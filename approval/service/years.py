"""Publishing a year's work days: the dates that waited for it are known at once, and their alarms go out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from approval.queries import clock_stands, running_clocks
from approval.service.clocks import note_red_card, refresh_alarms
from infra.work_calendar import DayKind
from infra.workdays import import_year, load_calendar


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
    if replace:
        _note_red_cards(session, at=at)
    changed = import_year(session, year=year, days=days, source=source, actor=actor, at=at, replace=replace)
    session.flush()
    raised, cleared = refresh_alarms(session, at=at)
    return Published(changed, raised, cleared)


def _note_red_cards(session: Session, *, at: datetime) -> None:
    """What was shown by the calendar as it was stays on record."""
    calendar = load_calendar(session)
    for clock, case, suspensions in running_clocks(session):
        note_red_card(session, case, clock, clock_stands(clock, suspensions, calendar), at=at)
