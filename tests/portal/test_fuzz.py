"""Every operation of the REST API, called with whatever its own description allows.

No error is the server's, and every answer is one that the description tells of.
"""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import HealthCheck, given, settings

from identity.roles import ROLE_PERMISSIONS
from infra.installation import Installation
from portal.route_table import RouteAccess, list_routes
from portal.sample.people import PEOPLE
from tests.portal.conftest import enter, open_sample, portal_over

EXAMPLES, MANY_EXAMPLES = 3, 200
ROUTES = {
    f"{route.method} {route.path.replace(':path}', '}')}": route for route in list_routes() if route.is_api
}


@pytest.fixture
def played_with(sample_sqlite: tuple[str, str], tmp_path: Path) -> Installation:
    """A sample city of the operation's own: calls may end the very person who makes them."""
    (tmp_path / "siji.sqlite").write_bytes(Path(sample_sqlite[0].removeprefix("sqlite:///")).read_bytes())
    return open_sample(tmp_path)


@pytest.mark.parametrize("name", ROUTES)
def test_what_the_description_allows(
    played_with: Installation, sample_sqlite: tuple[str, str], name: str
) -> None:
    call_at_random(played_with, sample_sqlite[1], name, examples=EXAMPLES)


@pytest.mark.soak
@pytest.mark.parametrize("name", ROUTES)
def test_what_the_description_allows_at_length(
    played_with: Installation, sample_sqlite: tuple[str, str], name: str
) -> None:
    call_at_random(played_with, sample_sqlite[1], name, examples=MANY_EXAMPLES)


def call_at_random(here: Installation, password: str, name: str, *, examples: int) -> None:
    """By a person who may come in, so that what is behind the door is met."""
    method, path = name.split(" ")
    described = portal_over(here).openapi()
    told = described["paths"][path][method.lower()]["responses"]
    operation = schemathesis.openapi.from_dict(described)[path][method]
    client = enter(here, who_may(ROUTES[name]), password)

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def call(case: Any) -> None:
        answer = send(client, case)
        assert answer.status_code < 500, answer.text
        content = told[str(answer.status_code)].get("content", {})
        kind = answer.headers.get("content-type", "").split(";")[0]
        assert not answer.content or kind in content, (kind, answer.text)
        if answer.content and kind.endswith("json"):
            shape = {**content[kind]["schema"], "components": described["components"]}
            jsonschema_rs.Draft202012Validator(shape).validate(answer.json())

    call()


def who_may(route: RouteAccess) -> str:
    """The login of the first sample person who holds a permission that the route asks for."""
    return next(
        one.login
        for one in PEOPLE
        if not route.permissions or not ROLE_PERMISSIONS[one.role].isdisjoint(route.permissions)
    )


def send(client: TestClient, case: Any) -> Response:
    """The call as a client makes it."""
    return client.request(case.method, case.formatted_path, **arguments_of(case))


def arguments_of(case: Any) -> dict[str, Any]:
    """Query, headers and body, as the description has them."""
    given: dict[str, Any] = {"params": dict(case.query or {}), "headers": dict(case.headers or {})}
    if case.media_type is None:
        return given
    if case.media_type.endswith("/json"):
        return given | {"json": case.body}
    given["headers"]["content-type"] = case.media_type
    return given | {"content": case.body if isinstance(case.body, bytes) else str(case.body).encode()}
