"""Roles: how far they reach, who gives and ends them, and the three administrators kept apart."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine

from identity.actor import INSTALLATION, Actor
from identity.errors import (
    Forbidden,
    NotGivable,
    OwnRole,
    RoleHeld,
    SeparationViolated,
)
from identity.models import Bureau, Person
from identity.roles import Permission, Role
from identity.service.access import authorise, load_roles, may, permissions_of, scope_of
from identity.service.directory import list_holders
from identity.service.roles import end_role, give_role, list_roles
from infra.database import reading, transaction
from infra.errors import NotFound, SijiError
from tests.factories import make_actor, make_holder
from tests.service.small_tree import Tree, acts, make_tree


@pytest.fixture
def tree(database: Engine) -> Tree:
    return make_tree(database)


def test_a_refusal_names_the_act_and_the_place(database: Engine, tree: Tree) -> None:
    with reading(database) as session:
        nobody = Actor("person", 1, "某人", tree.town.id)
        with pytest.raises(Forbidden) as refusal:
            authorise(session, nobody, Permission.people_edit, bureau_id=tree.county.id)
        assert refusal.value.message("zh") == "您没有在“涞水县”（130623）管理人员账号的权限"
        assert refusal.value.message("en") == "You may not manage people's accounts at 涞水县 (130623)"
        assert refusal.value.facts["permission"] == "people:edit"
        with pytest.raises(Forbidden, match="the whole city"):
            authorise(session, nobody, Permission.capacity_set, bureau_id=None)
        with pytest.raises(NotFound):
            authorise(session, nobody, Permission.people_edit, bureau_id=999_999)


def test_a_role_reaches_down_and_neither_up_nor_beside(database: Engine, tree: Tree) -> None:
    with transaction(database) as session:
        admin = make_actor(session, bureau=tree.county, role="bureau_admin")
        operator = make_actor(session, bureau=tree.city, role="operator")
        submit, see = Permission.requests_submit, Permission.servers_see
        here = {b.id: may(session, admin, submit, bureau_id=b.id) for b in vars(tree).values()}
        assert [bureau_id for bureau_id, allowed in here.items() if allowed] == [tree.county.id, tree.town.id]
        assert scope_of(session, admin, submit) == {tree.county.id, tree.town.id}
        assert scope_of(session, admin, Permission.journal_read) == set()
        assert scope_of(session, admin, Permission.catalogue_see) is None
        assert may(session, admin, Permission.catalogue_see, bureau_id=tree.beside.id)
        assert not may(session, admin, see, bureau_id=None)
        assert may(session, operator, see, bureau_id=None)
        assert scope_of(session, operator, see) is None
        assert scope_of(session, INSTALLATION, see) is None
        assert submit in permissions_of(admin)
        assert submit not in permissions_of(operator)


def test_a_service_has_its_scopes_at_its_own_bureau_alone(database: Engine, tree: Tree) -> None:
    with reading(database) as session:
        service = Actor("service", 1, "系统", tree.county.id, scopes=("requests:read",))
        see = Permission.requests_see
        assert may(session, service, see, bureau_id=tree.county.id)
        assert not may(session, service, see, bureau_id=tree.town.id)
        assert not may(session, service, see, bureau_id=None)
        assert not may(session, service, Permission.requests_submit, bureau_id=tree.county.id)
        assert scope_of(session, service, see) == {tree.county.id}
        at_top = Actor("service", 2, "系统", tree.city.id, scopes=("requests:read",))
        assert scope_of(session, at_top, see) == {tree.city.id}


def test_a_security_admin_gives_any_role_and_it_is_journalled(
    database: Engine, tree: Tree, at: datetime
) -> None:
    with transaction(database) as session:
        giver = make_actor(session, bureau=tree.city, role="security_admin")
        person = make_holder(session, bureau=tree.county)
        for role in (Role.operator, Role.bureau_admin):
            give_role(session, actor=giver, person_id=person.id, role=role, bureau_id=tree.county.id, at=at)
        assert load_roles(session, person_id=person.id) == (
            ("operator", tree.county.id),
            ("bureau_admin", tree.county.id),
        )
        with pytest.raises(RoleHeld):
            give_role(
                session, actor=giver, person_id=person.id, role=Role.operator, bureau_id=tree.county.id, at=at
            )
        [operator, _] = list_roles(session, person_id=person.id)
        end_role(session, actor=giver, assignment_id=operator.id, at=at + timedelta(days=1))
        end_role(session, actor=giver, assignment_id=operator.id, at=at + timedelta(days=2))
        assert operator.valid_to == at + timedelta(days=1)
        holders = list_holders(session, actor=giver, bureau_id=tree.county.id, at=at)
        assert [(a.role, p.id) for a, p in holders] == [("bureau_admin", person.id)]
    subject = f"person:{person.id}"
    assert acts(database) == [
        (giver.journal_id, "role.give", subject),
        (giver.journal_id, "role.give", subject),
        (giver.journal_id, "role.end", subject),
        (giver.journal_id, "roles.list", "people"),
    ]


def test_nobody_gives_more_than_their_own_scope(database: Engine, tree: Tree, at: datetime) -> None:
    with transaction(database) as session:
        local_security = make_actor(session, bureau=tree.county, role="security_admin")
        bureau_admin = make_actor(session, bureau=tree.county, role="bureau_admin")
        member = make_actor(session, bureau=tree.county, role="bureau_member")
        inside = make_holder(session, bureau=tree.town)
        outside = make_holder(session, bureau=tree.beside)
        cases: list[tuple[Actor, Person, Role, Bureau, type[SijiError] | None]] = [
            (local_security, inside, Role.operator, tree.city, Forbidden),
            (local_security, outside, Role.reviewer, tree.county, NotGivable),
            (local_security, inside, Role.reviewer, tree.county, None),
            (bureau_admin, inside, Role.bureau_admin, tree.town, NotGivable),
            (bureau_admin, inside, Role.data_steward, tree.beside, Forbidden),
            (bureau_admin, outside, Role.data_steward, tree.town, NotGivable),
            (bureau_admin, inside, Role.data_steward, tree.town, None),
            (member, inside, Role.developer, tree.town, Forbidden),
        ]
        for actor, person, role, bureau, error in cases:

            def give(
                actor: Actor = actor, person: Person = person, role: Role = role, bureau: Bureau = bureau
            ) -> None:
                give_role(session, actor=actor, person_id=person.id, role=role, bureau_id=bureau.id, at=at)

            if error is None:
                give()
            else:
                with pytest.raises(error):
                    give()
        assert load_roles(session, person_id=inside.id) == (
            ("reviewer", tree.county.id),
            ("data_steward", tree.town.id),
        )
        [reviewer, _] = list_roles(session, person_id=inside.id)
        with pytest.raises(NotGivable):
            end_role(session, actor=bureau_admin, assignment_id=reviewer.id, at=at)


def test_nobody_gives_themselves_a_role(database: Engine, tree: Tree, at: datetime) -> None:
    with transaction(database) as session:
        for role, wanted in (("security_admin", Role.auditor), ("bureau_admin", Role.developer)):
            actor = make_actor(session, bureau=tree.county, role=role)
            with pytest.raises(OwnRole):
                give_role(
                    session, actor=actor, person_id=actor.id, role=wanted, bureau_id=tree.county.id, at=at
                )


def test_administrators_are_separated(database: Engine, tree: Tree, at: datetime) -> None:
    with transaction(database) as session:
        giver = make_actor(session, bureau=tree.city, role="security_admin")
        auditor = make_holder(session, bureau=tree.city, login="auditor1", roles=(("auditor", tree.city),))
        for role in (Role.system_admin, Role.security_admin, Role.operator):
            with pytest.raises(SeparationViolated) as refusal:
                give_role(
                    session, actor=giver, person_id=auditor.id, role=role, bureau_id=tree.town.id, at=at
                )
            assert "auditor1" in refusal.value.message("zh")
            assert "审计员" in refusal.value.message("zh")
        give_role(
            session, actor=giver, person_id=auditor.id, role=Role.auditor, bureau_id=tree.town.id, at=at
        )


def test_two_simultaneous_thirds_end_in_exactly_one(database: Engine, tree: Tree, at: datetime) -> None:
    with transaction(database) as session:
        giver = make_actor(session, bureau=tree.city, role="security_admin")
        people = [make_holder(session, bureau=tree.city) for _ in range(10)]
    for person in people:
        barrier = Barrier(2)

        def give(role: Role, person: Person = person, barrier: Barrier = barrier) -> type[SijiError] | None:
            try:
                with transaction(database) as session:
                    barrier.wait(60)
                    give_role(
                        session, actor=giver, person_id=person.id, role=role, bureau_id=tree.city.id, at=at
                    )
            except SijiError as error:
                return type(error)
            return None

        with ThreadPoolExecutor(2) as threads:
            outcomes = list(threads.map(give, [Role.system_admin, Role.auditor]))
        assert sorted(outcomes, key=str) == sorted([SeparationViolated, None], key=str)
        with reading(database) as session:
            assert len(load_roles(session, person_id=person.id)) == 1
