"""Who owned a system and who held a role: one open interval at a time, none that ends before it began."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from identity.errors import RoleHeld
from identity.models import RoleAssignment, SystemOwner
from identity.queries import list_system_owners
from identity.roles import Role
from identity.service.abolition import abolish_all
from identity.service.people import depart_person
from identity.service.roles import end_role, give_role
from identity.service.systems import retire_system, transfer_system
from infra.database import reading, transaction
from tests.factories import make_actor, make_bureau, make_holder, make_role, make_system
from tests.service.small_tree import Tree, make_tree

BEHIND = timedelta(seconds=3)
"""How far the clock of the machine that ends an interval is behind that of the one that began it."""


@pytest.fixture(params=["database", "sqlite_database"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def tree(engine: Engine) -> Tree:
    return make_tree(engine)


def test_the_database_keeps_one_open_interval(engine: Engine, tree: Tree, at: datetime) -> None:
    with transaction(engine) as session:
        system = make_system(session, tree.county, at=at)
        person = make_holder(session, bureau=tree.county, roles=(("developer", tree.county),))
    owner = SystemOwner(system_id=system.id, bureau_id=tree.city.id, valid_from=at)
    role = RoleAssignment(person_id=person.id, role="developer", bureau_id=tree.county.id, valid_from=at)
    for second in (owner, role):
        with pytest.raises(IntegrityError), transaction(engine) as session:
            session.add(second)
    with transaction(engine) as session:
        make_role(session, person, role="developer", bureau=tree.city)
        make_role(session, person, role="developer", bureau=tree.county, at=at, valid_to=at)


def test_the_database_keeps_no_interval_that_ends_before_it_began(
    engine: Engine, tree: Tree, at: datetime
) -> None:
    with transaction(engine) as session:
        system = make_system(session, tree.county, at=at)
        person = make_holder(session, bureau=tree.county)
    times = {"valid_from": at, "valid_to": at - BEHIND}
    for wrong in (
        SystemOwner(system_id=system.id, bureau_id=tree.city.id, **times),
        RoleAssignment(person_id=person.id, role="developer", bureau_id=tree.city.id, **times),
    ):
        with pytest.raises(IntegrityError, match="interval"), transaction(engine) as session:
            session.add(wrong)


def test_a_system_handed_over_by_a_slow_clock_has_an_owner_at_every_instant(
    engine: Engine, tree: Tree, at: datetime
) -> None:
    with transaction(engine) as session:
        system = make_system(session, tree.county, at=at)
    with transaction(engine) as session:
        transfer_system(session, system_id=system.id, bureau_id=tree.city.id, at=at - BEHIND, actor="p")
    with transaction(engine) as session:
        retire_system(session, system_id=system.id, at=at - BEHIND, actor="p")
    with reading(engine) as session:
        owners = list_system_owners(session, system_id=system.id)
        assert [(one.bureau_id, one.valid_from, one.valid_to) for one in owners] == [
            (tree.county.id, at, at),
            (tree.city.id, at, at),
        ]


@pytest.mark.parametrize("how", ["end", "depart", "abolish"])
def test_a_role_that_a_slow_clock_ends_ends_where_it_began(
    engine: Engine, tree: Tree, at: datetime, how: str
) -> None:
    early = at - BEHIND
    with transaction(engine) as session:
        actor = make_actor(
            session, bureau=tree.city, role="security_admin" if how == "end" else "system_admin"
        )
        gone = make_bureau(session, parent=session.merge(tree.county))
        person = make_holder(session, bureau=tree.county)
        role = make_role(session, person, role="developer", bureau=gone, at=at)
    with transaction(engine) as session:
        if how == "end":
            end_role(session, actor=actor, assignment_id=role.id, at=early)
        elif how == "depart":
            depart_person(session, actor=actor, person_id=person.id, at=early)
        else:
            abolish_all(session, bureaus=[session.merge(gone)], at=early, actor="p", guards=())
    with reading(engine) as session:
        assert session.get_one(RoleAssignment, role.id).valid_to == at


def test_a_role_given_twice_at_once_is_held_once(engine: Engine, tree: Tree, at: datetime) -> None:
    with transaction(engine) as session:
        giver = make_actor(session, bureau=tree.city, role="security_admin")
        people = [make_holder(session, bureau=tree.county) for _ in range(10)]
    for person in people:
        barrier = Barrier(2)

        def give(person_id: int, barrier: Barrier = barrier) -> str:
            barrier.wait(60)
            try:
                with transaction(engine) as session:
                    give_role(
                        session, actor=giver, person_id=person_id, role=Role.developer,
                        bureau_id=tree.county.id, at=at,
                    )  # fmt: skip
            except RoleHeld:
                return "held"
            return "given"

        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(give, [person.id] * 2)) == ["given", "held"]
        with reading(engine) as session:
            mine = select(RoleAssignment.id).where(RoleAssignment.person_id == person.id)
            assert len(session.scalars(mine).all()) == 1
