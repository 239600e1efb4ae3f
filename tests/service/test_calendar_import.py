"""Years of the work calendar in the records, and `siji calendar`."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from typer.testing import CliRunner

from approval.queries import list_alarms
from infra.clock import Clock
from infra.database import reading, transaction
from infra.installation import Installation
from infra.journal import JournalEntry
from infra.settings import Settings
from infra.workdays import (
    CalendarDay,
    CalendarYear,
    DayKind,
    DayOfAnotherYear,
    NotYetPublished,
    WorkCalendar,
    YearDiffers,
    import_year,
    load_calendar,
)
from portal.cli.calendar import app
from tests.factories import make_case, make_hall

YEAR_2027: dict[date, DayKind] = {
    date(2027, 1, 1): "holiday",
    date(2027, 1, 2): "holiday",
    date(2027, 2, 14): "workday",
}


@pytest.fixture(params=["database", "sqlite_database"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


def publish(
    engine: Engine, at: datetime, days: dict[date, DayKind], *, year: int = 2027, replace: bool = False
) -> bool:
    with transaction(engine) as session:
        return import_year(
            session, year=year, days=days, source="国办发明电", actor="person:1", at=at, replace=replace
        )


def calendar(engine: Engine) -> WorkCalendar:
    with reading(engine) as session:
        return load_calendar(session)


def journalled(engine: Engine) -> list[JournalEntry]:
    with reading(engine) as session:
        entries = list(session.scalars(select(JournalEntry).order_by(JournalEntry.id)))
        session.expunge_all()
        return entries


def test_an_imported_year_is_published_and_journalled(engine: Engine, at: datetime) -> None:
    with pytest.raises(NotYetPublished):
        calendar(engine).is_work_day(date(2027, 1, 1))
    assert publish(engine, at, YEAR_2027)
    known = calendar(engine)
    assert not known.is_work_day(date(2027, 1, 1))
    assert known.is_work_day(date(2027, 1, 4))
    assert not known.is_work_day(date(2027, 1, 9))
    assert known.is_work_day(date(2027, 2, 14))
    assert known.is_work_day(date(2026, 2, 14)), "other years stay as they were"
    (entry,) = journalled(engine)
    assert (entry.actor, entry.act, entry.subject) == ("person:1", "calendar.imported", "calendar:2027")
    assert (entry.at, entry.before) == (at, None)
    assert entry.after == {"holidays": ["2027-01-01"], "workdays": ["2027-02-14"], "source": "国办发明电"}


def test_the_same_year_again_changes_nothing(engine: Engine, at: datetime) -> None:
    publish(engine, at, YEAR_2027)
    without_the_saturday = {day: kind for day, kind in YEAR_2027.items() if day != date(2027, 1, 2)}
    assert not publish(engine, at, YEAR_2027)
    assert not publish(engine, at, without_the_saturday), "a Saturday is a rest day, listed or not"
    assert len(journalled(engine)) == 1


def test_other_days_are_refused_unless_they_replace(engine: Engine, at: datetime) -> None:
    publish(engine, at, YEAR_2027)
    other: dict[date, DayKind] = {date(2027, 1, 1): "holiday", date(2027, 5, 3): "holiday"}
    with pytest.raises(YearDiffers) as refused:
        publish(engine, at, other)
    assert refused.value.facts == {"year": 2027, "count": 2, "first": "2027-02-14"}
    assert calendar(engine).is_work_day(date(2027, 5, 3))
    assert publish(engine, at, other, replace=True)
    assert not calendar(engine).is_work_day(date(2027, 5, 3))
    assert not calendar(engine).is_work_day(date(2027, 2, 14))
    before = journalled(engine)[1].before
    assert before == {"holidays": ["2027-01-01"], "workdays": ["2027-02-14"]}


def test_a_year_that_comes_built_in_is_only_replaced(engine: Engine, at: datetime) -> None:
    built_in = calendar(engine).exceptions(2026)
    assert not publish(engine, at, built_in, year=2026)
    changed = {**built_in, date(2026, 3, 2): "holiday"}
    with pytest.raises(YearDiffers):
        publish(engine, at, changed, year=2026)
    assert publish(engine, at, changed, year=2026, replace=True)
    assert calendar(engine).exceptions(2026) == changed


def test_a_day_of_another_year_is_refused(engine: Engine, at: datetime) -> None:
    with pytest.raises(DayOfAnotherYear, match="2028-01-01"):
        publish(engine, at, {date(2028, 1, 1): "holiday"})
    assert not calendar(engine).is_published(2027)


def test_simultaneous_imports_of_one_year_end_in_one(engine: Engine, at: datetime) -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: publish(engine, at, YEAR_2027), range(4)))
    assert sorted(outcomes) == [False, False, False, True]
    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(CalendarDay)) == 3
        assert session.scalars(select(CalendarYear.year)).all() == [2027]


def test_the_command_clears_the_alarms_of_cases_that_waited_for_the_year(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = datetime(2026, 12, 29, 2, tzinfo=UTC)
    with transaction(database) as session:
        hall = make_hall(session, at=late)
        case_id = make_case(session, hall, at=late).id
    here = Installation(Settings(data_dir=tmp_path), Clock(), database)
    monkeypatch.setattr("portal.cli.calendar.open_local", lambda: here)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    file = tmp_path / "2027.csv"
    file.write_text("date,kind\n2027-01-01,holiday\n")
    with reading(database) as session:
        assert [alarm.case_id for alarm, _ in list_alarms(session)] == [case_id]
    said = CliRunner().invoke(app, ["import", str(file)]).output.splitlines()
    assert said == ["Imported 2027: 1 days listed", "Alarms about missing calendars: 1 cleared, 0 raised"]
    with reading(database) as session:
        assert list_alarms(session) == []


def test_the_command(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Installation(Settings(data_dir=tmp_path), Clock(), engine)
    monkeypatch.setattr("portal.cli.calendar.open_local", lambda: here)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    file = tmp_path / "2027.csv"
    file.write_text("date,kind\n2027-01-01,holiday\n2027-02-14,workday\n")

    def run(*words: str) -> tuple[str, BaseException | None]:
        result = CliRunner().invoke(app, list(words))
        return result.output.strip(), result.exception

    assert run("years") == ("Published: 2004 to 2026", None)
    assert run("import", str(file)) == ("Imported 2027: 2 days listed", None)
    assert run("import", str(file)) == ("2027 is so already; nothing changed", None)
    assert run("years") == ("Published: 2004 to 2027", None)
    file.write_text("date,kind\n2027-01-01,holiday\n")
    assert isinstance(run("import", str(file))[1], YearDiffers)
    assert run("import", str(file), "--replace", "--source", "更正") == ("Imported 2027: 1 days listed", None)
    last = journalled(engine)[-1]
    assert last.actor == "system:import"
    assert last.after == {"holidays": ["2027-01-01"], "workdays": [], "source": "更正"}
