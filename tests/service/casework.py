"""Short words for what the tests of cases do again and again."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from approval.models import Case
from approval.queries import (
    CaseView,
    ClockView,
    view_case,
)
from approval.service import publish_year
from infra.clock import CITY_ZONE, city_date
from infra.database import transaction
from infra.errors import SijiError
from infra.workdays import load_calendar
from tests.factories import Hall, make_case


def city(year: int, month: int, day: int, hour: int = 9) -> datetime:
    return datetime(year, month, day, hour, tzinfo=CITY_ZONE)


def made(database: Engine, hall: Hall, **wishes: Any) -> Case:
    with transaction(database) as session:
        return make_case(session, hall, **{"at": city(2026, 3, 2), **wishes})


def done(database: Engine, act: Callable[..., Any], **facts: Any) -> Any:
    with transaction(database) as session:
        return act(session, **facts)


def refused(database: Engine, error: type[SijiError], act: Callable[..., Any], **facts: Any) -> SijiError:
    with pytest.raises(error) as caught:
        done(database, act, **facts)
    for language in ("zh", "en"):
        assert caught.value.message(language)
    return caught.value


def seen(database: Engine, case: Case, on: date) -> CaseView:
    with transaction(database) as session:
        return view_case(session, case_id=case.id, calendar=load_calendar(session), on=on)


def clock(view: CaseView, kind: str) -> ClockView:
    return [each for each in view.clocks if each.kind == kind][-1]


def decision(hall: Hall, case: Case, step: str, **changes: Any) -> dict[str, Any]:
    return {
        "case_id": case.id, "step_key": step, "person_id": hall.operators[0], "decision": "approve",
        "revision_seen": 1, "at": city(2026, 3, 3), **changes,
    }  # fmt: skip


def announce_years(database: Engine, *, at: datetime, until: datetime) -> None:
    """Publish every year from `at` to `until` whose calendar nobody knows yet: weekdays, and no holidays."""
    with transaction(database) as session:
        calendar = load_calendar(session)
        for year in range(city_date(at).year, city_date(until).year + 1):
            if not calendar.is_published(year):
                publish_year(session, year=year, days={}, source="国办发明电", actor="person:1", at=at)


def acts_of(session: Session, case: Case) -> list[tuple[str, str]]:
    entries = text("SELECT act, actor FROM journal_entries WHERE subject = :subject ORDER BY id")
    return [(act, actor) for act, actor in session.execute(entries, {"subject": f"case:{case.id}"})]
