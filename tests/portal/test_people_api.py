"""Accounts and roles over HTTP: the three administrators, one-time passwords, who may see whom."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select

from identity.actor import INSTALLATION
from identity.roles import Role
from identity.service.people import add_person
from identity.service.roles import give_role
from infra.clock import Clock
from infra.database import reading, transaction
from infra.installation import Installation
from infra.journal import JournalEntry
from infra.settings import Settings
from tests.factories import make_bureau
from tests.portal.conftest import Api, SignIn, csrf_of, enter

NEW = {"login": "wang.xin", "name": "王新", "bureau": "1306-rsj"}
OWN = "一个全新的十二字以上密码"


def test_a_person_comes_gets_a_role_and_departs_by_three_hands(api: Api, installation: Installation) -> None:
    system_admin, security_admin = api("xitong"), api("anquan")
    made = system_admin.post("/api/v1/people", json=NEW)
    assert made.status_code == 201
    one_time = made.json()["one_time_password"]
    person = enter(installation, "wang.xin", one_time)
    assert person.get("/api/v1/me").json()["permissions"] == []
    changed = person.post(
        "/password", data={"csrf": person.headers["x-csrf-token"], "old": one_time, "new": OWN}
    )
    assert changed.status_code == 303
    person = enter(installation, "wang.xin", OWN)
    role = {"role": "bureau_member", "bureau": "1306-rsj"}
    assert system_admin.post("/api/v1/people/wang.xin/roles", json=role).status_code == 403
    given = security_admin.post("/api/v1/people/wang.xin/roles", json=role)
    assert given.status_code == 201
    assert "systems:see" in person.get("/api/v1/me").json()["permissions"]
    held = security_admin.get("/api/v1/people/wang.xin/roles").json()["items"]
    assert [(one["role"], one["bureau"]) for one in held] == [("bureau_member", "1306-rsj")]
    ended = security_admin.delete(f"/api/v1/people/wang.xin/roles/{held[0]['id']}")
    assert (ended.status_code, ended.content) == (204, b"")
    assert "systems:see" not in person.get("/api/v1/me").json()["permissions"]
    assert system_admin.post("/api/v1/people/wang.xin/departure").json()["departed_at"] is not None
    assert person.get("/api/v1/me").json()["code"] == "not_signed_in"
    again = system_admin.post("/api/v1/people/wang.xin/departure")
    assert (again.status_code, again.json()["code"]) == (409, "person_departed")
    listed = system_admin.get("/api/v1/people", params={"bureau": "1306-rsj"}).json()["items"]
    assert "wang.xin" not in {one["login"] for one in listed}


@pytest.mark.parametrize(
    ("giver", "login", "role", "code"),
    [
        ("anquan", "shenji", "system_admin", "separation_of_administrators"),
        ("anquan", "xitong", "bureau_member", "separation_of_administrators"),
        ("anquan", "renshe", "auditor", "separation_of_administrators"),
        ("anquan", "anquan", "operator", "own_role"),
        ("anquan", "renshe", "bureau_member", "role_held"),
        ("minzheng", "renshe", "bureau_member", "not_found"),
        ("fuping", "chushen", "operator", "role_not_givable"),
        ("shenhe", "renshe", "operator", "forbidden"),
        ("anquan", "nobody", "operator", "not_found"),
        ("anquan", "renshe", "emperor", "malformed"),
    ],
)
def test_the_three_administrators_are_three_people(
    api: Api, giver: str, login: str, role: str, code: str
) -> None:
    place = {"xitong": "1306", "shenji": "1306", "chushen": "130624"}.get(login, "1306-rsj")
    answer = api(giver).post(f"/api/v1/people/{login}/roles", json={"role": role, "bureau": place})
    assert answer.json()["code"] == code


def test_the_last_of_the_indispensable_administrators_stays(api: Api) -> None:
    security_admin = api("anquan")
    (own,) = security_admin.get("/api/v1/people/anquan/roles").json()["items"]
    answer = security_admin.delete(f"/api/v1/people/anquan/roles/{own['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "last_administrator")
    last = api("xitong").post("/api/v1/people/xitong/departure")
    assert (last.status_code, last.json()["code"]) == (409, "last_administrator")


def test_a_role_is_ended_at_its_own_person_only(api: Api) -> None:
    security_admin = api("anquan")
    (held,) = security_admin.get("/api/v1/people/renshe/roles").json()["items"]
    answer = security_admin.delete(f"/api/v1/people/kaifa/roles/{held['id']}")
    assert answer.status_code == 404
    assert security_admin.get("/api/v1/people/renshe/roles").json()["items"] == [held]


def test_who_may_not_see_a_person_is_not_told_that_there_is_one(api: Api) -> None:
    neighbour = api("fuping")
    there, absent = neighbour.get("/api/v1/people/renshe"), neighbour.get("/api/v1/people/nobody")
    assert there.status_code == absent.status_code == 404
    assert there.text.replace("renshe", "nobody") == absent.text
    assert {one["login"] for one in neighbour.get("/api/v1/people").json()["items"]} == {"fuping", "chushen"}
    assert api("renshe").get("/api/v1/people").status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/roles", None),
        ("POST", "/roles", {"role": "developer", "bureau": "130624"}),
        ("POST", "/roles", {"role": "developer", "bureau": "1306-rsj"}),
        ("DELETE", "/roles/1", None),
        ("POST", "/password-reset", None),
        ("POST", "/departure", None),
    ],
)
def test_nothing_that_is_asked_of_a_login_tells_whether_it_is_there(
    api: Api, method: str, path: str, body: dict[str, str] | None
) -> None:
    neighbour = api("fuping")
    there, absent = (
        neighbour.request(method, f"/api/v1/people/{login}{path}", json=body)
        for login in ("renshe", "nobody")
    )
    assert (there.status_code, there.json()["code"]) == (404, "not_found")
    assert absent.status_code == 404
    assert there.text.replace("renshe", "nobody") == absent.text


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("GET", "", {}),
        ("POST", "/roles", {"role": "developer", "bureau": "130624"}),
        ("POST", "/roles", {"role": "", "bureau": ""}),
        ("POST", "/roles/1/end", {}),
        ("POST", "/password", {}),
        ("POST", "/depart", {}),
    ],
)
def test_no_page_about_a_login_tells_whether_it_is_there(
    sign_in: SignIn, method: str, path: str, form: dict[str, str]
) -> None:
    browser = sign_in("fuping")
    sent = {"csrf": csrf_of(browser), **form}
    there, absent = (
        browser.request(method, f"/people/{login}{path}", data=sent if method == "POST" else None)
        for login in ("renshe", "nobody")
    )
    assert there.status_code == absent.status_code == 404
    assert there.text.replace("renshe", "nobody") == absent.text


def test_of_two_simultaneous_roles_that_exclude_each_other_one_is_given(
    database: Engine, settings: Settings, at: datetime
) -> None:
    here = Installation(settings, Clock(), database)
    with transaction(database) as session:
        city = make_bureau(session, name="保定市", code="1306")
        facts: dict[str, Any] = {
            "session": session,
            "actor": INSTALLATION,
            "bureau_id": city.id,
            "at": at,
        }
        for login, role in (("first", Role.security_admin), ("second", Role.security_admin), ("other", None)):
            person = add_person(login=login, name=login, password=OWN, **facts).person
            if role:
                give_role(person_id=person.id, role=role, **facts)
    givers, barrier = [enter(here, login, OWN) for login in ("first", "second")], Barrier(2)

    def give(which: tuple[TestClient, str]) -> str:
        barrier.wait()
        wish = {"role": which[1], "bureau": "1306"}
        answer = which[0].post("/api/v1/people/other/roles", json=wish)
        return str(answer.json().get("code", answer.status_code))

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(give, zip(givers, ("auditor", "operator"), strict=True)))
    assert sorted(answers) == ["201", "separation_of_administrators"]
    assert len(givers[0].get("/api/v1/people/other/roles").json()["items"]) == 1


def test_a_reset_password_ends_the_sessions_and_is_not_for_neighbours(
    api: Api, installation: Installation
) -> None:
    person = api("renshe")
    assert api("fuping").post("/api/v1/people/renshe/password-reset").json()["code"] == "not_found"
    answer = api("xitong").post("/api/v1/people/renshe/password-reset")
    assert answer.status_code == 200
    assert person.get("/api/v1/me").status_code == 401
    assert enter(installation, "renshe", answer.json()["one_time_password"])
    fellow = api("xitong").post("/api/v1/people/anquan/password-reset")
    assert (fellow.status_code, fellow.json()["code"]) == (403, "protected_account")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"login": "RENSHE"}, "login_taken"),
        ({"login": "\uff32enshe"}, "login_taken"),
        ({"login": "a"}, "invalid_login"),
        ({"login": "王新"}, "invalid_login"),
        ({"name": "王\u202e新"}, "invalid_name"),
        ({"name": "\u200b"}, "invalid_name"),
        ({"name": "𠮷" * 256}, "invalid_name"),
        ({"name": 7}, "malformed"),
        ({"bureau": "nowhere"}, "not_found"),
        ({"password": "chosen by another"}, "malformed"),
    ],
)
def test_what_an_account_may_be(api: Api, changes: dict[str, object], code: str) -> None:
    assert api("xitong").post("/api/v1/people", json={**NEW, **changes}).json()["code"] == code


def test_looks_at_people_are_journalled_with_whom(api: Api, installation: Installation) -> None:
    client = api("anquan")
    for path in ("/people", "/people/renshe", "/people/anquan", "/bureaus/1306-rsj/roles"):
        assert client.get(f"/api/v1{path}").status_code == 200
    with reading(installation.engine) as session:
        query = select(JournalEntry).where(JournalEntry.act.in_(("people.list", "person.see", "roles.list")))
        looks = session.scalars(query.order_by(JournalEntry.id)).all()
    assert [look.act for look in looks] == ["people.list", "person.see", "roles.list"]
    assert all(look.personal for look in looks)
    assert looks[0].after
    assert len(looks[0].after["person_ids"]) == 10
