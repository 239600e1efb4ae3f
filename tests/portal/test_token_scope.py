"""A token acts at its system's own bureau alone: no list tells it of the bureaus below."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from infra.clock import Clock, city_date
from infra.installation import Installation
from infra.settings import Settings
from tests.portal.conftest import enter, portal_over
from tests.portal.crowd import MANY, PASSWORD, REGION, make_crowd

API = "/api/v1"
SCOPES = ["requests:read", "servers:read", "grants:read", "reports:read", "subscriptions:read"]
Pair = tuple[TestClient, TestClient]


@pytest.fixture
def pair(sqlite_database: Engine, settings: Settings, at: datetime) -> Pair:
    """The admin of a city with many bureaus below it, and a token of the city's own system."""
    make_crowd(sqlite_database, at=at)
    here = Installation(settings, Clock(), sqlite_database)
    admin = enter(here, "operator", PASSWORD)
    wish: dict[str, Any] = {"label": "只读", "scopes": SCOPES}
    wish["expires_on"] = (city_date(Clock().now()) + timedelta(days=30)).isoformat()
    issued = admin.post(f"{API}/systems/first/tokens", json=wish)
    token = TestClient(portal_over(here))
    token.headers["authorization"] = f"Bearer {issued.json()['text']}"
    return admin, token


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


def test_a_report_holds_no_row_of_the_bureaus_below(pair: Pair) -> None:
    asked = {"by": "bureau", "bureau": "1306"}
    everything, own = (
        {row["bureau_code"] for row in client.get(f"{API}/reports/capacity", params=asked).json()["rows"]}
        for client in pair
    )
    assert len(everything) == MANY + 1
    assert own == {"1306"}


@pytest.mark.parametrize("path", ["/requests", "/servers", "/reports/capacity"])
def test_a_bureau_below_is_refused_by_name(pair: Pair, path: str) -> None:
    answer = pair[1].get(f"{API}{path}", params={"bureau": "130600"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
