"""Tokens of systems' service accounts: their life from issue to the end, and who may decide it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from threading import Barrier

import pytest
from sqlalchemy import Engine, select

from identity.actor import INSTALLATION, Actor
from identity.errors import (
    Forbidden,
    InvalidDatasets,
    InvalidExpiry,
    InvalidName,
    InvalidOverlap,
    InvalidScopes,
    SystemRetired,
    TokenEnded,
    TokenRefused,
)
from identity.models import Bureau, System, Token
from identity.roles import Permission
from identity.service.access import may
from identity.service.people import depart_person
from identity.service.presenting import present_token, touch_token
from identity.service.tokens import IssuedToken, issue_token, list_tokens, revoke_token, rotate_token
from infra.clock import city_date, city_midnight
from infra.database import reading, transaction
from infra.errors import NotFound, SijiError
from infra.journal import JournalEntry
from tests.factories import make_actor, make_bureau, make_system

DAY = timedelta(days=1)


def last_of(at: datetime) -> date:
    """The last day of a token of 120 days that is issued at `at`."""
    return city_date(at) + 120 * DAY


@dataclass
class Place:
    county: Bureau
    beside: Bureau
    system: System
    admin: Actor


@pytest.fixture
def place(database: Engine) -> Place:
    with transaction(database) as session:
        city = make_bureau(session)
        county = make_bureau(session, parent=city, level="county")
        beside = make_bureau(session, parent=city, level="county")
        system = make_system(session, bureau=county)
        return Place(county, beside, system, make_actor(session, bureau=county, role="bureau_admin"))


def issue(
    database: Engine,
    place: Place,
    at: datetime,
    *,
    actor: Actor | None = None,
    label: str = "数据对接",
    scopes: tuple[str, ...] = ("datasets:pull", "requests:read"),
    datasets: tuple[str, ...] | None = None,
    expires_on: date | None = None,
) -> IssuedToken:
    with transaction(database) as session:
        return issue_token(
            session,
            actor=actor or place.admin,
            system_id=place.system.id,
            label=label,
            scopes=scopes,
            datasets=datasets,
            expires_on=expires_on or last_of(at),
            at=at,
        )


def is_good(database: Engine, text: str, at: datetime) -> bool:
    with reading(database) as session:
        try:
            present_token(session, text=text, at=at)
        except TokenRefused:
            return False
        return True


def test_a_token_stands_for_its_system(database: Engine, place: Place, at: datetime) -> None:
    issued = issue(database, place, at, datasets=("b", "a", "a"))
    prefix, number, secret = issued.text.split("_", 2)
    assert (prefix, int(number)) == ("siji", issued.token.id)
    assert len(secret) >= 43
    with reading(database) as session:
        stored = session.scalars(select(Token)).one()
        assert stored.digest == sha256(secret.encode()).hexdigest()
        assert secret not in str(vars(stored))
        actor = present_token(session, text=issued.text, at=at).actor
        assert actor.journal_id == f"token:{issued.token.id}"
        assert (actor.kind, actor.system_id, actor.bureau_id) == ("service", place.system.id, place.county.id)
        assert actor.scopes == ("datasets:pull", "requests:read")
        assert actor.datasets == ("a", "b")
        assert may(session, actor, Permission.datasets_pull, bureau_id=place.county.id)
        assert not may(session, actor, Permission.datasets_pull, bureau_id=place.beside.id)
        assert not may(session, actor, Permission.datasets_publish, bureau_id=place.county.id)


def test_without_a_list_it_covers_every_dataset(database: Engine, place: Place, at: datetime) -> None:
    issued = issue(database, place, at)
    with reading(database) as session:
        actor = present_token(session, text=issued.text, at=at).actor
    assert actor.datasets is None
    assert actor.covers_dataset("anything")


def test_any_other_text_is_refused(database: Engine, place: Place, at: datetime) -> None:
    first, second = issue(database, place, at), issue(database, place, at)
    _, number, secret = first.text.split("_", 2)
    others = [
        "",
        "siji",
        f"siji_{number}",
        f"siji_{number}_",
        f"siji_{number}_{secret}x",
        f"siji_{second.token.id}_{secret}",
        f"siji_{number}_{first.token.digest}",
        f"SIJI_{number}_{secret}",
        f"siji_-{number}_{secret}",
        f"siji_{'9' * 18}_{secret}",
        f"siji_{'9' * 30}_{secret}",
        f"siji_²_{secret}",
        f"siji_{number}_\ud800",
    ]
    assert [text for text in others if is_good(database, text, at)] == []
    assert is_good(database, first.text, at)


def test_it_is_good_until_the_end_of_its_last_day_in_the_city(
    database: Engine, place: Place, at: datetime
) -> None:
    issued = issue(database, place, at)
    end = city_midnight(last_of(at) + DAY)
    assert is_good(database, issued.text, end - timedelta(seconds=1))
    assert not is_good(database, issued.text, end)


def test_expiry_is_from_today_to_400_days(database: Engine, place: Place, at: datetime) -> None:
    today = city_date(at)
    for days in (0, 400):
        issue(database, place, at, expires_on=today + days * DAY)
    for days in (-1, 401):
        with pytest.raises(InvalidExpiry) as refusal:
            issue(database, place, at, expires_on=today + days * DAY)
        assert (today + 400 * DAY).isoformat() in refusal.value.message("zh")


def test_bad_tokens_are_refused(database: Engine, place: Place, at: datetime) -> None:
    for scopes in ((), ("datasets:pull", "roles:give"), ("requests:submit",)):
        with pytest.raises(InvalidScopes):
            issue(database, place, at, scopes=scopes)
    for datasets in ((), (" ",), tuple(str(n) for n in range(201))):
        with pytest.raises(InvalidDatasets):
            issue(database, place, at, datasets=datasets)
    with pytest.raises(InvalidName):
        issue(database, place, at, label="")
    with reading(database) as session:
        assert session.scalars(select(Token)).all() == []


def test_only_who_manages_the_bureau_issues(database: Engine, place: Place, at: datetime) -> None:
    with transaction(database) as session:
        beside = make_actor(session, bureau=place.beside, role="bureau_admin")
        developer = make_actor(session, bureau=place.county, role="developer")
    service = Actor("service", 1, "系统", place.county.id, scopes=("datasets:pull",))
    for actor in (beside, developer, service, INSTALLATION):
        with pytest.raises(Forbidden):
            issue(database, place, at, actor=actor)


def test_a_retired_system_has_no_tokens(database: Engine, place: Place, at: datetime) -> None:
    issued = issue(database, place, at)
    with transaction(database) as session:
        session.get_one(System, place.system.id).retired_at = at
    assert not is_good(database, issued.text, at)
    with pytest.raises(SystemRetired):
        issue(database, place, at)


def test_a_token_outlives_who_issued_it_and_follows_its_system(
    database: Engine, place: Place, at: datetime
) -> None:
    issued = issue(database, place, at)
    with transaction(database) as session:
        depart_person(session, actor=INSTALLATION, person_id=place.admin.id, at=at)
        session.get_one(System, place.system.id).bureau_id = place.beside.id
    with reading(database) as session:
        assert present_token(session, text=issued.text, at=at + DAY).actor.bureau_id == place.beside.id


def test_rotation_overlaps_for_seven_days(database: Engine, place: Place, at: datetime) -> None:
    old = issue(database, place, at, datasets=("a",))
    with transaction(database) as session:
        new = rotate_token(
            session, actor=place.admin, token_id=old.token.id, expires_on=last_of(at) + 90 * DAY, at=at
        )
    assert new.text != old.text
    assert (new.token.label, new.token.scopes, new.token.datasets, new.token.rotated_from) == (
        "数据对接",
        ["datasets:pull", "requests:read"],
        ["a"],
        old.token.id,
    )
    assert is_good(database, old.text, at + 7 * DAY - timedelta(seconds=1))
    assert not is_good(database, old.text, at + 7 * DAY)
    assert is_good(database, new.text, city_midnight(last_of(at) + 90 * DAY))
    for token_id in (old.token.id,):
        with pytest.raises(TokenEnded), transaction(database) as session:
            rotate_token(session, actor=place.admin, token_id=token_id, expires_on=last_of(at), at=at)


def test_an_overlap_never_prolongs_a_token(database: Engine, place: Place, at: datetime) -> None:
    old = issue(database, place, at, expires_on=city_date(at) + 2 * DAY)
    with transaction(database) as session:
        rotate_token(
            session, actor=place.admin, token_id=old.token.id, expires_on=last_of(at), at=at, overlap_days=30
        )
    assert is_good(database, old.text, at + 2 * DAY)
    assert not is_good(database, old.text, at + 3 * DAY)


def test_no_overlap_ends_the_old_one_at_once(database: Engine, place: Place, at: datetime) -> None:
    old = issue(database, place, at)
    for days in (-1, 31):
        with pytest.raises(InvalidOverlap), transaction(database) as session:
            rotate_token(
                session,
                actor=place.admin,
                token_id=old.token.id,
                expires_on=last_of(at),
                at=at,
                overlap_days=days,
            )
    with transaction(database) as session:
        rotate_token(
            session, actor=place.admin, token_id=old.token.id, expires_on=last_of(at), at=at, overlap_days=0
        )
    assert not is_good(database, old.text, at)


def test_two_simultaneous_rotations_make_one_successor(database: Engine, place: Place, at: datetime) -> None:
    old = issue(database, place, at)
    barrier = Barrier(2)

    def rotate(_: int) -> type[SijiError] | None:
        try:
            with transaction(database) as session:
                barrier.wait(60)
                rotate_token(session, actor=place.admin, token_id=old.token.id, expires_on=last_of(at), at=at)
        except SijiError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(rotate, range(2)))
    assert sorted(outcomes, key=str) == sorted([TokenEnded, None], key=str)
    with reading(database) as session:
        assert len(session.scalars(select(Token).where(Token.rotated_from == old.token.id)).all()) == 1


def test_revocation_is_at_once_and_for_good(database: Engine, place: Place, at: datetime) -> None:
    issued, other = issue(database, place, at), issue(database, place, at)
    with transaction(database) as session:
        guard = make_actor(session, bureau=place.county, role="security_admin")
        beside = make_actor(session, bureau=place.beside, role="bureau_admin")
        with pytest.raises(Forbidden):
            revoke_token(session, actor=beside, token_id=issued.token.id, at=at)
        revoke_token(session, actor=guard, token_id=issued.token.id, at=at)
        revoke_token(session, actor=guard, token_id=issued.token.id, at=at + DAY)
        assert session.get_one(Token, issued.token.id).revoked_at == at
        with pytest.raises(NotFound):
            revoke_token(session, actor=guard, token_id=999, at=at)
        with pytest.raises(TokenEnded):
            rotate_token(session, actor=place.admin, token_id=issued.token.id, expires_on=last_of(at), at=at)
    assert not is_good(database, issued.text, at)
    assert is_good(database, other.text, at)


def test_last_seen_is_written_once_a_minute(database: Engine, place: Place, at: datetime) -> None:
    issued = issue(database, place, at)
    for seconds, due, seen in ((0, True, 0), (59, False, 0), (60, True, 60), (61, False, 60)):
        now = at + timedelta(seconds=seconds)
        with transaction(database) as session:
            presented = present_token(session, text=issued.text, at=now)
            assert presented.needs_touch is due
            touch_token(session, token_id=presented.token_id, at=now)
        with reading(database) as session:
            assert session.get_one(Token, issued.token.id).seen_at == at + timedelta(seconds=seen)


def test_the_journal_knows_every_act_and_no_secret(database: Engine, place: Place, at: datetime) -> None:
    issued = issue(database, place, at)
    with transaction(database) as session:
        new = rotate_token(
            session, actor=place.admin, token_id=issued.token.id, expires_on=last_of(at), at=at
        )
        revoke_token(session, actor=place.admin, token_id=new.token.id, at=at)
    with reading(database) as session:
        entries = session.scalars(select(JournalEntry).order_by(JournalEntry.id)).all()
        assert [(entry.actor, entry.act, entry.subject) for entry in entries] == [
            (place.admin.journal_id, "token.issue", f"token:{issued.token.id}"),
            (place.admin.journal_id, "token.rotate", f"token:{new.token.id}"),
            (place.admin.journal_id, "token.revoke", f"token:{new.token.id}"),
        ]
        text = " ".join(str(vars(entry)) for entry in entries)
    assert issued.text.split("_", 2)[2] not in text
    assert issued.token.digest not in text


def test_lists_show_tokens_to_who_may_see_them(database: Engine, place: Place, at: datetime) -> None:
    first, second = issue(database, place, at), issue(database, place, at)
    with transaction(database) as session:
        developer = make_actor(session, bureau=place.county, role="developer")
        beside = make_actor(session, bureau=place.beside, role="bureau_admin")
        found = list_tokens(session, actor=developer, system_id=place.system.id)
        assert [token.id for token in found] == [second.token.id, first.token.id]
        rest = list_tokens(session, actor=developer, system_id=place.system.id, before_id=second.token.id)
        assert [token.id for token in rest] == [first.token.id]
        with pytest.raises(Forbidden):
            list_tokens(session, actor=beside, system_id=place.system.id)
