"""Signing in, sessions and their limits, lock-out, and changing a password."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Barrier

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, func, select

from identity import passwords
from identity.actor import INSTALLATION, Actor
from identity.errors import NotSignedIn, PasswordUnchanged, SignInRefused, WeakPassword
from identity.models import Person, SignInSession
from identity.service.people import add_person, depart_person, reset_password
from identity.service.sign_in import (
    change_password,
    csrf_matches,
    resume,
    sign_in,
    sign_out,
    touch_session,
)
from infra.database import reading, transaction
from infra.errors import SijiError
from infra.journal import JournalEntry
from tests.factories import make_bureau, make_holder
from tests.hashing import REAL

PASSWORD = "correct horse battery"
NEW_PASSWORD = "staple horse correct"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def person(database: Engine) -> Person:
    with transaction(database) as session:
        bureau = make_bureau(session)
        return make_holder(
            session,
            bureau=bureau,
            login="zhangsan",
            roles=(("developer", bureau),),
            password_hash=passwords.hash_password(PASSWORD),
        )


def attempt(database: Engine, password: str, at: datetime, login: str = "zhangsan") -> bool:
    try:
        sign_in(database, login=login, password=password, at=at)
    except SignInRefused:
        return False
    return True


def fresh(database: Engine, person: Person) -> Person:
    with reading(database) as session:
        found = session.get_one(Person, person.id)
        session.expunge_all()
        return found


def is_live(database: Engine, secret: str, at: datetime) -> bool:
    with reading(database) as session:
        try:
            resume(session, secret=secret, at=at)
        except NotSignedIn:
            return False
        return True


def test_a_session_carries_the_person_and_their_roles(database: Engine, person: Person, at: datetime) -> None:
    opened = sign_in(database, login="ZhangSan ", password=PASSWORD, at=at)
    with reading(database) as session:
        resumed = resume(session, secret=opened.secret, at=at + 30 * timedelta(seconds=1))
        row = session.scalars(select(SignInSession)).one()
        assert row.digest == sha256(opened.secret.encode()).hexdigest()
    roles = (("developer", person.bureau_id),)
    assert resumed.actor == Actor("person", person.id, person.name, person.bureau_id, roles=roles)
    assert not resumed.needs_touch
    assert len(opened.secret) >= 43
    assert csrf_matches(resumed, opened.csrf)
    assert not csrf_matches(resumed, opened.secret)
    assert not csrf_matches(resumed, "错")


def test_another_secret_is_nobody(database: Engine, person: Person, at: datetime) -> None:
    opened = sign_in(database, login="zhangsan", password=PASSWORD, at=at)
    for secret in ("", "x", opened.secret + "x", opened.csrf, "\ud800"):
        assert not is_live(database, secret, at)


def test_a_session_ends_idle_or_old(database: Engine, person: Person, at: datetime) -> None:
    opened = sign_in(database, login="zhangsan", password=PASSWORD, at=at)
    assert is_live(database, opened.secret, at + 29 * MINUTE)
    assert not is_live(database, opened.secret, at + 30 * MINUTE)
    now = at
    while now < at + timedelta(hours=12) - 20 * MINUTE:
        now += 20 * MINUTE
        with transaction(database) as session:
            resumed = resume(session, secret=opened.secret, at=now)
            assert resumed.needs_touch
            touch_session(session, session_id=resumed.session_id, at=now)
    assert is_live(database, opened.secret, at + timedelta(hours=12) - MINUTE)
    assert not is_live(database, opened.secret, at + timedelta(hours=12))


def test_use_is_noted_once_a_minute(database: Engine, person: Person, at: datetime) -> None:
    opened = sign_in(database, login="zhangsan", password=PASSWORD, at=at)
    for seconds, seen in ((59, 0), (60, 60), (90, 60), (120, 120)):
        with transaction(database) as session:
            [session_id] = session.scalars(select(SignInSession.id))
            touch_session(session, session_id=session_id, at=at + timedelta(seconds=seconds))
            found = session.scalars(select(SignInSession.seen_at)).one()
        assert found == at + timedelta(seconds=seen)
    assert is_live(database, opened.secret, at + 31 * MINUTE)


def test_signing_out_ends_that_session_alone(database: Engine, person: Person, at: datetime) -> None:
    first, second = (sign_in(database, login="zhangsan", password=PASSWORD, at=at) for _ in range(2))
    assert first.secret != second.secret
    for _ in range(2):
        with transaction(database) as session:
            sign_out(session, secret=first.secret, at=at)
    assert not is_live(database, first.secret, at)
    assert is_live(database, second.secret, at)


def test_five_failures_lock_for_fifteen_minutes_and_not_for_ever(
    database: Engine, person: Person, at: datetime
) -> None:
    for _ in range(4):
        assert not attempt(database, "wrong", at)
    assert attempt(database, PASSWORD, at)
    assert fresh(database, person).failed_sign_ins == 0
    for second in range(5):
        assert not attempt(database, "wrong", at + timedelta(seconds=second))
    assert not attempt(database, PASSWORD, at + 5 * MINUTE)
    assert not attempt(database, PASSWORD, at + 15 * MINUTE)
    assert attempt(database, PASSWORD, at + 15 * MINUTE + timedelta(seconds=5))


def test_guesses_during_a_lock_out_do_not_prolong_it(database: Engine, person: Person, at: datetime) -> None:
    for minute in range(15):
        assert not attempt(database, "wrong", at + minute * MINUTE)
    locked_until = fresh(database, person).locked_until
    assert locked_until == at + 19 * MINUTE
    assert attempt(database, PASSWORD, at + 19 * MINUTE)


def test_after_a_lock_out_there_are_five_attempts_again(
    database: Engine, person: Person, at: datetime
) -> None:
    for _ in range(5):
        attempt(database, "wrong", at)
    for _ in range(4):
        attempt(database, "wrong", at + 20 * MINUTE)
    assert attempt(database, PASSWORD, at + 20 * MINUTE)


def test_many_guesses_at_once_are_no_more_than_five(
    database: Engine, person: Person, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str | None] = []
    verify = passwords.verify_password

    def watch(stored: str | None, password: str) -> bool:
        compared.append(stored)
        return verify(stored, password)

    monkeypatch.setattr(passwords, "verify_password", watch)
    barrier = Barrier(8)

    def guess(number: int) -> bool:
        barrier.wait(60)
        return attempt(database, f"guess {number}", at)

    with ThreadPoolExecutor(8) as threads:
        assert not any(threads.map(guess, range(24)))
    assert len(compared) == 24
    assert len([stored for stored in compared if stored is not None]) == 5
    assert fresh(database, person).locked_until == at + 15 * MINUTE


def test_unknown_departed_locked_and_wrong_are_one_answer_after_the_same_work(
    database: Engine, person: Person, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction(database) as session:
        bureau = make_bureau(session)
        gone = make_holder(
            session, bureau=bureau, login="gone", password_hash=passwords.hash_password(PASSWORD)
        )
        depart_person(session, actor=INSTALLATION, person_id=gone.id, at=at)
        locked = make_holder(
            session, bureau=bureau, login="locked", password_hash=passwords.hash_password(PASSWORD)
        )
        locked.locked_until = at + MINUTE
        make_holder(session, bureau=bureau, login="never")
    worked: list[str] = []

    class Watching(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
            worked.append(str(hash).split("$")[3])
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "HASHER", Watching(time_cost=1, memory_cost=8, parallelism=1))
    refusals = set()
    tries = [
        ("zhangsan", "wrong"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("locked", PASSWORD),
        ("never", ""),
        ("\ud800", "\ud800"),
        ("zhangsan", "x" * 100_000),
    ]
    for login, password in tries:
        with pytest.raises(SignInRefused) as refusal:
            sign_in(database, login=login, password=password, at=at)
        refusals.add((refusal.value.message("zh"), refusal.value.message("en"), str(refusal.value.facts)))
    assert len(refusals) == 1
    assert worked == ["m=8,t=1,p=1"] * len(tries)


def test_the_journal_has_successes_and_failures_and_no_password(
    database: Engine, person: Person, at: datetime
) -> None:
    attempt(database, "wrong-and-secret", at)
    attempt(database, "wrong-and-secret", at, login="secret-typed-astray")
    opened = sign_in(database, login="zhangsan", password=PASSWORD, at=at)
    with transaction(database) as session:
        sign_out(session, secret=opened.secret, at=at)
    with reading(database) as session:
        entries = session.scalars(select(JournalEntry).order_by(JournalEntry.id)).all()
        text = " ".join(str(vars(entry)) for entry in entries)
        who = f"person:{person.id}"
        assert [(entry.actor, entry.act, entry.subject) for entry in entries] == [
            ("anonymous", "sign_in.refused", who),
            ("anonymous", "sign_in.refused", "login:unknown"),
            (who, "sign_in", who),
            (who, "sign_in.end", who),
        ]
    assert "secret" not in text
    assert PASSWORD not in text
    assert opened.secret not in text


def test_composed_and_decomposed_passwords_are_the_same(
    database: Engine, person: Person, at: datetime
) -> None:
    with transaction(database) as session:
        session.get_one(Person, person.id).password_hash = passwords.hash_password("Ｃafe\u0301-政务云平台-1")
    assert attempt(database, "Caf\u00e9-政务云平台-1", at)


def test_an_outdated_hash_is_renewed_at_sign_in(
    database: Engine, person: Person, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fresh(database, person).password_hash
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert not attempt(database, "wrong", at)
    assert fresh(database, person).password_hash == before
    assert attempt(database, PASSWORD, at)
    after = fresh(database, person).password_hash
    assert after is not None
    assert "m=16,t=2,p=1" in after
    assert attempt(database, PASSWORD, at)
    assert fresh(database, person).password_hash == after


def test_a_one_time_password_opens_nothing_but_its_change(
    database: Engine, person: Person, at: datetime
) -> None:
    with transaction(database) as session:
        one_time = reset_password(session, actor=INSTALLATION, person_id=person.id, at=at)
    assert not attempt(database, PASSWORD, at)
    opened = sign_in(database, login="zhangsan", password=one_time, at=at)
    assert opened.must_change_password
    with reading(database) as session:
        resumed = resume(session, secret=opened.secret, at=at)
    assert resumed.actor.must_change_password
    assert resumed.actor.roles == ()
    change_password(database, actor=resumed.actor, old=one_time, new=NEW_PASSWORD, at=at)
    assert not is_live(database, opened.secret, at)
    reopened = sign_in(database, login="zhangsan", password=NEW_PASSWORD, at=at)
    with reading(database) as session:
        assert resume(session, secret=reopened.secret, at=at).actor.roles == (
            ("developer", person.bureau_id),
        )


def test_a_changed_password_ends_all_sessions(database: Engine, person: Person, at: datetime) -> None:
    opened = [sign_in(database, login="zhangsan", password=PASSWORD, at=at) for _ in range(2)]
    actor = Actor("person", person.id, person.name, person.bureau_id)
    change_password(database, actor=actor, old=PASSWORD, new=NEW_PASSWORD, at=at)
    assert not any(is_live(database, one.secret, at) for one in opened)
    assert not attempt(database, PASSWORD, at)
    assert attempt(database, NEW_PASSWORD, at)


def test_bad_changes_are_refused_and_wrong_old_passwords_count(
    database: Engine, person: Person, at: datetime
) -> None:
    opened = sign_in(database, login="zhangsan", password=PASSWORD, at=at)
    actor = Actor("person", person.id, person.name, person.bureau_id)
    with pytest.raises(WeakPassword):
        change_password(database, actor=actor, old=PASSWORD, new="eleven char", at=at)
    with pytest.raises(PasswordUnchanged):
        change_password(database, actor=actor, old=PASSWORD, new=PASSWORD, at=at)
    with pytest.raises(NotSignedIn):
        change_password(database, actor=Actor("service", 1, "系统", 1), old=PASSWORD, new=NEW_PASSWORD, at=at)
    for _ in range(5):
        with pytest.raises(SignInRefused):
            change_password(database, actor=actor, old="wrong", new=NEW_PASSWORD, at=at)
    with pytest.raises(SignInRefused):
        change_password(database, actor=actor, old=PASSWORD, new=NEW_PASSWORD, at=at)
    assert is_live(database, opened.secret, at)
    assert attempt(database, PASSWORD, at + 15 * MINUTE)


def test_a_password_changed_while_it_is_being_compared_opens_nothing(
    database: Engine, person: Person, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = passwords.verify_password

    def slow(stored: str | None, password: str) -> bool:
        matches = verify(stored, password)
        with transaction(database) as session:
            reset_password(session, actor=INSTALLATION, person_id=person.id, at=at)
        return matches

    monkeypatch.setattr(passwords, "verify_password", slow)
    assert not attempt(database, PASSWORD, at)
    with reading(database) as session:
        assert session.scalar(select(func.count()).select_from(SignInSession)) == 0


def test_signing_in_works_on_sqlite_too(sqlite_database: Engine, at: datetime) -> None:
    with transaction(sqlite_database) as session:
        bureau = make_bureau(session)
        account = add_person(
            session,
            actor=INSTALLATION,
            login="lisi",
            name="李四",
            bureau_id=bureau.id,
            at=at,
            password=PASSWORD,
        )
    assert account.one_time_password is None
    for _ in range(5):
        with pytest.raises(SijiError):
            sign_in(sqlite_database, login="lisi", password="wrong", at=at)
    later = at + 15 * MINUTE
    opened = sign_in(sqlite_database, login="lisi", password=PASSWORD, at=later)
    assert not opened.must_change_password
    assert opened.expires_at == later + timedelta(hours=12)
    assert is_live(sqlite_database, opened.secret, later)


def test_the_real_parameters_are_those_of_rfc_9106(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", REAL)
    assert passwords.hash_password(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")
