"""A token's life over HTTP: issued once, used, narrowed, rotated with an overlap, expired, revoked."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from identity.actor import INSTALLATION
from identity.service.people import depart_person, find_person_by_login
from infra.clock import Clock, city_date
from infra.database import reading, transaction
from infra.installation import Installation
from tests.portal.conftest import Api, enter, portal_over

PATH = "/api/v1/systems/1306-mzj-s1/tokens"


class ClockAt(Clock):
    """A clock that a test moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture
def clock() -> ClockAt:
    return ClockAt()


@pytest.fixture
def city(installation: Installation, clock: ClockAt) -> Installation:
    """The sample city under that clock."""
    return Installation(installation.settings, clock, installation.engine)


@pytest.fixture
def admin(city: Installation, sample_sqlite: tuple[str, str]) -> TestClient:
    """The admin of 市民政局."""
    return enter(city, "minzheng", sample_sqlite[1])


@pytest.fixture
def last_day(clock: ClockAt) -> date:
    """Thirty days from now."""
    return city_date(clock.now()) + timedelta(days=30)


def issue(admin: TestClient, last_day: date, **changes: Any) -> Response:
    wish = {
        "label": "夜间推送",
        "scopes": ["requests:read", "datasets:publish"],
        "expires_on": last_day.isoformat(),
    }
    return admin.post(PATH, json={**wish, **changes})


def bearer(city: Installation, text: str) -> TestClient:
    """A program that shows the token."""
    client = TestClient(portal_over(city))
    client.headers["authorization"] = f"Bearer {text}"
    return client


def works(city: Installation, text: str) -> bool:
    answer = bearer(city, text).get("/api/v1/me")
    assert answer.status_code == 200 or answer.json()["code"] == "token_refused"
    return answer.status_code == 200


def test_a_tokens_text_is_told_once(city: Installation, admin: TestClient, last_day: date) -> None:
    issued = issue(admin, last_day)
    assert issued.status_code == 201
    text = issued.json()["text"]
    assert text.startswith(f"siji_{issued.json()['id']}_")
    listed = admin.get(PATH)
    assert text.split("_", 2)[2] not in listed.text
    (token,) = listed.json()["items"]
    assert (token["is_good"], token["issued_by"], token["seen_at"]) == (True, "minzheng", None)
    me = bearer(city, text).get("/api/v1/me").json()
    assert (me["kind"], me["name"], me["bureau"]) == ("service", "智慧民生服务 · 夜间推送", "1306-mzj")
    assert admin.get(PATH).json()["items"][0]["seen_at"] is not None


def test_a_token_does_what_its_scopes_say_and_no_more(
    city: Installation, admin: TestClient, last_day: date
) -> None:
    program = bearer(city, issue(admin, last_day).json()["text"])
    assert program.get("/api/v1/cases").status_code == 200
    assert program.get("/api/v1/systems").json()["code"] == "forbidden"
    assert program.get("/api/v1/inbox").json()["code"] == "people_only"
    assert program.post(PATH, json={}).json()["code"] == "forbidden"
    other = bearer(city, issue(admin, last_day, scopes=["datasets:pull"]).json()["text"])
    assert other.get("/api/v1/cases").json()["code"] == "forbidden"


def test_rotation_lets_both_work_for_the_overlap_and_a_successor_go_on(
    city: Installation, admin: TestClient, clock: ClockAt, last_day: date
) -> None:
    old = issue(admin, last_day, datasets=["divisions"]).json()
    wish = {"expires_on": (last_day + timedelta(days=60)).isoformat(), "overlap_days": 2}
    rotated = admin.post(f"/api/v1/tokens/{old['id']}/rotation", json=wish)
    assert rotated.status_code == 201
    new = rotated.json()
    assert (new["rotated_from"], new["scopes"]) == (old["id"], ["datasets:publish", "requests:read"])
    assert (new["label"], new["datasets"]) == ("夜间推送", ["divisions"])
    twice = admin.post(f"/api/v1/tokens/{old['id']}/rotation", json=wish)
    assert (twice.status_code, twice.json()["code"]) == (409, "token_ended")
    assert works(city, old["text"])
    assert works(city, new["text"])
    clock.ahead = timedelta(days=2, minutes=1)
    assert not works(city, old["text"])
    assert works(city, new["text"])
    clock.ahead = timedelta(days=92)
    assert not works(city, new["text"])


def test_a_token_ends_with_its_last_day_and_when_it_is_revoked(
    api: Api, city: Installation, admin: TestClient, clock: ClockAt, last_day: date
) -> None:
    first, second = issue(admin, last_day).json(), issue(admin, last_day).json()
    revoked = api("anquan").post(f"/api/v1/tokens/{first['id']}/revocation")
    assert (revoked.status_code, revoked.json()["is_good"]) == (200, False)
    assert not works(city, first["text"])
    clock.ahead = timedelta(days=29)
    assert works(city, second["text"])
    clock.ahead = timedelta(days=31)
    assert not works(city, second["text"])


def test_a_token_outlives_the_departure_of_who_issued_it(
    city: Installation, admin: TestClient, last_day: date
) -> None:
    text = issue(admin, last_day).json()["text"]
    with reading(city.engine) as session:
        issuer = find_person_by_login(session, login="minzheng")
        assert issuer is not None
    with transaction(city.engine) as session:
        depart_person(session, actor=INSTALLATION, person_id=issuer.id, at=city.clock.now())
    assert admin.get("/api/v1/me").status_code == 401
    assert works(city, text)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"scopes": []}, "invalid_scopes"),
        ({"scopes": ["datasets:rule"]}, "invalid_scopes"),
        ({"scopes": "datasets:pull"}, "malformed"),
        ({"scopes": ["x"] * 101}, "malformed"),
        ({"datasets": []}, "invalid_datasets"),
        ({"datasets": [" "]}, "invalid_datasets"),
        ({"datasets": [f"d{n}" for n in range(201)]}, "invalid_datasets"),
        ({"expires_on": "2020-01-01"}, "invalid_expiry"),
        ({"expires_on": "9999-12-31"}, "invalid_expiry"),
        ({"expires_on": "soon"}, "malformed"),
        ({"label": "夜\u2066间"}, "invalid_name"),
        ({"label": "夜\0间"}, "malformed"),
    ],
)
def test_what_a_token_may_be(admin: TestClient, last_day: date, changes: dict[str, Any], code: str) -> None:
    assert issue(admin, last_day, **changes).json()["code"] == code


@pytest.mark.parametrize(
    ("number", "status"), [("0", 422), ("-1", 422), (str(2**63), 422), (str(2**63 - 1), 404), ("one", 422)]
)
def test_a_number_that_no_token_has(admin: TestClient, number: str, status: int) -> None:
    assert admin.post(f"/api/v1/tokens/{number}/revocation").status_code == status


def test_neighbours_neither_see_nor_touch_a_systems_tokens(
    api: Api, admin: TestClient, last_day: date
) -> None:
    issued = issue(admin, last_day).json()
    neighbour = api("fuping")
    assert neighbour.get(PATH).json()["code"] == "forbidden"
    assert issue(neighbour, last_day).json()["code"] == "forbidden"
    wish = {"expires_on": last_day.isoformat()}
    for act, body in (("rotation", wish), ("revocation", None)):
        answer = neighbour.post(f"/api/v1/tokens/{issued['id']}/{act}", json=body)
        assert answer.json()["code"] == "forbidden"
