"""Looking people up; a look at somebody else's account is a row of the journal (PIPL, article 56)."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.models import Person, RoleAssignment, System
from identity.roles import Permission
from identity.service.access import authorise, scope_of
from identity.service.people import find_person_by_login
from infra import journal
from infra.errors import NotFound


def list_people(
    session: Session,
    *,
    actor: Actor,
    at: datetime,
    bureau_ids: Collection[int] | None = None,
    with_departed: bool = False,
    after_id: int = 0,
    limit: int = 100,
) -> list[Person]:
    """A page of the accounts that `actor` may see, by id; only those of the bureaus that are named.

    The journal's entry is of the bureau if there is but one.
    """
    query = select(Person).where(Person.id > after_id).order_by(Person.id).limit(limit)
    scope = scope_of(session, actor, Permission.people_see)
    if scope is not None:
        query = query.where(Person.bureau_id.in_(scope))
    if bureau_ids is not None:
        query = query.where(Person.bureau_id.in_(bureau_ids))
    if not with_departed:
        query = query.where(Person.departed_at.is_(None))
    found = list(session.scalars(query))
    [only] = bureau_ids if bureau_ids is not None and len(bureau_ids) == 1 else [None]
    _record_list(session, actor, "people.list", found, bureau_id=only, at=at)
    return found


def get_person(session: Session, *, actor: Actor, login: str, at: datetime) -> Person:
    """One account; raises NotFound, also for who may not see the people of its bureau."""
    person = find_person_by_login(session, login=login)
    scope = scope_of(session, actor, Permission.people_see)
    is_self = person is not None and _is_self(actor, person.id)
    if person is None or not (is_self or scope is None or person.bureau_id in scope):
        raise NotFound(what_zh="人员", what_en="person", key=login)
    if not is_self:
        journal.append(
            session,
            actor=actor.journal_id,
            act="person.see",
            subject=f"person:{person.id}",
            bureau_id=person.bureau_id,
            at=at,
            personal=True,
        )
    return person


def list_holders(
    session: Session,
    *,
    actor: Actor,
    bureau_id: int,
    at: datetime,
    after_id: int = 0,
    limit: int = 100,
) -> list[tuple[RoleAssignment, Person]]:
    """A page of who holds roles at that very bureau now, by the assignment's id; raises Forbidden."""
    authorise(session, actor, Permission.roles_see, bureau_id=bureau_id)
    query = select(RoleAssignment, Person).join(Person, Person.id == RoleAssignment.person_id)
    query = query.where(RoleAssignment.bureau_id == bureau_id, RoleAssignment.valid_to.is_(None))
    query = query.where(RoleAssignment.id > after_id).order_by(RoleAssignment.id).limit(limit)
    found = [(assignment, person) for assignment, person in session.execute(query)]
    people = [person for _, person in found]
    _record_list(session, actor, "roles.list", people, bureau_id=bureau_id, at=at)
    return found


def look_at_contacts(session: Session, *, actor: Actor, system: System, at: datetime) -> str:
    """The contacts of a system, which name people; whoever may see the system may see them."""
    if system.contacts:
        journal.append(
            session,
            actor=actor.journal_id,
            act="system.see_contacts",
            subject=f"system:{system.id}",
            bureau_id=system.bureau_id,
            at=at,
            personal=True,
        )
    return system.contacts


def _record_list(
    session: Session,
    actor: Actor,
    act: str,
    people: Sequence[Person],
    *,
    bureau_id: int | None,
    at: datetime,
) -> None:
    others = [person.id for person in people if not _is_self(actor, person.id)]
    if others:
        journal.append(
            session,
            actor=actor.journal_id,
            act=act,
            subject="people",
            bureau_id=bureau_id,
            at=at,
            after={"person_ids": others},
            personal=True,
        )


def _is_self(actor: Actor, person_id: int) -> bool:
    return actor.kind == "person" and actor.id == person_id
