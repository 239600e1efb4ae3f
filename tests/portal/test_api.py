"""The REST API's manners: pages by cursor, problems as RFC 9457, bad input named."""

from typing import Any

import pytest
from annotated_types import Le
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from portal import api, pages
from tests.portal.conftest import Api, SignIn


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


def test_an_address_that_is_none_is_told_in_the_language_of_the_caller(anonymous: TestClient) -> None:
    for method, path, code, zh, en in (
        ("GET", "/api/v1/nowhere", "not_found", "没有这个地址", "no such address"),
        ("PATCH", "/api/v1/me", "method_not_allowed", "不接受这种请求方法", "does not take that method"),
    ):
        for language, told in (("zh", zh), ("en", en)):
            answer = anonymous.request(method, path, headers={"accept-language": language})
            assert answer.json()["code"] == code
            assert told in answer.json()["detail"]


@pytest.mark.parametrize("code", ["没有", "𠮷", "\u202e130624", "9" * 200])
def test_an_unknown_bureau_is_not_found(sign_in: SignIn, code: str) -> None:
    answer = sign_in("shenhe").get(f"/api/v1/bureaus/{code}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "zh", "en"),
    [
        ({}, "body.name 缺少此项；body.mlps_grade 缺少此项", "body.name: Field required"),
        ({"code": 1}, "body.code 应为文本", "body.code: Input should be a valid string"),
        ({"name": "长" * 1001}, "body.name 超过 1000 个字符", "at most 1000 characters"),
        (
            {"mlps_grade": "二"},
            "body.mlps_grade 应为整数",
            "body.mlps_grade: Input should be a valid integer",
        ),
        ({"mlps_grade": 2.5}, "body.mlps_grade 应为整数", "body.mlps_grade: Input should be a valid integer"),
        ({"more": 1}, "body.more 没有这一项", "body.more: Extra inputs are not permitted"),
        ({"name": "a\0b"}, "body.name 含有 NUL 字符", "body.name: it holds a NUL character"),
    ],
)
def test_what_is_wrong_with_a_body_is_told_in_both_languages(
    api: Api, body: dict[str, Any], zh: str, en: str
) -> None:
    for language, told in (("zh", zh), ("en", en)):
        answer = api("minzheng").post(
            "/api/v1/bureaus/1306-mzj/systems", json=body, headers={"accept-language": language}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
        assert told in answer.json()["detail"]
        assert answer.json()["facts"]["places"][0].keys() == {"where", "why"}


@pytest.mark.parametrize(
    ("path", "zh"),
    [
        ("bureaus?limit=501", "query.limit 不应大于 500"),
        ("bureaus?limit=0", "query.limit 不应小于 1"),
        ("bureaus?limit=many", "query.limit 应为整数"),
        ("bureaus?level=" + "x" * 17, "query.level 超过 16 个字符"),
        ("reports/capacity?form=odt", "query.form 应为以下之一：json、csv、xlsx"),
    ],
)
def test_what_is_wrong_with_a_query_is_told_in_chinese(api: Api, path: str, zh: str) -> None:
    answer = api("shenhe").get(f"/api/v1/{path}", headers={"accept-language": "zh"})
    assert answer.json()["detail"] == f"请求格式有误：{zh}"


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
