"""People and roles that come to a bureau while it is being abolished: they wait, and are refused."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from identity import passwords
from identity.actor import INSTALLATION
from identity.errors import BureauAbolished
from identity.models import Person, RoleAssignment
from identity.roles import Role
from identity.service.people import add_person
from identity.service.reorganise import abolish, merge
from identity.service.roles import give_role
from infra.database import reading, transaction
from tests.factories import make_holder
from tests.hashing import CHEAP
from tests.service.small_tree import Tree, make_tree
from tests.waiting import wait_until

WAITERS = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
""")
Act = Callable[[Session], object]


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", CHEAP)


@pytest.fixture
def tree(database: Engine) -> Tree:
    return make_tree(database)


def while_it_goes(database: Engine, end: Act, act: Act) -> BaseException | None:
    """What `act` is refused with; it runs into the open transaction of `end`, which then commits."""

    def run() -> None:
        with transaction(database) as session:
            act(session)

    with ThreadPoolExecutor(1) as pool:
        with transaction(database) as session:
            end(session)
            session.flush()
            waiting = pool.submit(run)
            wait_until(lambda: waiting.done() or _somebody_waits(database))
        return waiting.exception(60)


def _somebody_waits(database: Engine) -> bool:
    """Asked anew each time: a transaction sees the activity of others as it first saw it."""
    with reading(database) as session:
        return bool(session.scalar(WAITERS))


def test_nobody_joins_a_bureau_that_is_being_abolished(database: Engine, tree: Tree, at: datetime) -> None:
    error = while_it_goes(
        database,
        lambda session: abolish(session, bureau_id=tree.town.id, at=at, actor="p"),
        lambda session: add_person(
            session, actor=INSTALLATION, login="late", name="晚", bureau_id=tree.town.id, at=at
        ),
    )
    assert isinstance(error, BureauAbolished)
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

    assert isinstance(while_it_goes(database, end, give), BureauAbolished)
    with reading(database) as session:
        assert session.scalars(select(RoleAssignment.id)).all() == []
