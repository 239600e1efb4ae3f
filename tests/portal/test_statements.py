"""A list is read in as many statements for twenty rows as for one."""

from datetime import datetime

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from infra.clock import Clock
from infra.installation import Installation
from infra.settings import Settings
from tests.portal.conftest import enter
from tests.portal.crowd import MANY, PASSWORD, REGION, make_crowd
from tests.statements import statements

LISTS = [
    "/requests",
    "/servers",
    "/datasets/people/batches",
    "/people",
    "/systems",
    "/systems/first/tokens",
    "/cases",
    "/datasets",
    "/bureaus",
    f"/bureaus/1306/grants/{REGION}/children",
    "/bureaus/1306/roles",
]


@pytest.fixture
def operator(sqlite_database: Engine, settings: Settings, at: datetime) -> TestClient:
    """Somebody who sees the crowd."""
    make_crowd(sqlite_database, at=at)
    return enter(Installation(settings, Clock(), sqlite_database), "operator", PASSWORD)


@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_read_in_a_constant_number_of_statements(
    operator: TestClient, sqlite_database: Engine, path: str
) -> None:
    read: dict[int, int] = {}
    for limit in (1, MANY):
        with statements(sqlite_database) as said:
            items = operator.get(f"/api/v1{path}", params={"limit": limit}).json()["items"]
        assert len(items) == limit
        read[limit] = len(said)
    assert read[MANY] == read[1]


def test_the_page_of_the_catalogue_is_read_in_a_constant_number_of_statements(
    operator: TestClient, sqlite_database: Engine
) -> None:
    read: list[int] = []
    for search, count in (("people", 1), ("", MANY + 1)):
        with statements(sqlite_database) as said:
            page = operator.get("/catalogue", params={"search": search}).text
        assert page.count('href="/datasets/') == count
        read.append(len(said))
    assert read[0] == read[1]
