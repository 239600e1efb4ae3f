"""Signing in and out, and the sessions of browsers.

`sign_in` and `change_password` take the engine and use transactions of their own: an attempt is counted and
committed before its password is looked at, so that many guesses at once are no more than five, and no row is
held while argon2 works. A refused attempt stays counted although its caller gets an error.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from identity import passwords
from identity.actor import ANONYMOUS, Actor
from identity.errors import NotSignedIn, PasswordUnchanged, SignInRefused
from identity.models import Person, SignInSession
from identity.service.access import load_roles
from identity.service.people import end_sessions, find_person_by_login, lock_person
from infra import journal
from infra.database import reading, transaction

MAX_FAILURES = 5
LOCKED_FOR = timedelta(minutes=15)
IDLE_LIMIT = timedelta(minutes=30)
ABSOLUTE_LIMIT = timedelta(hours=12)
TOUCH_EVERY = timedelta(minutes=1)
SECRET_BYTES = 32


@dataclass(frozen=True)
class OpenedSession:
    """What the browser is given: the secret for its cookie, shown this once, and the secret for its forms."""

    secret: str
    csrf: str
    person_id: int
    must_change_password: bool
    expires_at: datetime


@dataclass(frozen=True)
class Resumed:
    """Who a session's secret stands for. Until a one-time password is changed the actor has no roles."""

    session_id: int
    actor: Actor
    csrf: str
    needs_touch: bool


@dataclass(frozen=True)
class _Attempt:
    person_id: int | None
    stored: str | None


def sign_in(engine: Engine, *, login: str, password: str, at: datetime) -> OpenedSession:
    """Open a session for whoever knows the password.

    Raises SignInRefused, the same and after the same time, for an unknown login, a wrong password, a departed
    person and an account locked by 5 failures in a row; 15 minutes after the fifth it is open again.
    """
    with transaction(engine) as session:
        person = find_person_by_login(session, login=login)
        attempt = _claim_attempt(session, person_id=person.id if person else None, at=at)
    matches = passwords.verify_password(attempt.stored, password)
    rehashed = (
        passwords.hash_password(password)
        if matches and passwords.needs_rehash(attempt.stored or "")
        else None
    )
    with transaction(engine) as session:
        settled = _settle_success(session, attempt, at=at) if matches else None
        if settled is not None:
            if rehashed is not None:
                settled.password_hash = rehashed
            return _open_session(session, settled, at=at)
        _journal_failure(session, attempt.person_id, act="sign_in.refused", at=at)
    raise _refusal()


def resume(session: Session, *, secret: str, at: datetime) -> Resumed:
    """Who the session belongs to; writes nothing. Raises NotSignedIn if it is unknown, idle or over."""
    row = session.execute(
        select(SignInSession, Person)
        .join(Person, Person.id == SignInSession.person_id)
        .where(SignInSession.digest == _digest(secret))
    ).one_or_none()
    if row is None or not _is_live(row[0], row[1], at):
        raise NotSignedIn()
    opened, person = row
    roles = () if person.must_change_password else load_roles(session, person_id=person.id)
    return Resumed(
        session_id=opened.id,
        actor=Actor(
            "person",
            person.id,
            person.name,
            person.bureau_id,
            roles=roles,
            must_change_password=person.must_change_password,
        ),
        csrf=opened.csrf,
        needs_touch=at - opened.seen_at >= TOUCH_EVERY,
    )


def touch_session(session: Session, *, session_id: int, at: datetime) -> None:
    """Note that the session is in use, at most once a minute."""
    session.execute(
        update(SignInSession)
        .where(SignInSession.id == session_id, SignInSession.seen_at <= at - TOUCH_EVERY)
        .values(seen_at=at)
        .execution_options(synchronize_session=False)
    )


def csrf_matches(resumed: Resumed, presented: str) -> bool:
    """Whether a form came from a page of this session."""
    return compare_digest(resumed.csrf.encode(), presented.encode())


def sign_out(session: Session, *, secret: str, at: datetime) -> None:
    """End the session of that secret; none is no error."""
    opened = session.scalar(
        select(SignInSession).where(SignInSession.digest == _digest(secret), SignInSession.ended_at.is_(None))
    )
    if opened is None:
        return
    opened.ended_at = at
    person = session.get_one(Person, opened.person_id)
    _journal(session, person, act="sign_in.end", at=at)


