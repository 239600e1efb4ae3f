"""Who sees which case: its applicant, and the bureaus that it concerns, by the kind of its subject."""

from collections.abc import Collection, Mapping
from datetime import datetime

import pytest
from sqlalchemy import Engine

from approval.queries import Sight, get_case_in_sight, get_item, list_cases, list_items
from approval.service import load_items
from infra.clock import city_date
from infra.database import transaction
from infra.errors import NotFound
from tests.factories import Hall, make_case, make_hall

Bureaus = Mapping[str, Collection[int] | None]


@pytest.fixture
def hall(database: Engine, at: datetime) -> Hall:
    """With a request (the first case) and a subscription to the provider's data (the second)."""
    with transaction(database) as session:
        hall = make_hall(session, at=at)
        make_case(session, hall, at=at)
        about_data = make_case(
            session, hall, at=at, item_code="data-subscription-conditional", skip_steps=(), upto="decide"
        )
        about_data.subject_kind = "subscription"
        return hall


def seen(database: Engine, bureaus: Bureaus, person_id: int | None = None) -> list[int]:
    with transaction(database) as session:
        return [case.id for case in list_cases(session, sight=Sight(person_id, bureaus))]


def test_the_applicant_sees_their_own_and_nobody_else_without_a_bureau(database: Engine, hall: Hall) -> None:
    assert seen(database, {}, hall.applicant) == [2, 1]
    assert seen(database, {}, hall.steward) == []
    assert seen(database, {}) == []


def test_a_bureau_sees_cases_of_a_kind_that_it_asked_for_or_decides(database: Engine, hall: Hall) -> None:
    assert seen(database, {"request": {hall.town}}) == [1]
    assert seen(database, {"request": {hall.city}}) == [1]
    assert seen(database, {"request": {hall.provider}}) == []
    assert seen(database, {"subscription": {hall.provider}}) == [2]
    assert seen(database, {"subscription": {hall.county}, "request": {hall.county}}) == []
    assert seen(database, {"subscription": set()}) == []
    assert seen(database, {"subscription": None, "request": {hall.town}}) == [2, 1]


def test_a_case_out_of_sight_is_not_there(database: Engine, hall: Hall, at: datetime) -> None:
    first, ninth = (f"BD-{city_date(at).year}-{number:06d}" for number in (1, 9))
    with transaction(database) as session:
        mine = Sight(hall.applicant, {})
        assert get_case_in_sight(session, first, mine).id == 1
        for number, sight in ((first, Sight(hall.steward, {})), (ninth, mine)):
            with pytest.raises(NotFound, match=f"No case {number}"):
                get_case_in_sight(session, number, sight)


def test_items_are_listed_in_their_newest_version(database: Engine, hall: Hall, at: datetime) -> None:
    with transaction(database) as session:
        shipped = get_item(session, "resource-request")
        fields = (
            "code", "name_zh", "name_en", "asked_of", "materials", "steps", "promised_days", "statutory_days",
            "supplement_days", "supplement_answer_days",
        )  # fmt: skip
        again = {field: getattr(shipped, field) for field in fields} | {"version": 2}
        load_items(session, at=at, items=[again])
        assert [(item.code, item.version) for item in list_items(session)] == [
            ("data-subscription-conditional", 1),
            ("data-subscription-unconditional", 1),
            ("resource-request", 2),
        ]
