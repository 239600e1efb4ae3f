"""A token acts at its system's own bureau alone: no list tells it of the bureaus below."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select

from identity.models import System
from infra.clock import Clock, city_date
from infra.database import transaction
from infra.installation import Installation
from infra.settings import Settings
from provisioning.models import Allocation
from provisioning.quota import Resources
from tests.portal.conftest import Api, enter, portal_over
from tests.portal.crowd import MANY, PASSWORD, REGION, make_crowd
from tests.portal.sharing import CODE, share

API = "/api/v1"
SCOPES = ["requests:read", "servers:read", "grants:read", "reports:read", "subscriptions:read"]
BELOW = "130600"
"""One of the bureaus below the city."""
Pair = tuple[TestClient, TestClient]


@pytest.fixture
def pair(sqlite_database: Engine, settings: Settings, at: datetime) -> Pair:
    """The admin of a city with many bureaus below it, and a token of the city's own system."""
    make_crowd(sqlite_database, at=at)
    here = Installation(settings, Clock(), sqlite_database)
    admin = enter(here, "operator", PASSWORD)
    return admin, issue(here, admin, "first")


def issue(here: Installation, admin: TestClient, system: str, **narrowed: list[str]) -> TestClient:
    """A program with a token of that system that may read."""
    last = (city_date(here.clock.now()) + timedelta(days=30)).isoformat()
    wish = {"label": "只读", "scopes": SCOPES, "expires_on": last, **narrowed}
    issued = admin.post(f"{API}/systems/{system}/tokens", json=wish)
    token = TestClient(portal_over(here))
    token.headers["authorization"] = f"Bearer {issued.json()['text']}"
    return token


def hold_for_everyone(engine: Engine, *, at: datetime) -> None:
    """An allocation of every system."""
    with transaction(engine) as session:
        for one in session.scalars(select(System)).all():
            place: dict[str, Any] = {"region": REGION, "bureau_id": one.bureau_id, "system_id": one.id}
            amounts = Resources.of(servers=1)
            session.add(
                Allocation(key=f"k:{one.id}", amounts=amounts, state="settled", valid_from=at, **place)
            )


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/requests", {}),
        ("/requests", {"bureau": "1306"}),
        ("/servers", {}),
        ("/servers", {"bureau": "1306"}),
        (f"/bureaus/1306/grants/{REGION}/children", {}),
        ("/cases", {}),
    ],
)
def test_a_list_holds_nothing_of_the_bureaus_below(pair: Pair, path: str, asked: dict[str, str]) -> None:
    admin, token = pair
    assert len(admin.get(f"{API}{path}", params=asked).json()["items"]) == MANY
    assert token.get(f"{API}{path}", params=asked).json()["items"] == []


@pytest.mark.parametrize("path", ["/requests", "/servers"])
def test_a_list_holds_what_is_of_the_tokens_own_bureau(
    pair: Pair, sqlite_database: Engine, settings: Settings, path: str
) -> None:
    admin, _ = pair
    [system] = admin.get(f"{API}/bureaus/{BELOW}/systems").json()["items"]
    token = issue(Installation(settings, Clock(), sqlite_database), admin, system["code"])
    assert [one["bureau"] for one in token.get(f"{API}{path}").json()["items"]] == [BELOW]


@pytest.mark.parametrize("by", ["bureau", "system"])
def test_a_report_holds_no_row_of_the_bureaus_below(
    pair: Pair, sqlite_database: Engine, at: datetime, by: str
) -> None:
    hold_for_everyone(sqlite_database, at=at)
    asked = {"by": by, "bureau": "1306"}
    everything, own = (
        {row["bureau_code"] for row in client.get(f"{API}/reports/capacity", params=asked).json()["rows"]}
        for client in pair
    )
    assert len(everything) == MANY + 1
    assert own == {"1306"}


@pytest.mark.parametrize("by", ["region", "level"])
def test_a_report_whose_sums_hold_the_bureaus_below_is_refused(pair: Pair, by: str) -> None:
    admin, token = pair
    for asked in ({"by": by, "bureau": "1306"}, {"by": by}):
        assert admin.get(f"{API}/reports/capacity", params=asked).json()["rows"]
        answer = token.get(f"{API}/reports/capacity", params=asked)
        assert (answer.status_code, answer.json()["code"]) == (403, "people_only")


@pytest.mark.parametrize("path", ["/requests", "/servers", "/reports/capacity"])
def test_a_bureau_below_is_refused_by_name(pair: Pair, path: str) -> None:
    answer = pair[1].get(f"{API}{path}", params={"bureau": BELOW})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_token_for_certain_datasets_sees_no_case_about_another(
    api: Api, installation: Installation
) -> None:
    made, admin = share(installation), api("minzheng")
    seen = admin.get(f"{API}/cases").json()["items"]
    assert {one["subject"]["id"] for one in seen} == {made.pending, made.active}
    covering = issue(installation, admin, made.minzheng, datasets=[CODE])
    other = issue(installation, admin, made.minzheng, datasets=["1306-zhb/0002"])
    assert covering.get(f"{API}/cases").json()["items"] == seen
    assert other.get(f"{API}/cases").json()["items"] == []
    for one in seen:
        assert covering.get(f"{API}/cases/{one['number']}").status_code == 200
        assert other.get(f"{API}/cases/{one['number']}").status_code == 404
