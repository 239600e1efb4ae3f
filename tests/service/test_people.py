"""Accounts in the records: who may make, see and close them, and the command on the console."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier

import pytest
from sqlalchemy import Engine, func, select
from typer.testing import CliRunner

from identity import passwords
from identity.actor import INSTALLATION, Actor
from identity.errors import (
    BureauAbolished,
    Forbidden,
    InvalidLogin,
    InvalidName,
    LastAdministrator,
    LoginTaken,
    NoTree,
    PasswordRepeatsLogin,
    PeopleExist,
    PersonDeparted,
    ProtectedAccount,
    WeakPassword,
)
from identity.models import Bureau, Person, RoleAssignment
from identity.roles import Role
from identity.service.access import load_roles
from identity.service.directory import get_person, list_people
from identity.service.people import (
    add_person,
    appoint_first_administrators,
    depart_person,
    reset_password,
)
from identity.service.roles import end_role, give_role, list_roles
from identity.service.sign_in import resume, sign_in
from infra.clock import Clock
from infra.database import reading, transaction
from infra.errors import Language, NotFound, SijiError
from infra.installation import Installation
from infra.journal import JournalEntry
from infra.settings import Settings
from portal.cli.people import app
from tests.factories import actor_of, make_actor, make_bureau, make_holder, make_role
from tests.service.small_tree import PASSWORD, Tree, acts, make_tree


@pytest.fixture
def tree(database: Engine) -> Tree:
    return make_tree(database)


def test_a_system_admin_adds_people_without_roles(database: Engine, tree: Tree, at: datetime) -> None:
    with transaction(database) as session:
        admin = make_actor(session, bureau=tree.city, role="system_admin")
        account = add_person(
            session, actor=admin, login=" Zhang.San ", name="张三", bureau_id=tree.town.id, at=at
        )
        person = account.person
        assert account.one_time_password is not None
        assert re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", account.one_time_password)
        assert (person.login, person.name, person.bureau_id) == ("zhang.san", "张三", tree.town.id)
        assert person.must_change_password
        assert account.one_time_password not in str(person.password_hash)
        assert load_roles(session, person_id=person.id) == ()
    assert acts(database) == [(admin.journal_id, "person.add", f"person:{person.id}")]
    with reading(database) as session:
        entry = session.scalars(select(JournalEntry)).one()
        assert entry.personal
        assert entry.after == {"login": "zhang.san", "name": "张三", "bureau_id": tree.town.id}


def test_a_bureau_admin_adds_people_below_and_not_beside(database: Engine, tree: Tree, at: datetime) -> None:
    with transaction(database) as session:
        admin = make_actor(session, bureau=tree.county, role="bureau_admin")
        add_person(session, actor=admin, login="below", name="李四", bureau_id=tree.town.id, at=at)
        for bureau in (tree.beside, tree.city):
            with pytest.raises(Forbidden):
                add_person(session, actor=admin, login="else", name="王五", bureau_id=bureau.id, at=at)


@pytest.mark.parametrize(
    ("login", "name", "password", "error"),
    [
        ("张三", "张三", None, InvalidLogin),
        ("a", "张三", None, InvalidLogin),
        ("\ud800a", "张三", None, InvalidLogin),
        ("zhang", " ", None, InvalidName),
        ("zhang", "张\u202e三", None, InvalidName),
        ("zhang", "张三", "short", WeakPassword),
        ("zhang", "张三", "x" * 257, WeakPassword),
        ("zhang", "张三", "my-ZHANG-password", PasswordRepeatsLogin),
        ("taken", "张三", None, LoginTaken),
        ("ＴＡＫＥＮ", "张三", None, LoginTaken),
    ],
)
def test_bad_accounts_are_refused_in_both_languages(
    database: Engine,
    tree: Tree,
    at: datetime,
    login: str,
    name: str,
    password: str | None,
    error: type[SijiError],
) -> None:
    with transaction(database) as session:
        make_holder(session, bureau=tree.city, login="taken")
    with pytest.raises(error) as refusal, transaction(database) as session:
        add_person(
            session,
            actor=INSTALLATION,
            login=login,
            name=name,
            bureau_id=tree.city.id,
            at=at,
            password=password,
        )
    languages: tuple[Language, ...] = ("zh", "en")
    for language in languages:
        message = refusal.value.message(language)
        assert password is None or password not in message
    with reading(database) as session:
        assert session.scalar(select(func.count()).select_from(Person)) == 1


def test_one_of_two_simultaneous_accounts_of_a_login_is_refused(
    database: Engine, tree: Tree, at: datetime
) -> None:
    barrier = Barrier(2)

    def add(name: str) -> type[SijiError] | None:
        try:
            with transaction(database) as session:
                barrier.wait(60)
                add_person(
                    session, actor=INSTALLATION, login="same", name=name, bureau_id=tree.city.id, at=at
                )
        except SijiError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(add, ["甲", "乙"]))
    assert sorted(outcomes, key=str) == sorted([LoginTaken, None], key=str)


def test_an_abolished_bureau_takes_nobody(database: Engine, tree: Tree, at: datetime) -> None:
    with transaction(database) as session:
        person = make_holder(session, bureau=tree.city)
        session.get_one(Bureau, tree.town.id).abolished_at = at
        session.flush()
        with pytest.raises(BureauAbolished):
            add_person(session, actor=INSTALLATION, login="late", name="晚", bureau_id=tree.town.id, at=at)
        with pytest.raises(BureauAbolished):
            give_role(
                session,
                actor=INSTALLATION,
                person_id=person.id,
                role=Role.developer,
                bureau_id=tree.town.id,
                at=at,
            )


def test_departure_ends_sessions_and_roles_and_is_final(database: Engine, tree: Tree, at: datetime) -> None:
    with transaction(database) as session:
        admin = make_actor(session, bureau=tree.city, role="system_admin")
        person = make_holder(
            session,
            bureau=tree.county,
            login="zhangsan",
            roles=(("bureau_admin", tree.county), ("developer", tree.town)),
            password_hash=passwords.hash_password(PASSWORD),
        )
    opened = sign_in(database, login="zhangsan", password=PASSWORD, at=at)
    with transaction(database) as session:
        depart_person(session, actor=admin, person_id=person.id, at=at)
    with transaction(database) as session:
        with pytest.raises(SijiError, match="not signed in"):
            resume(session, secret=opened.secret, at=at)
        assert load_roles(session, person_id=person.id) == ()
        assert session.scalars(
            select(RoleAssignment.valid_to).where(RoleAssignment.person_id == person.id)
        ).all() == [
            at,
            at,
        ]
        with pytest.raises(PersonDeparted):
            depart_person(session, actor=admin, person_id=person.id, at=at)
        with pytest.raises(PersonDeparted):
            reset_password(session, actor=admin, person_id=person.id, at=at)
        with pytest.raises(PersonDeparted):
            give_role(
                session,
                actor=INSTALLATION,
                person_id=person.id,
                role=Role.developer,
                bureau_id=tree.county.id,
                at=at,
            )
    with pytest.raises(SijiError, match="Wrong login or password"):
        sign_in(database, login="zhangsan", password=PASSWORD, at=at)


def test_the_last_administrators_cannot_leave(database: Engine, tree: Tree, at: datetime) -> None:
    with transaction(database) as session:
        first = make_holder(session, bureau=tree.city, roles=(("security_admin", tree.city),))
        make_holder(session, bureau=tree.city, roles=(("system_admin", tree.city),))
        [held] = list_roles(session, person_id=first.id)
        with pytest.raises(LastAdministrator):
            depart_person(session, actor=INSTALLATION, person_id=first.id, at=at)
        with pytest.raises(LastAdministrator):
            end_role(session, actor=actor_of(session, first), assignment_id=held.id, at=at)
        second = make_holder(session, bureau=tree.city, roles=(("security_admin", tree.city),))
    barrier = Barrier(2)

    def leave(person_id: int) -> type[SijiError] | None:
        try:
            with transaction(database) as session:
                barrier.wait(60)
                depart_person(session, actor=INSTALLATION, person_id=person_id, at=at)
        except SijiError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(leave, [first.id, second.id]))
    assert sorted(outcomes, key=str) == sorted([LastAdministrator, None], key=str)


def test_a_bureau_admin_manages_no_account_that_holds_more(
    database: Engine, tree: Tree, at: datetime
) -> None:
    with transaction(database) as session:
        admin = make_actor(session, bureau=tree.county, role="bureau_admin")
        developer = make_holder(session, bureau=tree.town, roles=(("developer", tree.town),))
        operator = make_holder(session, bureau=tree.town, roles=(("operator", tree.city),))
        member_elsewhere = make_holder(session, bureau=tree.town, roles=(("bureau_member", tree.beside),))
        for person in (operator, member_elsewhere):
            with pytest.raises(ProtectedAccount):
                reset_password(session, actor=admin, person_id=person.id, at=at)
            with pytest.raises(ProtectedAccount):
                depart_person(session, actor=admin, person_id=person.id, at=at)
        assert len(reset_password(session, actor=admin, person_id=developer.id, at=at)) == 23
        depart_person(session, actor=admin, person_id=developer.id, at=at)


def test_no_administrator_takes_over_another_third(database: Engine, tree: Tree, at: datetime) -> None:
    with transaction(database) as session:
        system_admin = make_actor(session, bureau=tree.city, role="system_admin")
        operator = make_holder(session, bureau=tree.city, roles=(("operator", tree.city),))
        reset_password(session, actor=system_admin, person_id=operator.id, at=at)
        for role in ("security_admin", "auditor"):
            fellow = make_holder(session, bureau=tree.city, roles=((role, tree.city),))
            with pytest.raises(ProtectedAccount):
                reset_password(session, actor=system_admin, person_id=fellow.id, at=at)
            reset_password(session, actor=INSTALLATION, person_id=fellow.id, at=at)


def test_lists_show_what_the_reader_may_see(database: Engine, tree: Tree, at: datetime) -> None:
    with transaction(database) as session:
        admin = make_actor(session, bureau=tree.county, role="bureau_admin")
        below = make_holder(session, bureau=tree.town)
        beside = make_holder(session, bureau=tree.beside)
        gone = make_holder(session, bureau=tree.town)
        depart_person(session, actor=INSTALLATION, person_id=gone.id, at=at)

        def ids(actor: Actor, *, with_departed: bool = False, after_id: int = 0, limit: int = 9) -> list[int]:
            people = list_people(
                session, actor=actor, at=at, with_departed=with_departed, after_id=after_id, limit=limit
            )
            return [person.id for person in people]

        assert ids(admin) == [admin.id, below.id]
        assert ids(admin, with_departed=True) == [admin.id, below.id, gone.id]
        assert ids(INSTALLATION, after_id=admin.id, limit=1) == [below.id]
        assert get_person(session, actor=admin, login=below.login, at=at) is below
        with pytest.raises(NotFound):
            get_person(session, actor=admin, login=beside.login, at=at)
        assert get_person(session, actor=actor_of(session, beside), login=beside.login, at=at) is beside


def test_a_look_at_other_people_is_journalled_and_one_at_oneself_is_not(
    database: Engine, tree: Tree, at: datetime
) -> None:
    with transaction(database) as session:
        admin = make_actor(session, bureau=tree.county, role="bureau_admin")
        below = make_holder(session, bureau=tree.town)
        list_people(session, actor=admin, at=at, bureau_ids={tree.town.id})
        get_person(session, actor=admin, login=below.login, at=at)
        list_people(session, actor=admin, at=at, bureau_ids={tree.county.id})
        himself = session.get_one(Person, admin.id).login
        get_person(session, actor=admin, login=himself, at=at)
        with pytest.raises(NotFound):
            get_person(session, actor=actor_of(session, below), login=himself, at=at)
    with reading(database) as session:
        rows = session.scalars(select(JournalEntry).order_by(JournalEntry.id)).all()
    assert [(row.act, row.subject, row.bureau_id, row.after, row.personal) for row in rows] == [
        ("people.list", "people", tree.town.id, {"person_ids": [below.id]}, True),
        ("person.see", f"person:{below.id}", tree.town.id, None, True),
    ]


def test_first_administrators_are_made_once(database: Engine, at: datetime) -> None:
    pair = {"system_admin": ("sysadmin", "甲"), "security_admin": ("secadmin", "乙")}
    with pytest.raises(NoTree), transaction(database) as session:
        appoint_first_administrators(session, **pair, at=at)
    with transaction(database) as session:
        top = make_bureau(session)
    barrier = Barrier(2)

    def appoint(_: int) -> type[SijiError] | None:
        try:
            with transaction(database) as session:
                barrier.wait(60)
                appoint_first_administrators(session, **pair, at=at)
        except SijiError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(appoint, range(2)))
    assert sorted(outcomes, key=str) == sorted([PeopleExist, None], key=str)
    with reading(database) as session:
        people = session.scalars(select(Person).order_by(Person.id)).all()
        assert [load_roles(session, person_id=person.id) for person in people] == [
            (("system_admin", top.id),),
            (("security_admin", top.id),),
        ]


def test_the_command_makes_lists_and_closes_accounts(
    sqlite_database: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Installation(settings, Clock(), sqlite_database)
    monkeypatch.setattr("portal.cli.people.open_local", lambda: here)
    monkeypatch.setattr("portal.cli.people.language", lambda: "zh")
    with transaction(sqlite_database) as session:
        city = make_bureau(session, code="1306")
    run = CliRunner().invoke
    pair = ["--system-login", "sysadmin", "--system-name", "甲", "--security-login", "secadmin"]
    made = run(app, ["first-administrators", *pair, "--security-name", "乙"])
    assert made.exit_code == 0, made.output
    [system_password, security_password] = re.findall(r"一次性密码：(\S+)", made.stdout)
    assert system_password != security_password
    opened = sign_in(sqlite_database, login="secadmin", password=security_password, at=Clock().now())
    assert opened.must_change_password
    again = run(app, ["first-administrators", *pair, "--security-name", "乙"])
    assert isinstance(again.exception, PeopleExist)

    added = run(app, ["add", "zhangsan", "张三", "--bureau", "1306"])
    [first_password] = re.findall(r"一次性密码：(\S+)", added.stdout)
    with transaction(sqlite_database) as session:
        person = session.scalars(select(Person).where(Person.login == "zhangsan")).one()
        make_role(session, person=person, role="developer", bureau=city)
    reset = run(app, ["reset-password", "zhangsan"])
    assert re.findall(r"一次性密码：(\S+)", reset.stdout) != [first_password]
    assert run(app, ["list"]).stdout.splitlines()[-1] == "zhangsan\t张三\t1306\t开发人员 @ 1306\t"
    assert run(app, ["depart", "zhangsan"]).exit_code == 0
    assert "zhangsan" not in run(app, ["list"]).stdout
    assert "zhangsan" in run(app, ["list", "--departed", "--bureau", "1306"]).stdout
    assert isinstance(run(app, ["depart", "nobody"]).exception, NotFound)
