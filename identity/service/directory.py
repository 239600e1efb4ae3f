"""Looking people up; a look at somebody else's account is a row of the journal (PIPL, article 56)."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.models import Person
from identity.roles import Permission
from identity.service.access import scope_of
from infra import journal
from infra.errors import NotFound


def list_people(
    session: Session,
    *,
    actor: Actor,
    at: datetime,
    bureau_id: int | None = None,
    with_departed: bool = False,
    after_id: int = 0,
    limit: int = 100,
) -> list[Person]:
    """A page of the accounts that `actor` may see, by id; only those of one bureau if it is named."""
    query = select(Person).where(Person.id > after_id).order_by(Person.id).limit(limit)
    scope = scope_of(session, actor, Permission.people_see)
    if scope is not None:
        query = query.where(Person.bureau_id.in_(scope))
    if bureau_id is not None:
        query = query.where(Person.bureau_id == bureau_id)
    if not with_departed:
        query = query.where(Person.departed_at.is_(None))
    found = list(session.scalars(query))
    if others := [person.id for person in found if not _is_self(actor, person.id)]:
        journal.append(
            session,
            actor=actor.journal_id,
            act="people.list",
            subject="people",
            bureau_id=bureau_id,
            at=at,
            after={"person_ids": others},
            personal=True,
        )
    return found


def get_person(session: Session, *, actor: Actor, person_id: int, at: datetime) -> Person:
    """One account; raises NotFound, also for who may not see the people of its bureau."""
    person = session.get(Person, person_id)
    scope = scope_of(session, actor, Permission.people_see)
    is_self = _is_self(actor, person_id)
    if person is None or not (is_self or scope is None or person.bureau_id in scope):
        raise NotFound(what_zh="人员", what_en="person", key=person_id)
    if not is_self:
        journal.append(
            session,
            actor=actor.journal_id,
            act="person.see",
            subject=f"person:{person_id}",
            bureau_id=person.bureau_id,
            at=at,
            personal=True,
        )
    return person


def _is_self(actor: Actor, person_id: int) -> bool:
    return actor.kind == "person" and actor.id == person_id
