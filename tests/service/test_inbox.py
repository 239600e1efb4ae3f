"""The inbox: what a person may decide, and nothing else."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine

from approval.deadline import Card
from approval.queries import (
    list_inbox,
)
from approval.service import (
    ask_supplement,
)
from infra.database import transaction
from infra.workdays import load_calendar
from tests.factories import Hall, make_hall
from tests.service.casework import city, done, made


@pytest.fixture
def hall(database: Engine) -> Hall:
    with transaction(database) as session:
        return make_hall(session, at=city(2026, 1, 5))


def test_an_inbox_shows_what_this_person_may_decide_and_nothing_else(database: Engine, hall: Hall) -> None:
    waiting = made(database, hall, skip_steps=())
    in_review = made(database, hall, upto="review")
    in_verification = made(database, hall, upto="verify")
    at_county = made(database, hall, skip_steps=(), upto="first_review")
    paused = made(database, hall)
    done(
        database, ask_supplement, case_id=paused.id, person_id=hall.operators[0], missing="定级材料",
        revision_seen=1, at=city(2026, 3, 3),
    )  # fmt: skip

    def inbox(person_id: int, roles: list[tuple[str, int]], **page: Any) -> list[tuple[str, str]]:
        with transaction(database) as session:
            rows = list_inbox(
                session,
                person_id=person_id,
                roles=roles,
                calendar=load_calendar(session),
                on=date(2026, 3, 4),
                **page,
            )
        return [(row.number, row.step_key) for row in rows]

    operators = [("operator", hall.city)]
    all_three = [
        (waiting.number, "accept"), (in_review.number, "review"), (in_verification.number, "verify")
    ]  # fmt: skip
    assert sorted(inbox(hall.operators[2], operators)) == sorted(all_three)
    assert sorted(inbox(hall.operators[0], operators)) == sorted(all_three[:2])
    assert sorted(inbox(hall.applicant, operators)) == []
    assert inbox(hall.county_reviewer, [("reviewer", hall.county)]) == [(at_county.number, "first_review")]
    assert inbox(hall.operators[2], [("reviewer", hall.city)]) == [(at_county.number, "first_review")]
    assert inbox(hall.operators[2], [("operator", hall.county)]) == []
    assert inbox(hall.operators[2], []) == []
    assert len(inbox(hall.operators[0], operators, limit=1)) == 1


def test_an_inbox_pages_past_what_the_person_may_not_decide(database: Engine, hall: Hall) -> None:
    for _ in range(3):
        made(database, hall, upto="verify")
    last = made(database, hall)
    with transaction(database) as session:
        page = list_inbox(
            session, person_id=hall.operators[0], roles=[("operator", hall.city)],
            calendar=load_calendar(session), on=date(2026, 3, 6), limit=1,
        )  # fmt: skip
    assert [(row.number, row.stands, row.card) for row in page] == [(last.number, date(2026, 3, 5), Card.red)]
