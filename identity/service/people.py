"""People's accounts: add, reset a password, depart. Roles are roles.py's, looking up directory.py's."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from identity.actor import INSTALLATION, Actor
from identity.errors import (
    InvalidLogin,
    InvalidName,
    LastAdministrator,
    LoginTaken,
    NoTree,
    PeopleExist,
    PersonDeparted,
    ProtectedAccount,
)
from identity.models import Person, RoleAssignment, SignInSession
from identity.names import text_fault
from identity.passwords import check_password, hash_password, make_one_time_password
from identity.queries import list_chain_ids, list_tops
from identity.roles import GIVES, ROLE_NAMES, SEPARATED, Permission, Role
from identity.service.abolition import hold_bureau
from identity.service.access import authorise, load_roles
from identity.service.history import closing
from infra import journal
from infra.database import locked, serialise
from infra.errors import NotFound

LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
INDISPENSABLE = (Role.system_admin, Role.security_admin)
ADMINISTRATORS_LOCK = "identity.administrators"


@dataclass(frozen=True)
class Account:
    """A person and the one-time password to hand to them (None: they have one); it is kept nowhere else."""

    person: Person
    one_time_password: str | None


def add_person(
    session: Session,
    *,
    actor: Actor,
    login: str,
    name: str,
    bureau_id: int,
    at: datetime,
    password: str | None = None,
) -> Account:
    """Make an account without roles, with a one-time password that must be changed at the first sign-in.

    `password` is for people whose password is known beforehand, as in the sample city; it can stay.
    Raises Forbidden, InvalidLogin, InvalidName, LoginTaken, BureauAbolished, WeakPassword.
    """
    authorise(session, actor, Permission.people_edit, bureau_id=bureau_id)
    hold_bureau(session, bureau_id)
    login = normalise_login(login)
    if not LOGIN.fullmatch(login):
        raise InvalidLogin()
    if password is not None:
        check_password(password, login=login)
    if session.scalar(select(Person.id).where(Person.login == login)) is not None:
        raise LoginTaken(login=login)
    one_time = make_one_time_password() if password is None else None
    person = Person(
        login=login,
        name=clean_name(name),
        bureau_id=bureau_id,
        password_hash=hash_password(password or one_time or ""),
        must_change_password=one_time is not None,
        failed_sign_ins=0,
        created_at=at,
        revision=1,
    )
    session.add(person)
    try:
        session.flush()
    except IntegrityError as error:
        raise LoginTaken(login=login) from error
    journal.append(
        session,
        actor=actor.journal_id,
        act="person.add",
        subject=f"person:{person.id}",
        bureau_id=bureau_id,
        at=at,
        after={"login": login, "name": person.name, "bureau_id": bureau_id},
        personal=True,
    )
    return Account(person, one_time)


def reset_password(session: Session, *, actor: Actor, person_id: int, at: datetime) -> str:
    """Give a person a new one-time password, end their sessions and any lock-out; return the password.

    Nobody takes over a fellow administrator so: their passwords are reset at the machine's console alone.
    Raises Forbidden, ProtectedAccount, PersonDeparted, NotFound.
    """
    person = lock_person(session, person_id=person_id)
    _check_manageable(session, actor, person)
    if person.departed_at is not None:
        raise PersonDeparted(login=person.login)
    for role, _ in load_roles(session, person_id=person.id):
        if role in SEPARATED and actor.kind != "installation":
            _raise_protected(person, Role(role))
    one_time = make_one_time_password()
    person.password_hash = hash_password(one_time)
    person.must_change_password = True
    person.failed_sign_ins = 0
    person.locked_until = None
    person.revision += 1
    ended = end_sessions(session, person_id=person.id, at=at)
    journal.append(
        session,
        actor=actor.journal_id,
        act="person.reset_password",
        subject=f"person:{person.id}",
        bureau_id=person.bureau_id,
        at=at,
        after={"sessions_ended": ended},
    )
    return one_time


def depart_person(session: Session, *, actor: Actor, person_id: int, at: datetime) -> Person:
    """Close an account for good: its sessions and roles end, the tokens the person issued stay good.

    Raises Forbidden, ProtectedAccount, PersonDeparted, LastAdministrator, NotFound.
    """
    serialise(session, ADMINISTRATORS_LOCK)
    person = lock_person(session, person_id=person_id)
    _check_manageable(session, actor, person)
    if person.departed_at is not None:
        raise PersonDeparted(login=person.login)
    roles = load_roles(session, person_id=person.id)
    for role, _ in roles:
        refuse_to_end_last(session, person=person, role=Role(role))
    session.execute(
        update(RoleAssignment)
        .where(RoleAssignment.person_id == person.id, RoleAssignment.valid_to.is_(None))
        .values(valid_to=closing(RoleAssignment, at))
    )
    ended = end_sessions(session, person_id=person.id, at=at)
    person.departed_at = at
    person.password_hash = None
    person.revision += 1
    journal.append(
        session,
        actor=actor.journal_id,
        act="person.depart",
        subject=f"person:{person.id}",
        bureau_id=person.bureau_id,
        at=at,
        before={"roles": [list(role) for role in roles]},
        after={"sessions_ended": ended},
        personal=True,
    )
    return person


def appoint_first_administrators(
    session: Session, *, system_admin: tuple[str, str], security_admin: tuple[str, str], at: datetime
) -> tuple[Account, Account]:
    """Make the first system and security administrators, each (login, name), at the top of the tree.

    Raises PeopleExist if there is any account, NoTree unless the tree has exactly one top, and as add_person.
    """
    serialise(session, ADMINISTRATORS_LOCK)
    if count := session.scalar(select(func.count()).select_from(Person)):
        raise PeopleExist(count=count)
    tops = list_tops(session)
    if len(tops) != 1:
        raise NoTree(count=len(tops))
    accounts = []
    for (login, name), role in ((system_admin, Role.system_admin), (security_admin, Role.security_admin)):
        account = add_person(session, actor=INSTALLATION, login=login, name=name, bureau_id=tops[0].id, at=at)
        record_role(
            session, actor=INSTALLATION, person=account.person, role=role, bureau_id=tops[0].id, at=at
        )
        accounts.append(account)
    return accounts[0], accounts[1]


def record_role(
    session: Session, *, actor: Actor, person: Person, role: Role, bureau_id: int, at: datetime
) -> RoleAssignment:
    """Write an assignment and journal it; who may do so was decided before (service/roles.py)."""
    assignment = RoleAssignment(person_id=person.id, role=role.value, bureau_id=bureau_id, valid_from=at)
    session.add(assignment)
    session.flush()
    journal.append(
        session,
        actor=actor.journal_id,
        act="role.give",
        subject=f"person:{person.id}",
        bureau_id=bureau_id,
        at=at,
        after={"role": role.value, "bureau_id": bureau_id},
    )
    return assignment


def find_person_by_login(session: Session, *, login: str) -> Person | None:
    """The account of that login, also of a departed person."""
    wanted = normalise_login(login)
    return session.scalar(select(Person).where(Person.login == wanted)) if LOGIN.fullmatch(wanted) else None


def lock_person(session: Session, *, person_id: int) -> Person:
    """The person's row, fresh and held until the transaction's end; raises NotFound."""
    person = session.scalar(locked(select(Person).where(Person.id == person_id), key_share=True))
    if person is None:
        raise NotFound(what_zh="人员", what_en="person", key=person_id)
    return person


def end_sessions(session: Session, *, person_id: int, at: datetime) -> int:
    """Sign a person out everywhere; return how many sessions that ended."""
    ended = session.execute(
        update(SignInSession)
        .where(SignInSession.person_id == person_id, SignInSession.ended_at.is_(None))
        .values(ended_at=at)
        .returning(SignInSession.id)
    )
    return len(ended.all())


def refuse_to_end_last(session: Session, *, person: Person, role: Role) -> None:
    """Raise LastAdministrator if nobody else holds that indispensable role; needs ADMINISTRATORS_LOCK."""
    if role not in INDISPENSABLE:
        return
    others = select(func.count()).where(
        RoleAssignment.role == role.value,
        RoleAssignment.valid_to.is_(None),
        RoleAssignment.person_id != person.id,
    )
    if not session.scalar(others):
        zh, en = ROLE_NAMES[role]
        raise LastAdministrator(login=person.login, role=role.value, role_zh=zh, role_en=en)


def normalise_login(login: str) -> str:
    """Logins are compared in NFKC and lower case, without spaces around."""
    return unicodedata.normalize("NFKC", login).strip().lower()


def clean_name(name: str) -> str:
    """A name or label in NFC without spaces around; raises InvalidName for odd lengths and hidden marks."""
    cleaned = unicodedata.normalize("NFC", name).strip()
    if text_fault(cleaned, field="name") is not None:
        raise InvalidName()
    return cleaned


def _check_manageable(session: Session, actor: Actor, person: Person) -> None:
    """Whoever manages an account has a say over every role it holds: the role itself and its place."""
    authorise(session, actor, Permission.people_edit, bureau_id=person.bureau_id)
    if actor.kind == "installation":
        return
    as_system_admin = _holds(session, actor, Role.system_admin, person.bureau_id)
    manager = Role.system_admin if as_system_admin else Role.bureau_admin
    manageable = frozenset(Role) if as_system_admin else GIVES[Role.bureau_admin]
    for role, bureau_id in load_roles(session, person_id=person.id):
        if role not in manageable or not _holds(session, actor, manager, bureau_id):
            _raise_protected(person, Role(role))


def _holds(session: Session, actor: Actor, role: Role, bureau_id: int) -> bool:
    held_at = {at for name, at in actor.roles if name == role}
    return not held_at.isdisjoint(list_chain_ids(session, bureau_id=bureau_id))


def _raise_protected(person: Person, role: Role) -> None:
    zh, en = ROLE_NAMES[role]
    raise ProtectedAccount(login=person.login, role=role.value, role_zh=zh, role_en=en)
