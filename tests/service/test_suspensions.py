"""Special procedures: which days they take, and that no red card goes away through them."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, select

from approval.deadline import Card, Paused
from approval.errors import NoSuspension, SuspensionEnd, SuspensionRunning, SuspensionStart
from approval.models import CaseSuspension
from approval.service import (
    ask_supplement,
    decide,
    publish_year,
    resume,
    send_reminders,
    suspend,
    withdraw,
)
from infra.database import transaction
from infra.journal import JournalEntry
from tests.factories import Hall, make_hall
from tests.service.casework import city, clock, decision, done, made, refused, seen


@pytest.fixture
def hall(database: Engine) -> Hall:
    with transaction(database) as session:
        return make_hall(session, at=city(2026, 1, 5))


def hand(hall: Hall, case: Any, day: date) -> dict[str, Any]:
    """The facts of an act, at nine on `day`, of who may decide the active step."""
    return {
        "case_id": case.id, "person_id": hall.operators[0], "procedure": "hearing",
        "at": city(day.year, day.month, day.day),
    }  # fmt: skip


def hearing(hall: Hall, case: Any, first_on: date, **changes: Any) -> dict[str, Any]:
    return {**hand(hall, case, first_on), "first_on": first_on, "reason": "公开听证", **changes}


def cards(view: Any) -> dict[str, Card]:
    return {each.kind: each.card for each in view.clocks if each.kind != "acceptance"}


def red_cards_on_record(database: Engine) -> list[tuple[str, str]]:
    with transaction(database) as session:
        told = session.scalars(
            select(JournalEntry.after).where(JournalEntry.act == "case.red_card").order_by(JournalEntry.id)
        ).all()
    return [(after["clock"], after["due_on"]) for after in told if after]


def test_special_procedures_pause_the_handling_of_a_case(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="review")
    assert clock(seen(database, case, date(2026, 3, 3)), "handling").stands == date(2026, 3, 10)
    done(database, suspend, **hearing(hall, case, date(2026, 3, 4)))
    view = seen(database, case, date(2026, 3, 5))
    assert {each.stands for each in view.clocks if each.ended_at is None} == {Paused(date(2026, 3, 4))}
    refused(database, SuspensionRunning, suspend, **hearing(hall, case, date(2026, 3, 5)))
    done(database, resume, **hand(hall, case, date(2026, 3, 7)), last_on=date(2026, 3, 6))
    refused(database, NoSuspension, resume, **hand(hall, case, date(2026, 3, 7)), last_on=date(2026, 3, 6))
    assert clock(seen(database, case, date(2026, 3, 9)), "handling").stands == date(2026, 3, 13)
    done(database, suspend, **hearing(hall, case, date(2026, 3, 9), last_on=date(2026, 3, 9)))
    assert clock(seen(database, case, date(2026, 3, 9)), "handling").stands == date(2026, 3, 16)
    with pytest.raises(ValueError, match="no special procedure"):
        done(database, suspend, **hearing(hall, case, date(2026, 3, 9), procedure="supplement"))


@pytest.mark.parametrize("first_on", [date(2026, 3, 3), date(2026, 3, 5)])
def test_a_procedure_begins_on_the_day_it_is_told(database: Engine, hall: Hall, first_on: date) -> None:
    case = made(database, hall, upto="review")
    facts = hearing(hall, case, date(2026, 3, 4))
    error = refused(database, SuspensionStart, suspend, **{**facts, "first_on": first_on})
    assert (error.facts["today"], error.facts["first_on"]) == ("2026-03-04", first_on.isoformat())


@pytest.mark.parametrize(
    ("last_on", "allowed"),
    [
        (date(2026, 3, 3), False),
        (date(2026, 3, 4), True),
        (date(2026, 5, 3), True),
        (date(2026, 5, 4), False),
    ],
)
def test_an_end_is_told_sixty_days_ahead_at_most(
    database: Engine, hall: Hall, last_on: date, allowed: bool
) -> None:
    case = made(database, hall, upto="review")
    facts = hearing(hall, case, date(2026, 3, 4), last_on=last_on)
    if allowed:
        assert done(database, suspend, **facts).state == "accepted"
    else:
        assert refused(database, SuspensionEnd, suspend, **facts).facts["latest_on"] == "2026-05-03"


@pytest.mark.parametrize("last_on", [date(2026, 3, 3), date(2026, 3, 7), date(2026, 12, 30)])
def test_a_running_procedure_ends_between_its_first_day_and_today(
    database: Engine, hall: Hall, last_on: date
) -> None:
    case = made(database, hall, upto="review")
    done(database, suspend, **hearing(hall, case, date(2026, 3, 4)))
    facts = hand(hall, case, date(2026, 3, 6))
    assert (
        refused(database, SuspensionEnd, resume, **facts, last_on=last_on).facts["latest_on"] == "2026-03-06"
    )


def test_a_late_suspension_erases_no_red_card(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="review")
    today = date(2026, 4, 1)
    assert cards(seen(database, case, today)) == {"handling": Card.red, "step": Card.red}
    back = {"first_on": date(2026, 3, 3), "last_on": date(2026, 12, 30)}
    refused(database, SuspensionStart, suspend, **{**hearing(hall, case, today), **back})
    done(database, suspend, **hearing(hall, case, today))
    assert cards(seen(database, case, today)) == {"handling": Card.red, "step": Card.red}
    assert sorted(red_cards_on_record(database)) == [("handling", "2026-03-10"), ("step", "2026-03-04")]
    done(database, resume, **hand(hall, case, date(2026, 4, 2)), last_on=today)
    assert len(red_cards_on_record(database)) == 2


def test_a_supplement_asked_for_late_notes_the_red_card_of_acceptance(database: Engine, hall: Hall) -> None:
    """On the day after its last one, with no rest day in it: the soonest that a card can be red."""
    case = made(database, hall)
    ask = {"case_id": case.id, "person_id": hall.operators[0], "missing": "定级材料", "revision_seen": 1}
    done(database, ask_supplement, **ask, at=city(2026, 3, 6))
    assert red_cards_on_record(database) == [("acceptance", "2026-03-05")]


def test_a_red_card_stays_on_record_whatever_the_calendar_becomes(database: Engine, hall: Hall) -> None:
    """The calendar of the year is mended afterwards: by it nothing was late, but the card was shown."""
    case = made(database, hall, upto="review")
    done(database, decide, **decision(hall, case, "review", person_id=hall.operators[0], at=city(2026, 3, 4)))
    on = date(2026, 3, 11)
    assert cards(seen(database, case, on))["handling"] == Card.red
    days = {date(2026, 3, day): "holiday" for day in (4, 5, 6, 9, 10, 11)}
    facts = {"source": "test", "actor": "system:test", "at": city(2026, 3, 11)}
    done(database, publish_year, year=2026, days=days, replace=True, **facts)
    view = seen(database, case, on)
    stands = clock(view, "handling").stands
    assert isinstance(stands, date)
    assert stands > on
    assert clock(view, "handling").card == Card.red
    assert ("handling", "2026-03-10") in red_cards_on_record(database)


def test_the_sweep_and_the_end_of_a_clock_note_a_red_card_once(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="review")
    for day in (5, 6):
        done(database, send_reminders, case_id=case.id, at=city(2026, 3, day))
    assert red_cards_on_record(database) == [("step", "2026-03-04")]
    done(database, decide, **decision(hall, case, "review", at=city(2026, 3, 12)))
    assert red_cards_on_record(database) == [("step", "2026-03-04"), ("handling", "2026-03-10")]
    assert cards(seen(database, case, date(2026, 3, 12)))["handling"] == Card.red


def test_a_case_that_ends_ends_its_suspension(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="review")
    done(database, suspend, **hearing(hall, case, date(2026, 3, 4)))
    done(database, withdraw, case_id=case.id, person_id=hall.applicant, at=city(2026, 3, 6))
    with transaction(database) as session:
        last_on = session.scalars(select(CaseSuspension.last_on)).one()
    assert last_on == date(2026, 3, 6)