def change_password(engine: Engine, *, actor: Actor, old: str, new: str, at: datetime) -> None:
    """Replace the actor's own password and end all their sessions, this one too.

    A wrong old password counts as a failed sign-in. Raises SignInRefused, WeakPassword, PasswordRepeatsLogin,
    PasswordUnchanged, NotSignedIn for who is not a person.
    """
    if actor.kind != "person":
        raise NotSignedIn()
    with reading(engine) as session:
        login = session.get_one(Person, actor.id).login
    passwords.check_password(new, login=login)
    with transaction(engine) as session:
        attempt = _claim_attempt(session, person_id=actor.id, at=at)
    matches = passwords.verify_password(attempt.stored, old)
    unchanged = matches and passwords.verify_password(attempt.stored, new)
    new_hash = passwords.hash_password(new)
    with transaction(engine) as session:
        person = _settle_success(session, attempt, at=at) if matches else None
        if person is None:
            _journal_failure(session, actor.id, act="password.refused", at=at)
        elif not unchanged:
            person.password_hash = new_hash
            person.must_change_password = False
            person.revision += 1
            end_sessions(session, person_id=person.id, at=at)
            _journal(session, person, act="password.change", at=at)
    if person is None:
        raise _refusal()
    if unchanged:
        raise PasswordUnchanged()


def _claim_attempt(session: Session, *, person_id: int | None, at: datetime) -> _Attempt:
    """Count a failure beforehand; success takes it back. During a lock-out nothing is counted or compared."""
    if person_id is None:
        return _Attempt(None, None)
    person = lock_person(session, person_id=person_id)
    if person.departed_at is not None:
        return _Attempt(person.id, None)
    if person.locked_until is not None:
        if at < person.locked_until:
            return _Attempt(person.id, None)
        person.locked_until = None
        person.failed_sign_ins = 0
    person.failed_sign_ins += 1
    if person.failed_sign_ins >= MAX_FAILURES:
        person.locked_until = at + LOCKED_FOR
    return _Attempt(person.id, person.password_hash)


def _settle_success(session: Session, attempt: _Attempt, *, at: datetime) -> Person | None:
    """Clear the count of one who knew the password; None if they departed or it was changed meanwhile."""
    if attempt.person_id is None:
        return None
    person = lock_person(session, person_id=attempt.person_id)
    if person.departed_at is not None or person.password_hash != attempt.stored:
        return None
    person.failed_sign_ins = 0
    person.locked_until = None
    return person


def _open_session(session: Session, person: Person, *, at: datetime) -> OpenedSession:
    secret = secrets.token_urlsafe(SECRET_BYTES)
    opened = SignInSession(
        digest=_digest(secret),
        person_id=person.id,
        csrf=secrets.token_urlsafe(SECRET_BYTES),
        created_at=at,
        seen_at=at,
        expires_at=at + ABSOLUTE_LIMIT,
    )
    session.add(opened)
    _journal(session, person, act="sign_in", at=at)
    return OpenedSession(secret, opened.csrf, person.id, person.must_change_password, opened.expires_at)


def _is_live(opened: SignInSession, person: Person, at: datetime) -> bool:
    return (
        opened.ended_at is None
        and at < opened.expires_at
        and at - opened.seen_at < IDLE_LIMIT
        and person.departed_at is None
    )


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _refusal() -> SignInRefused:
    return SignInRefused(limit=MAX_FAILURES, minutes=int(LOCKED_FOR.total_seconds() // 60))


def _journal(session: Session, person: Person, *, act: str, at: datetime) -> None:
    who = f"person:{person.id}"
    journal.append(session, actor=who, act=act, subject=who, bureau_id=person.bureau_id, at=at)


def _journal_failure(session: Session, person_id: int | None, *, act: str, at: datetime) -> None:
    """Name the account that was aimed at; an unknown login not, since it may be a password typed astray."""
    person = session.get(Person, person_id) if person_id is not None else None
    is_locked = person is not None and person.locked_until is not None and at < person.locked_until
    journal.append(
        session,
        actor=ANONYMOUS,
        act=act,
        subject="login:unknown" if person is None else f"person:{person.id}",
        bureau_id=None if person is None else person.bureau_id,
        at=at,
        after={"locked": is_locked},
    )
