"""Signing in and out, and forms that came from elsewhere."""

import pytest
from fastapi.testclient import TestClient

from tests.portal.conftest import SignIn, csrf_of


def test_a_page_sends_who_is_not_signed_in_to_the_form_and_back(
    anonymous: TestClient, sample_sqlite: tuple[str, str]
) -> None:
    answer = anonymous.get("/bureaus/130624")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/bureaus/130624")
    form = {"login": "fuping", "password": sample_sqlite[1], "next": "/bureaus/130624"}
    assert anonymous.post("/sign-in", data=form).headers["location"] == "/bureaus/130624"
    assert "阜平县" in anonymous.get("/bureaus/130624").text


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a\r\nX: y"]
)
def test_the_way_back_stays_on_this_site(
    anonymous: TestClient, sample_sqlite: tuple[str, str], elsewhere: str
) -> None:
    form = {"login": "fuping", "password": sample_sqlite[1], "next": elsewhere}
    assert anonymous.post("/sign-in", data=form).headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_login_get_the_same_answer(anonymous: TestClient) -> None:
    wrong = anonymous.post("/sign-in", data={"login": "fuping", "password": "not this one"})
    unknown = anonymous.post("/sign-in", data={"login": "nobody", "password": "not this one"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("fuping", "") == unknown.text.replace("nobody", "")


def test_signing_out_ends_the_session_itself_and_not_only_the_cookie(sign_in: SignIn) -> None:
    browser = sign_in("fuping")
    cookie = browser.cookies["siji_session"]
    browser.post("/sign-out", data={"csrf": csrf_of(browser)})
    browser.cookies.set("siji_session", cookie)
    assert browser.get("/").headers["location"] == "/sign-in?next=/"


def test_a_form_without_the_pages_secret_changes_nothing(sign_in: SignIn) -> None:
    browser = sign_in("fuping")
    assert browser.post("/sign-out", data={"csrf": "guessed"}).status_code == 403
    assert browser.get("/").status_code == 200


def test_a_sign_in_form_of_another_site_is_refused(
    anonymous: TestClient, sample_sqlite: tuple[str, str]
) -> None:
    form = {"login": "fuping", "password": sample_sqlite[1]}
    answer = anonymous.post("/sign-in", data=form, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "siji_session" not in answer.cookies


def test_a_new_password_ends_every_session_and_signs_in_anew(
    sign_in: SignIn, anonymous: TestClient, sample_sqlite: tuple[str, str]
) -> None:
    browser, other = sign_in("fuping"), sign_in("fuping")
    form = {"csrf": csrf_of(browser, "/password"), "old": sample_sqlite[1], "new": "一个全新的十二字以上密码"}
    assert browser.post("/password", data=form).headers["location"] == "/sign-in"
    assert other.get("/").status_code == 303
    assert anonymous.post("/sign-in", data={"login": "fuping", "password": form["new"]}).status_code == 303


def test_both_languages_are_there_and_the_choice_is_kept(sign_in: SignIn) -> None:
    browser = sign_in("fuping")
    assert "总览" in browser.get("/").text
    browser.post("/language", data={"language": "en"})
    assert "Overview" in browser.get("/").text
    assert "总览" not in browser.get("/").text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/sign-out", 405)])
def test_a_page_that_is_not_there_keeps_the_menu_of_who_is_signed_in(
    sign_in: SignIn, anonymous: TestClient, method: str, path: str, status: int
) -> None:
    seen = sign_in("minzheng").request(method, path)
    assert seen.status_code == status
    assert '<nav class="main"' in seen.text
    assert 'action="/sign-out"' in seen.text
    assert ("没有这个页面" in seen.text) is (status == 404)
    unseen = anonymous.request(method, path)
    assert unseen.status_code == status
    assert '<nav class="main"' not in unseen.text
