"""The REST API's manners: pages by cursor, problems as RFC 9457, bad input named."""

from typing import Any

import pytest
from annotated_types import Le
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from portal import api, pages
from tests.portal.conftest import SignIn


def test_bureaus_come_in_pages_that_cover_all_once(sign_in: SignIn) -> None:
    browser = sign_in("shenhe")
    codes: list[str] = []
    cursor = ""
    while True:
        page = browser.get(
            "/api/v1/bureaus", params={"level": "township", "cursor": cursor, "limit": 100}
        ).json()
        codes += [one["code"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    assert len(codes) == len(set(codes)) == 359


def test_children_of_a_bureau(sign_in: SignIn) -> None:
    page = sign_in("shenhe").get("/api/v1/bureaus", params={"parent": "1306", "limit": 500}).json()
    counties = [one for one in page["items"] if one["level"] == "county"]
    assert len(counties) == 26
    fuping = {"code": "130624", "name": "阜平县", "level": "county", "is_territorial": True, "revision": 1}
    assert fuping in counties


@pytest.mark.parametrize("limit", ["0", "501", "many", ""])
def test_a_bad_limit_is_named(sign_in: SignIn, limit: str) -> None:
    answer = sign_in("shenhe").get("/api/v1/bureaus", params={"limit": limit})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["facts"]["places"][0]["where"] == "query.limit"


@pytest.mark.parametrize("code", ["没有", "𠮷", "\u202e130624", "9" * 200])
def test_an_unknown_bureau_is_not_found(sign_in: SignIn, code: str) -> None:
    answer = sign_in("shenhe").get(f"/api/v1/bureaus/{code}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_every_shape_has_a_name_of_its_own(anonymous: TestClient) -> None:
    shapes = anonymous.get("/api/v1/openapi.json").json()["components"]["schemas"]
    assert [name for name in shapes if "__" in name] == []
    assert [name for name, shape in shapes.items() if "budget_days" in shape.get("properties", {})] == [
        "ClockOut"
    ]


def test_every_body_and_every_answer_has_an_example(anonymous: TestClient) -> None:
    """A file's bytes have none."""
    described = anonymous.get("/api/v1/openapi.json").json()
    shapes = described["components"]["schemas"]

    def has_example(told: dict[str, Any]) -> bool:
        if told.keys() & {"example", "examples"} or told.get("format") == "binary":
            return True
        within = [told[name] for name in ("schema", "items") if name in told]
        within += [*told.get("properties", {}).values(), *told.get("anyOf", ())]
        if "$ref" in told:
            within.append(shapes[told["$ref"].rpartition("/")[2]])
        return any(map(has_example, within))

    bare = [
        f"{method} {path} {kind}"
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        for part in (operation.get("requestBody", {}), *operation["responses"].values())
        for kind, told in part.get("content", {}).items()
        if not has_example(told)
    ]
    assert bare == []


def test_every_whole_number_in_an_address_has_a_bound() -> None:
    routes = [route for router in (*api.ROUTERS, *pages.ROUTERS) for route in router.routes]
    unbounded = [
        (route.path, field.name)
        for route in routes
        if isinstance(route, APIRoute)
        for field in (*route.dependant.path_params, *route.dependant.query_params)
        if "int" in str(field.field_info.annotation)
        and not any(isinstance(bound, Le) for bound in field.field_info.metadata)
    ]
    assert unbounded == []
