"""Every route walked as nobody, as each sample person and at a bureau beside: who comes in is as it says."""

import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from infra.database import reading
from infra.installation import Installation
from portal.api.registry import RegistryAnswer
from portal.route_table import RouteAccess, list_routes, route_table
from portal.sample.people import PEOPLE, SamplePerson
from tests.portal.conftest import SignIn, csrf_of, open_sample, portal_over
from tests.portal.markup import faults_of
from tests.portal.walk import Call, Named, comes_in, fill, list_calls, path_of, prepare_all

ENDS_THE_SESSION = {
    "DELETE /api/v1/session",
    "PUT /api/v1/me/password",
    "POST /sign-out",
    "POST /password",
}
"""Tested in test_sign_in.py; in the walk they would end it."""
FOR_ANYBODY = {"GET /sign-in", "POST /sign-in", "POST /language", "POST /api/v1/session"}
DOCUMENT = Path(__file__).parents[2] / "docs/routes.md"

World = tuple[Path, Named]


@pytest.fixture(scope="session")
def walked_city(sample_sqlite: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> World:
    """The sample city with everything in it that the calls name."""
    folder = tmp_path_factory.mktemp("walked")
    shutil.copy(sample_sqlite[0].removeprefix("sqlite:///"), folder / "siji.sqlite")
    here = open_sample(folder)
    named = prepare_all(here)
    here.engine.dispose()
    return folder, named


@pytest.fixture
def walked(walked_city: World, tmp_path: Path) -> tuple[Installation, Named]:
    """That city on a copy of its own."""
    shutil.copytree(walked_city[0], tmp_path / "city")
    return open_sample(tmp_path / "city"), walked_city[1]


def test_every_route_is_walked() -> None:
    routes = {f"{route.method} {route.path}" for route in list_routes()}
    assert routes - {call.route for call in list_calls()} == ENDS_THE_SESSION | FOR_ANYBODY


def test_only_these_are_open_to_anybody() -> None:
    assert {f"{route.method} {route.path}" for route in list_routes() if route.is_open} == FOR_ANYBODY


def test_the_document_of_routes_is_the_one_in_the_code() -> None:
    assert route_table() in DOCUMENT.read_text()


def test_nobody_gets_past_the_door_anywhere(walked: tuple[Installation, Named]) -> None:
    here, named = walked
    anonymous = TestClient(portal_over(here), follow_redirects=False)
    for call in list_calls():
        answer = make(anonymous, call, named, csrf="")
        if call.route.partition(" ")[2].startswith("/api/"):
            assert answer.status_code == 401, call
            assert answer.headers["content-type"] in ("application/problem+json", RegistryAnswer.media_type)
        else:
            assert answer.headers.get("location", "").startswith("/sign-in"), (call, answer.status_code)


@pytest.mark.parametrize("person", PEOPLE, ids=lambda one: one.login)
def test_each_person_comes_in_where_the_table_says_and_nowhere_else(
    walked: tuple[Installation, Named], sample_sqlite: tuple[str, str], person: SamplePerson
) -> None:
    here, named = walked
    browser = TestClient(portal_over(here), follow_redirects=False)
    browser.post("/sign-in", data={"login": person.login, "password": sample_sqlite[1]})
    csrf = csrf_of(browser, "/password")
    routes = {f"{route.method} {route.path}": route for route in list_routes()}
    wrong = []
    for call in list_calls():
        with reading(here.engine) as session:
            expected = comes_in(session, person, routes[call.route], call)
        answer = make(browser, call, named, csrf=csrf)
        assert answer.status_code < 500, (call, answer.text)
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert faults_of(answer.text) == [], (call, answer.text)
        if let_in(routes[call.route], answer, hidden=call.hidden) != expected:
            wrong.append((call.route, call.bureau, expected, answer.status_code, answer.text[:300]))
    assert wrong == []


def make(browser: TestClient, call: Call, named: Named, *, csrf: str) -> Response:
    """The answer to the call."""
    method = call.route.partition(" ")[0]
    how = {"params": fill(call.query, named), "headers": {"x-csrf-token": csrf, **fill(call.headers, named)}}
    if call.form is not None:
        how["data"] = {"csrf": csrf, **fill(call.form, named)}
    elif call.content is not None:
        how["content"] = call.content
    elif call.json is not None:
        how["json"] = fill(call.json, named)
    return browser.request(method, path_of(call, named), **how)


def let_in(route: RouteAccess, answer: Response, *, hidden: bool) -> bool:
    """Whether the door opened; what the rules of the domain then said is another matter."""
    shut = ("forbidden", "not_found") if hidden else ("forbidden",)
    if route.is_api:
        kind = answer.headers.get("content-type")
        if kind == RegistryAnswer.media_type:
            return answer.status_code != 403
        return not (kind == "application/problem+json" and answer.json()["code"] in shut)
    return not any(f'data-code="{code}"' in answer.text for code in shut)


def test_a_bureau_beside_sees_no_system_of_its_neighbour(sign_in: SignIn) -> None:
    browser = sign_in("fuping")
    assert "智慧民生服务" not in browser.get("/bureaus/1306-mzj").text
    assert "智慧民生服务" not in browser.get("/systems").text
    assert "县级电子政务" in browser.get("/systems").text
    assert "智慧民生服务" in sign_in("minzheng").get("/bureaus/1306-mzj").text


def test_a_refusal_names_the_act_and_the_bureau_in_the_readers_language(sign_in: SignIn) -> None:
    browser = sign_in("fuping")
    path = "/api/v1/bureaus/1306-mzj/systems"
    problem = browser.get(path).json()
    assert (problem["status"], problem["code"]) == (403, "forbidden")
    assert "市民政局" in problem["detail"]
    assert "see information systems" in browser.get(path, headers={"accept-language": "en"}).json()["detail"]
