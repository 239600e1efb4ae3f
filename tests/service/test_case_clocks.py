"""Limits of cases: the calendar's end, supplements, acceptance by silence."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine

from approval.deadline import Card, NotYetPublished, Paused
from approval.errors import (
    NotApplicant,
    ReasonNeeded,
    StepNotActive,
    SupplementAskedBefore,
    SupplementTooLate,
)
from approval.queries import (
    list_alarms,
    list_silent,
    list_unanswered,
)
from approval.service import (
    Published,
    abandon_supplement,
    accept_by_silence,
    answer_supplement,
    ask_supplement,
    decide,
    edit_case,
    publish_year,
    refresh_alarms,
)
from infra.database import transaction
from infra.workdays import load_calendar
from tests.factories import Hall, make_hall
from tests.service.casework import announce_years, city, clock, decision, done, made, refused, seen
from tests.statements import statements


@pytest.fixture
def hall(database: Engine) -> Hall:
    with transaction(database) as session:
        return make_hall(session, at=city(2026, 1, 5))


def test_received_friday_13_february_2026_with_3_work_days_is_due_on_25_february(
    database: Engine, hall: Hall
) -> None:
    case = made(database, hall, at=city(2026, 2, 13, 16))
    assert clock(seen(database, case, date(2026, 2, 13)), "acceptance").stands == date(2026, 2, 25)


def test_a_date_that_needs_an_unpublished_year_waits_for_it_with_an_alarm(
    database: Engine, hall: Hall
) -> None:
    at, on = city(2026, 12, 29), date(2026, 12, 29)
    waiting, accepted = made(database, hall, at=at), made(database, hall, at=at, upto="review")
    view = seen(database, waiting, on)
    assert (view.case.state, clock(view, "acceptance").stands) == ("submitted", NotYetPublished(2027))
    assert [(alarm.kind, alarm.year) for alarm in view.alarms] == [("calendar_not_published", 2027)]
    view = seen(database, accepted, on)
    assert (view.case.state, clock(view, "handling").stands) == ("accepted", NotYetPublished(2027))
    assert clock(view, "step").stands == date(2026, 12, 31)
    assert done(database, refresh_alarms, at=at) == (0, 0)
    with transaction(database) as session:
        assert [case.number for _, case in list_alarms(session)] == [waiting.number, accepted.number]
        days = {date(2027, 1, 1): "holiday"}
        facts: dict[str, Any] = {
            "year": 2027,
            "days": days,
            "source": "国办发明电",
            "actor": "person:1",
            "at": at,
        }
        assert publish_year(session, **facts) == Published(changed=True, raised=0, cleared=2)
        assert publish_year(session, **facts) == Published(changed=False, raised=0, cleared=0)
    assert clock(seen(database, waiting, on), "acceptance").stands == date(2027, 1, 4)
    assert clock(seen(database, accepted, on), "handling").stands == date(2027, 1, 7)
    assert seen(database, waiting, on).alarms == []
    with transaction(database) as session:
        assert list_alarms(session) == []


def test_an_edit_before_acceptance_does_not_restart_its_limit(database: Engine, hall: Hall) -> None:
    case = made(database, hall)
    done(database, edit_case, case_id=case.id, person_id=hall.applicant, revision_seen=1, at=city(2026, 3, 4))
    view = seen(database, case, date(2026, 3, 4))
    assert [(each.step_key, each.stands) for each in view.clocks] == [("accept", date(2026, 3, 5))]
    assert done(database, decide, **decision(hall, case, "accept", revision_seen=2)).next_step == "review"


def test_a_supplement_is_asked_once_and_its_days_are_not_counted(database: Engine, hall: Hall) -> None:
    case = made(database, hall)
    ask = {"case_id": case.id, "person_id": hall.operators[0], "missing": "定级材料", "revision_seen": 1}
    refused(database, ReasonNeeded, ask_supplement, **{**ask, "missing": ""}, at=city(2026, 3, 3))
    outcome = done(database, ask_supplement, **ask, at=city(2026, 3, 3))
    assert outcome.state == "supplement"
    assert clock(seen(database, case, date(2026, 3, 4)), "acceptance").stands == Paused(date(2026, 3, 3))
    held_up = refused(database, StepNotActive, decide, **decision(hall, case, "accept"))
    assert "waiting for a supplement" in str(held_up)
    answer = {"case_id": case.id, "revision_seen": 1, "at": city(2026, 3, 10)}
    refused(database, NotApplicant, answer_supplement, **answer, person_id=hall.operators[1])
    assert done(database, answer_supplement, **answer, person_id=hall.applicant).revision == 2
    view = seen(database, case, date(2026, 3, 10))
    assert (view.case.state, clock(view, "acceptance").stands) == ("submitted", date(2026, 3, 13))
    error = refused(
        database, SupplementAskedBefore, ask_supplement, **{**ask, "revision_seen": 2}, at=city(2026, 3, 11)
    )
    assert error.facts["asked_on"] == "2026-03-03"


def test_returning_a_case_that_is_not_accepted_asks_for_a_supplement(database: Engine, hall: Hall) -> None:
    case = made(database, hall)
    verdict = decision(hall, case, "accept", decision="return", reason="缺少用途说明")
    assert done(database, decide, **verdict).state == "supplement"


def test_without_a_word_in_five_work_days_the_case_counts_as_accepted(database: Engine, hall: Hall) -> None:
    case = made(database, hall)
    with transaction(database) as session:
        calendar = load_calendar(session)
        assert list_silent(session, at=city(2026, 3, 9, 23), calendar=calendar) == []
        assert list_silent(session, at=city(2026, 3, 10, 0), calendar=calendar) == [case.id]
    assert done(database, accept_by_silence, case_id=case.id, at=city(2026, 3, 9, 23)) is None
    refused(
        database, SupplementTooLate, ask_supplement, case_id=case.id, person_id=hall.operators[0],
        missing="定级材料", revision_seen=1, at=city(2026, 3, 10),
    )  # fmt: skip
    outcome = done(database, accept_by_silence, case_id=case.id, at=city(2026, 3, 10))
    assert (outcome.state, outcome.next_step) == ("accepted", "review")
    assert done(database, accept_by_silence, case_id=case.id, at=city(2026, 3, 10)) is None
    view = seen(database, case, date(2026, 3, 10))
    assert [(each.basis, each.person_id) for each in view.decisions] == [("silence", None)]
    assert clock(view, "handling").start_on == date(2026, 3, 2)


def test_an_acceptance_that_comes_too_late_counts_from_receipt(database: Engine, hall: Hall) -> None:
    case = made(database, hall)
    done(database, decide, **decision(hall, case, "accept", at=city(2026, 3, 12)))
    assert clock(seen(database, case, date(2026, 3, 12)), "handling").start_on == date(2026, 3, 2)


def test_a_supplement_that_never_comes_ends_the_case(database: Engine, hall: Hall) -> None:
    case = made(database, hall)
    ask = {"case_id": case.id, "person_id": hall.operators[0], "missing": "定级材料", "revision_seen": 1}
    done(database, ask_supplement, **ask, at=city(2026, 3, 3))
    last_day, day_after = city(2026, 3, 24, 23), city(2026, 3, 25)
    with transaction(database) as session:
        calendar = load_calendar(session)
        assert list_unanswered(session, at=last_day, calendar=calendar) == []
        assert list_unanswered(session, at=day_after, calendar=calendar) == [case.id]
    assert done(database, abandon_supplement, case_id=case.id, at=last_day) is None
    assert done(database, abandon_supplement, case_id=case.id, at=day_after).state == "abandoned"
    assert done(database, abandon_supplement, case_id=case.id, at=day_after) is None


def test_what_waits_for_a_year_happens_once_it_is_announced(database: Engine, hall: Hall) -> None:
    """Nobody is held to a limit that nobody can compute, and the office is told of it.

    The case is due on 31 December, but the last day to ask for a supplement, or to answer one, is not known.
    """
    at, later = city(2026, 12, 28), city(2027, 2, 1)
    silent, unanswered = made(database, hall, at=at), made(database, hall, at=at)
    done(
        database, ask_supplement, case_id=unanswered.id, person_id=hall.operators[0], missing="定级材料",
        revision_seen=1, at=at,
    )  # fmt: skip
    assert clock(seen(database, silent, at.date()), "acceptance").stands == date(2026, 12, 31)
    with transaction(database) as session:
        alarms = [(alarm.year, case.number) for alarm, case in list_alarms(session)]
        assert alarms == [(2027, silent.number), (2027, unanswered.number)]
        calendar = load_calendar(session)
        assert list_silent(session, at=later, calendar=calendar) == []
        assert list_unanswered(session, at=later, calendar=calendar) == []
    assert done(database, accept_by_silence, case_id=silent.id, at=later) is None
    assert done(database, abandon_supplement, case_id=unanswered.id, at=later) is None
    announce_years(database, at=at, until=later)
    with transaction(database) as session:
        assert list_alarms(session) == []
    assert done(database, accept_by_silence, case_id=silent.id, at=later).state == "accepted"
    assert done(database, abandon_supplement, case_id=unanswered.id, at=later).state == "abandoned"


def test_the_limit_to_tell_is_the_laws_and_not_the_steps(database: Engine, hall: Hall) -> None:
    """Three work days are the step's, a red card beyond; five are those to ask for a supplement."""
    case = made(database, hall)
    ask = {"case_id": case.id, "person_id": hall.operators[0], "missing": "定级材料", "revision_seen": 1}
    assert clock(seen(database, case, date(2026, 3, 6)), "acceptance").card == Card.red
    late = refused(database, SupplementTooLate, ask_supplement, **ask, at=city(2026, 3, 10))
    assert (late.facts["days"], late.facts["due_on"]) == (5, "2026-03-09")
    done(database, ask_supplement, **ask, at=city(2026, 3, 9))


def test_an_acceptance_reads_the_calendar_once(database: Engine, hall: Hall) -> None:
    case = made(database, hall)
    with statements(database) as said:
        done(database, decide, **decision(hall, case, "accept"))
    assert sum("FROM calendar_days" in each for each in said) == 1


def test_a_year_is_known_to_the_transaction_that_publishes_it(database: Engine, hall: Hall) -> None:
    facts: dict[str, Any] = {
        "year": 2027,
        "days": {},
        "source": "test",
        "actor": "p",
        "at": city(2026, 12, 1),
    }
    with transaction(database) as session:
        assert not load_calendar(session).is_published(2027)
        publish_year(session, **facts)
        assert load_calendar(session).is_published(2027)
        facts["days"] = {date(2027, 1, 1): "holiday"}
        publish_year(session, **facts, replace=True)
        assert not load_calendar(session).is_work_day(date(2027, 1, 1))
