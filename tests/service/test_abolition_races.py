"""People and roles that come to a bureau while it is being abolished: they wait, and are refused."""

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from identity.actor import INSTALLATION
from identity.errors import BureauAbolished
from identity.models import Person, RoleAssignment
from identity.roles import Role
from identity.service.people import add_person
from identity.service.reorganise import abolish, merge
from identity.service.roles import give_role
from infra.database import reading, transaction
from tests.factories import make_holder
from tests.service.small_tree import Tree, make_tree
from tests.waiting import held_up

Act = Callable[[Session], object]


@pytest.fixture
def tree(database: Engine) -> Tree:
    return make_tree(database)


def refuse_while_it_goes(database: Engine, end: Act, act: Act) -> None:
    """`act` runs into the open transaction of `end`, and is refused once that has committed."""

    def run() -> None:
        with transaction(database) as session:
            act(session)

    with pytest.raises(BureauAbolished), held_up(database, run) as session:
        end(session)


def test_nobody_joins_a_bureau_that_is_being_abolished(database: Engine, tree: Tree, at: datetime) -> None:
    refuse_while_it_goes(
        database,
        lambda session: abolish(session, bureau_id=tree.town.id, at=at, actor="p"),
        lambda session: add_person(
            session, actor=INSTALLATION, login="late", name="晚", bureau_id=tree.town.id, at=at
        ),
    )
    with reading(database) as session:
        assert session.scalars(select(Person.id)).all() == []


@pytest.mark.parametrize("how", ["abolish", "merge"])
def test_no_role_is_given_at_a_bureau_that_is_being_ended(
    database: Engine, tree: Tree, at: datetime, how: str
) -> None:
    """A role left open there would be held again, unseen, once an import restores the bureau."""
    with transaction(database) as session:
        person = make_holder(session, bureau=tree.county if how == "abolish" else tree.town)

    def end(session: Session) -> None:
        if how == "abolish":
            abolish(session, bureau_id=tree.town.id, at=at, actor="p")
        else:
            merge(session, bureau_id=tree.town.id, successor_id=tree.county.id, at=at, actor="p")

    def give(session: Session) -> None:
        give_role(
            session, actor=INSTALLATION, person_id=person.id, role=Role.developer,
            bureau_id=tree.town.id, at=at,
        )  # fmt: skip

    refuse_while_it_goes(database, end, give)
    with reading(database) as session:
        assert session.scalars(select(RoleAssignment.id)).all() == []
