"""Use cases on roles: give one, end one, list them. What excludes what is said in identity/roles.py."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.errors import NotGivable, OwnRole, PersonDeparted, RoleHeld, SeparationViolated
from identity.models import Person, RoleAssignment
from identity.queries import list_chain_ids
from identity.roles import ROLE_NAMES, Permission, Role, find_excluding, givers_of
from identity.service.abolition import hold_bureau
from identity.service.access import authorise, load_roles, place_facts
from identity.service.people import ADMINISTRATORS_LOCK, lock_person, record_role, refuse_to_end_last
from infra import journal
from infra.database import serialise
from infra.errors import NotFound


def give_role(
    session: Session, *, actor: Actor, person_id: int, role: Role, bureau_id: int, at: datetime
) -> RoleAssignment:
    """Let a person hold `role` at the bureau and all below it.

    Both the bureau and the person's own bureau are within the giver's scope. The person's row is held, so
    that of two simultaneous assignments that exclude each other one is refused. Raises Forbidden, NotGivable,
    OwnRole, SeparationViolated, RoleHeld, PersonDeparted, BureauAbolished, NotFound.
    """
    authorise(session, actor, Permission.roles_give, bureau_id=bureau_id)
    hold_bureau(session, bureau_id)
    person = lock_person(session, person_id=person_id)
    _check_givable(session, actor, person, role, bureau_id)
    zh, en = ROLE_NAMES[role]
    if actor.kind == "person" and actor.id == person.id:
        raise OwnRole(role=role.value, role_zh=zh, role_en=en)
    if person.departed_at is not None:
        raise PersonDeparted(login=person.login)
    held = load_roles(session, person_id=person.id)
    if (role.value, bureau_id) in held:
        place = place_facts(session, bureau_id=bureau_id)
        raise RoleHeld(login=person.login, role=role.value, role_zh=zh, role_en=en, **place)
    if other := find_excluding(role, [name for name, _ in held]):
        held_zh, held_en = ROLE_NAMES[other]
        raise SeparationViolated(
            login=person.login,
            role=role.value,
            role_zh=zh,
            role_en=en,
            held=other.value,
            held_zh=held_zh,
            held_en=held_en,
        )
    return record_role(session, actor=actor, person=person, role=role, bureau_id=bureau_id, at=at)


def end_role(session: Session, *, actor: Actor, assignment_id: int, at: datetime) -> RoleAssignment:
    """End an assignment now; one that has ended already stays as it is.

    Raises Forbidden, NotGivable, LastAdministrator, NotFound.
    """
    assignment = session.get(RoleAssignment, assignment_id)
    if assignment is None:
        raise NotFound(what_zh="角色授予", what_en="role assignment", key=assignment_id)
    authorise(session, actor, Permission.roles_give, bureau_id=assignment.bureau_id)
    serialise(session, ADMINISTRATORS_LOCK)
    person = lock_person(session, person_id=assignment.person_id)
    session.refresh(assignment)
    role = Role(assignment.role)
    _check_givable(session, actor, person, role, assignment.bureau_id)
    if assignment.valid_to is not None:
        return assignment
    refuse_to_end_last(session, person=person, role=role)
    assignment.valid_to = max(at, assignment.valid_from)
    session.flush()
    journal.append(
        session,
        actor=actor.journal_id,
        act="role.end",
        subject=f"person:{person.id}",
        bureau_id=assignment.bureau_id,
        at=at,
        before={"role": role.value, "bureau_id": assignment.bureau_id},
    )
    return assignment


def get_role_of(session: Session, *, person: Person, assignment_id: int) -> RoleAssignment:
    """An assignment of that person, also one that has ended; raises NotFound, for another's too."""
    found = session.get(RoleAssignment, assignment_id)
    if found is None or found.person_id != person.id:
        raise NotFound(what_zh=f"{person.login} 的角色", what_en=f"role of {person.login}", key=assignment_id)
    return found


def list_roles(session: Session, *, person_id: int) -> list[RoleAssignment]:
    """The assignments a person holds now, oldest first."""
    query = select(RoleAssignment).where(
        RoleAssignment.person_id == person_id, RoleAssignment.valid_to.is_(None)
    )
    return list(session.scalars(query.order_by(RoleAssignment.id)))


def _check_givable(session: Session, actor: Actor, person: Person, role: Role, bureau_id: int) -> None:
    if actor.kind == "installation":
        return
    givers = givers_of(role)
    here = list_chain_ids(session, bureau_id=bureau_id)
    home = list_chain_ids(session, bureau_id=person.bureau_id)
    if any(name in givers and held_at in here and held_at in home for name, held_at in actor.roles):
        return
    zh, en = ROLE_NAMES[role]
    raise NotGivable(role=role.value, role_zh=zh, role_en=en, **place_facts(session, bureau_id=bureau_id))
