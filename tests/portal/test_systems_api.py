"""Information systems over HTTP: registered once, edited as seen, handed over by who manages both sides."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import select

from infra.database import reading
from infra.installation import Installation
from infra.journal import JournalEntry
from tests.portal.conftest import Api

MZJ = "/api/v1/bureaus/1306-mzj/systems"
NEW = {"code": "mzj-new", "name": "婚姻登记预约", "mlps_grade": 2, "zone": "extranet"}


@pytest.fixture
def admin(api: Api) -> TestClient:
    """The admin of 市民政局."""
    return api("minzheng")


def register(client: TestClient, *, key: str | None = None, **changes: Any) -> Response:
    headers = {} if key is None else {"idempotency-key": key}
    return client.post(MZJ, json={**NEW, **changes}, headers=headers)


def test_a_system_is_registered_once_per_key(admin: TestClient) -> None:
    first, again = register(admin, key="k1"), register(admin, key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "idempotency-replayed" in again.headers
    assert "idempotency-replayed" not in first.headers
    other = register(admin, key="k1", name="别的")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    without = register(admin)
    assert (without.status_code, without.json()["code"]) == (409, "code_taken")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"mlps_grade": 4}, 422, "mlps_grade_refused"),
        ({"mlps_grade": 10**30}, 422, "mlps_grade_refused"),
        ({"mlps_grade": "二级"}, 422, "malformed"),
        ({"mlps_grade": True}, 201, None),
        ({"zone": "moon"}, 422, "system_fault"),
        ({"name": "婚姻\u202e登记"}, 422, "system_fault"),
        ({"name": "婚姻\0登记"}, 422, "malformed"),
        ({"name": ""}, 422, "system_fault"),
        ({"name": "x" * 256}, 422, "system_fault"),
        ({"name": "x" * 100_000}, 422, "malformed"),
        ({"purpose": "用" * 2001}, 422, "system_fault"),
        ({"code": "民政"}, 422, "system_fault"),
        ({"colour": "red"}, 422, "malformed"),
        ({"name": "𠮷" * 255}, 201, None),
    ],
)
def test_what_a_system_may_be(
    admin: TestClient, changes: dict[str, Any], status: int, code: str | None
) -> None:
    answer = register(admin, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code or "mzj-new")


def test_an_edit_changes_what_is_given_as_it_was_seen(admin: TestClient) -> None:
    register(admin)
    path = "/api/v1/systems/mzj-new"
    seen = admin.get(path).headers["etag"]
    assert admin.patch(path, json={"name": "婚姻登记"}).status_code == 428
    done = admin.patch(path, json={"contacts": "王工,3088123"}, headers={"if-match": seen})
    assert (done.status_code, done.headers["etag"]) == (200, '"r2"')
    stale = admin.patch(path, json={"name": "婚姻登记"}, headers={"if-match": seen})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    whole = admin.get(path).json()
    assert (whole["name"], whole["contacts"], whole["revision"]) == ("婚姻登记预约", "王工,3088123", 2)


def test_a_look_at_contacts_is_journalled(admin: TestClient, installation: Installation) -> None:
    register(admin, contacts="王工,3088123")
    for code in ("mzj-new", "1306-mzj-s1"):
        assert admin.get(f"/api/v1/systems/{code}").status_code == 200
    with reading(installation.engine) as session:
        looks = session.scalars(select(JournalEntry).where(JournalEntry.act == "system.see_contacts")).all()
    assert [look.personal for look in looks] == [True]


def test_lists_hold_what_one_may_see(api: Api, admin: TestClient) -> None:
    def codes(client: TestClient, **query: str) -> set[str]:
        found = client.get("/api/v1/systems", params={"limit": "500", **query}).json()["items"]
        return {one["bureau"] for one in found}

    assert codes(admin) == {"1306-mzj"}
    assert {"1306-mzj", "130624"} <= codes(api("shenhe"))
    assert codes(api("shenhe"), search="阜平") == {"130624", "130624100"}
    assert codes(api("fuping")) == {"130624", "130624100", "130624206001"}


def test_a_system_is_handed_over_by_who_manages_both_sides(api: Api, admin: TestClient) -> None:
    register(admin)
    path, how = "/api/v1/systems/mzj-new/transfer", {"if-match": '"r1"'}
    one_side = admin.post(path, json={"bureau": "1306-rsj"}, headers=how)
    assert (one_side.status_code, one_side.json()["code"]) == (403, "forbidden")
    assert "市人力资源和社会保障局" in one_side.json()["detail"] or "1306-rsj" in one_side.json()["detail"]
    security = api("anquan")
    given = security.post(
        "/api/v1/people/minzheng/roles", json={"role": "bureau_admin", "bureau": "1306-rsj"}
    )
    assert given.status_code == 201
    done = admin.post(path, json={"bureau": "1306-rsj"}, headers=how)
    assert (done.status_code, done.json()["bureau"], done.headers["etag"]) == (200, "1306-rsj", '"r2"')


def test_a_retired_system_is_changed_no_more_and_still_found(admin: TestClient) -> None:
    register(admin)
    path, how = "/api/v1/systems/mzj-new", {"if-match": '"r1"'}
    assert admin.post(f"{path}/retirement", headers=how).json()["retired_at"] is not None
    again = admin.post(f"{path}/retirement", headers={"if-match": '"r2"'})
    assert (again.status_code, again.json()["code"]) == (409, "system_retired")
    assert admin.get(path).json()["revision"] == 2
    living = {one["code"] for one in admin.get(MZJ).json()["items"]}
    every = {one["code"] for one in admin.get(MZJ, params={"retired": "true"}).json()["items"]}
    assert every - living == {"mzj-new"}
