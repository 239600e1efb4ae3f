"""Every route walked as nobody, as each sample person, and as a bureau beside: who may see what."""

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from portal import api, pages
from portal.sample.people import PEOPLE, SamplePerson
from tests.portal.conftest import SignIn

OPEN_TO_ALL = {("GET", "/sign-in"), ("POST", "/sign-in"), ("POST", "/language")}
CITYWIDE = {"/", "/bureaus", "/bureaus/{code}", "/systems", "/password"}
CITYWIDE_API = {"/api/v1/me", "/api/v1/bureaus", "/api/v1/bureaus/{code}"}
SYSTEMS_API = "/api/v1/bureaus/{code}/systems"
SEES_MINZHENG = {"shenhe", "hezhun", "minzheng"}


def routes() -> list[tuple[str, str]]:
    return [
        (method, route.path)
        for router in (*api.ROUTERS, *pages.ROUTERS)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    ]


def test_nobody_gets_past_the_door_anywhere(anonymous: TestClient) -> None:
    found = routes()
    assert len(found) > 8
    for method, path in found:
        if (method, path) in OPEN_TO_ALL:
            continue
        answer = anonymous.request(method, path.replace("{code}", "1306-mzj"))
        if path.startswith("/api/"):
            assert answer.status_code == 401, (method, path)
            assert answer.headers["content-type"] == "application/problem+json"
        else:
            assert answer.headers.get("location", "").startswith("/sign-in"), (
                method,
                path,
                answer.status_code,
            )


@pytest.mark.parametrize("person", PEOPLE, ids=lambda one: one.login)
def test_what_each_role_sees(sign_in: SignIn, person: SamplePerson) -> None:
    login = person.login
    browser = sign_in(login)
    reads = {path for method, path in routes() if method == "GET"} - {"/sign-in"}
    assert reads == CITYWIDE | CITYWIDE_API | {SYSTEMS_API}, "a new route wants its line in this walk"
    for path in CITYWIDE | CITYWIDE_API:
        assert browser.get(path.replace("{code}", "1306-mzj")).status_code in (200, 303), path
    expected = 200 if login in SEES_MINZHENG else 403
    assert browser.get(SYSTEMS_API.replace("{code}", "1306-mzj")).status_code == expected


def test_a_bureau_beside_sees_no_system_of_its_neighbour(sign_in: SignIn) -> None:
    browser = sign_in("fuping")
    assert "智慧民生服务" not in browser.get("/bureaus/1306-mzj").text
    assert "智慧民生服务" not in browser.get("/systems").text
    assert "县级电子政务" in browser.get("/systems").text
    assert "智慧民生服务" in sign_in("minzheng").get("/bureaus/1306-mzj").text


def test_a_refusal_names_the_act_and_the_bureau_in_the_readers_language(sign_in: SignIn) -> None:
    browser = sign_in("fuping")
    path = SYSTEMS_API.replace("{code}", "1306-mzj")
    problem = browser.get(path).json()
    assert (problem["status"], problem["code"]) == (403, "forbidden")
    assert "市民政局" in problem["detail"]
    assert "see information systems" in browser.get(path, headers={"accept-language": "en"}).json()["detail"]
