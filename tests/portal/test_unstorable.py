"""Text that PostgreSQL cannot store, in addresses and forms: refused on either database, never a failure."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from identity.actor import INSTALLATION
from identity.roles import ROLE_PERMISSIONS, SEPARATED, Role
from identity.service.people import add_person
from identity.service.roles import give_role
from infra.clock import Clock
from infra.database import transaction
from infra.installation import Installation
from infra.settings import Settings
from portal import api, pages
from portal.route_table import list_routes
from tests.factories import make_bureau
from tests.portal.conftest import enter

PASSWORD = "一个全新的十二字以上密码"
BUSINESS = "business"
NUL, NO_UTF8 = "%00", ("%ED%A0%80", "%EF%BF%BF")
Enter = Callable[[Role | str], TestClient]


@pytest.fixture(params=["database", "sqlite_database"])
def come_in(request: pytest.FixtureRequest, settings: Settings, at: datetime) -> Enter:
    """Signs in who holds that separate role at the top of the tree, or all the others."""
    engine: Engine = request.getfixturevalue(request.param)
    here = Installation(settings, Clock(), engine)
    with transaction(engine) as session:
        city = make_bureau(session, name="保定市", code="1306")
        facts: dict[str, Any] = {"session": session, "actor": INSTALLATION, "bureau_id": city.id, "at": at}
        for login, roles in [(role, [role]) for role in SEPARATED] + [(BUSINESS, set(Role) - set(SEPARATED))]:
            person = add_person(login=login, name=login, password=PASSWORD, **facts).person
            for role in roles:
                give_role(person_id=person.id, role=role, **facts)
    return lambda login: enter(here, login, PASSWORD)


def test_in_an_address_it_is_refused_or_finds_nothing(come_in: Enter) -> None:
    clients = {login: come_in(login) for login in (BUSINESS, *SEPARATED)}
    failed = []
    for path, names, login in addresses():
        for bad in (NUL, *NO_UTF8):
            query = "&".join(f"{name}={bad}" for name in names)
            for address in (f"{path.format_map(Filled('1306'))}?{query}", f"{path.format_map(Filled(bad))}"):
                answer = clients[login].get(address)
                if answer.status_code >= 500 or (NUL in address and answer.status_code != 422):
                    failed.append((address, answer.status_code))
    assert failed == []


@pytest.mark.parametrize("field", ["name", "once", "revision", "zone"])
@pytest.mark.parametrize(("language", "says"), [("zh", "表单项“{}”"), ("en", "The field {} holds")])
def test_in_a_form_it_is_refused_with_its_field(come_in: Enter, field: str, language: str, says: str) -> None:
    browser = come_in(BUSINESS)
    form = {"csrf": browser.headers["x-csrf-token"], field: "a\0b"}
    answer = browser.post("/bureaus/1306/systems/new", data=form, headers={"accept-language": language})
    assert answer.status_code == 422
    assert 'data-code="unstorable_field"' in answer.text
    assert says.format(field) in answer.text


@pytest.mark.parametrize(("field", "value"), [("name", "+2AA-"), ("+2AA-", "x"), ("once", "+AAA-")])
def test_a_form_in_a_charset_that_has_such_text_is_refused(come_in: Enter, field: str, value: str) -> None:
    browser = come_in(BUSINESS)
    parts = {"csrf": browser.headers["x-csrf-token"], field: value}
    body = "".join(
        f'--cut\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in parts.items()
    )
    answer = browser.post(
        "/bureaus/1306/systems/new",
        content=f"{body}--cut--\r\n",
        headers={"content-type": "multipart/form-data; boundary=cut; charset=utf-7"},
    )
    assert answer.status_code == 422
    assert 'data-code="unstorable_field"' in answer.text


class Filled(dict[str, str]):
    """Every parameter of a path, the same."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __missing__(self, name: str) -> str:
        return self.value


def addresses() -> list[tuple[str, list[str], str]]:
    """Of every route that is read: its path, the names in its query, and the login of one who may come in."""
    permissions = {(route.method, route.path): route.permissions for route in list_routes()}
    found = []
    for router in (*api.ROUTERS, *pages.ROUTERS):
        for route in router.routes:
            if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
                needed = permissions["GET", route.path]
                who = next((r for r in SEPARATED if needed and ROLE_PERMISSIONS[r] >= set(needed)), BUSINESS)
                names = [one.alias for one in route.dependant.query_params]
                found.append((route.path.replace(":path}", "}"), names, who))
    return found
