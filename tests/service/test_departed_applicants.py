"""Once the applicant has left: who is told before anything is deleted, and who confirms what was built."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from approval.errors import SamePerson
from identity.actor import INSTALLATION
from identity.models import Person, RoleAssignment
from identity.service.people import depart_person
from infra.clock import city_midnight
from infra.database import reading, transaction
from provisioning.cloud.simulated import Fault
from provisioning.errors import NotTheApplicant
from provisioning.queries import list_applied_for
from provisioning.service.requests import confirm_request
from provisioning.service.servers import reclaim_server
from tests.yard import LINE, Yard, make_spring_yard

ONE = replace(LINE, count=1)
END_ON = date(2026, 4, 9)


@pytest.fixture
def yard(database: Engine, tmp_path: Path) -> Yard:
    return make_spring_yard(database, tmp_path)


def leave(yard: Yard) -> None:
    """The town's applicant, who was its only admin, has left."""
    with transaction(yard.engine) as session:
        depart_person(session, actor=INSTALLATION, person_id=yard.hall.applicant, at=yard.at)


def hire(yard: Yard, login: str, bureau_id: int, role: str = "bureau_admin") -> int:
    """Somebody new with a role at the bureau."""
    with transaction(yard.engine) as session:
        person = Person(login=login, name=login, bureau_id=bureau_id, created_at=yard.at)
        session.add(person)
        session.flush()
        session.add(RoleAssignment(person_id=person.id, role=role, bureau_id=bureau_id, valid_from=yard.at))
        return person.id


def give(yard: Yard, person_id: int, bureau_id: int, role: str) -> None:
    """One role more."""
    with transaction(yard.engine) as session:
        session.add(RoleAssignment(person_id=person_id, role=role, bureau_id=bureau_id, valid_from=yard.at))


def tend(yard: Yard, on: date) -> None:
    """What the daily task does on that day, and the visits it asks for."""
    yard.at = city_midnight(on) + timedelta(hours=9)
    yard.tend_leases()
    yard.work()


def test_the_bureau_is_told_before_and_when_a_lease_ends_after_the_applicant_left(yard: Yard) -> None:
    asked = yard.ask(ONE, end_on=END_ON)
    yard.work()
    hire(yard, "successor", yard.hall.town)
    leave(yard)
    tend(yard, END_ON - timedelta(days=1))
    assert set(yard.told("lease_ends")) == {("bureau_admin", yard.hall.town)}
    tend(yard, END_ON + timedelta(days=1))
    assert yard.told("lease_over") == [("bureau_admin", yard.hall.town)]
    assert yard.server(asked).state == "stopped"


def test_where_no_bureau_above_has_an_admin_the_office_is_told(yard: Yard) -> None:
    yard.ask(ONE, end_on=END_ON)
    yard.work()
    leave(yard)
    tend(yard, END_ON + timedelta(days=1))
    assert yard.told("lease_over") == [("operator", yard.hall.city)]


def test_an_applicant_who_is_there_but_no_admin_any_more_is_told_besides_the_bureau(yard: Yard) -> None:
    asked = yard.ask(ONE)
    yard.work()
    hire(yard, "successor", yard.hall.town)
    with transaction(yard.engine) as session:
        held = select(RoleAssignment).where(RoleAssignment.person_id == yard.hall.applicant)
        session.scalars(held).one().valid_to = yard.at
    with transaction(yard.engine) as session:
        server_id = yard.server(asked).id
        reclaim_server(session, server_id=server_id, at=yard.at, actor="person:1", reason="闲置")
    assert yard.told("server_reclaimed") == [
        ("bureau_admin", yard.hall.town),
        (yard.hall.applicant, None),
    ]


def test_an_admin_of_the_bureau_confirms_once_the_applicant_has_left(yard: Yard) -> None:
    asked = yard.ask(ONE)
    successor = hire(yard, "successor", yard.hall.town)
    member = hire(yard, "member", yard.hall.town, "bureau_member")
    stranger = hire(yard, "stranger", yard.hall.provider)
    with pytest.raises(NotTheApplicant), transaction(yard.engine) as session:
        confirm_request(session, request_id=asked, person_id=successor, at=yard.at)
    leave(yard)
    yard.work()
    assert yard.request(asked).state == "confirming"
    assert yard.told("request_to_confirm") == [("bureau_admin", yard.hall.town)]
    for somebody in (member, stranger):
        with pytest.raises(NotTheApplicant), transaction(yard.engine) as session:
            confirm_request(session, request_id=asked, person_id=somebody, at=yard.at)
    with transaction(yard.engine) as session:
        assert confirm_request(session, request_id=asked, person_id=successor, at=yard.at).state == "active"


@pytest.mark.parametrize("part", [0, 1])
def test_whoever_reviewed_or_verified_does_not_stand_in(yard: Yard, part: int) -> None:
    asked = yard.ask(ONE)
    decider = yard.hall.operators[part]
    give(yard, decider, yard.hall.town, "bureau_admin")
    leave(yard)
    yard.work()
    with pytest.raises(SamePerson) as refused, transaction(yard.engine) as session:
        confirm_request(session, request_id=asked, person_id=decider, at=yard.at)
    assert refused.value.facts["part_zh"] == ["受理", "核准"][part]
    assert (refused.value.facts["step_zh"], refused.value.facts["step_en"]) == ("确认交付", "confirm")
    give(yard, yard.hall.operators[2], yard.hall.county, "bureau_admin")
    with transaction(yard.engine) as session:
        confirm_request(session, request_id=asked, person_id=yard.hall.operators[2], at=yard.at)


def test_what_waits_for_one_who_left_waits_for_who_stands_in(yard: Yard) -> None:
    yard.region.inject(Fault.refused, operation="create_server")
    failed, ready = yard.ask(ONE), yard.ask(ONE)
    yard.draft(ONE)
    yard.work()
    successor = hire(yard, "successor", yard.hall.town)

    def waiting(*bureau_ids: int) -> list[int]:
        with reading(yard.engine) as session:
            found = list_applied_for(session, applicant_id=successor, stands_in_at=bureau_ids)
            return [one.request.id for one in found]

    assert waiting(yard.hall.town) == []
    leave(yard)
    assert waiting(yard.hall.town) == [failed, ready]
    assert waiting(yard.hall.provider) == []
    assert yard.told("server_failed") == [(yard.hall.applicant, None)]
