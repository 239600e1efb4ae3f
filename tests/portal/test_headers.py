"""The security headers are on every answer: pages, refusals, files, and failures that nobody foresaw."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from infra.database import transaction
from infra.installation import Installation
from infra.textfile import MAX_BYTES
from portal.headers import HEADERS
from tests.portal.conftest import SignIn, portal_over

ANSWERS = [
    ("GET", "/sign-in", 200),
    ("GET", "/", 303),
    ("GET", "/nowhere", 404),
    ("GET", "/static/no.css", 404),
    ("GET", "/%00", 422),
    ("POST", "/sign-in", 422),
    ("GET", "/api/v1/openapi.json", 200),
    ("GET", "/api/v1/me", 401),
    ("PUT", "/api/v1/me", 405),
    ("GET", "/api/v1/nowhere", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_refusals_and_pages_carry_them(anonymous: TestClient, method: str, path: str, status: int) -> None:
    answer = anonymous.request(method, path)
    assert answer.status_code == status
    assert answer.headers.items() >= lower(HEADERS).items()


@pytest.mark.parametrize(
    ("path", "kept_nowhere"),
    [("/static/siji.css", False), ("/sign-in", True), ("/api/v1/openapi.json", True)],
)
def test_only_files_may_be_kept_by_a_browser(anonymous: TestClient, path: str, kept_nowhere: bool) -> None:
    answer = anonymous.get(path)
    assert answer.status_code == 200
    assert (answer.headers.get("cache-control") == "no-store") is kept_nowhere


@pytest.mark.parametrize("length", [str(MAX_BYTES + 1), "9" * 5000])
def test_a_request_that_is_too_large_is_refused_with_them(anonymous: TestClient, length: str) -> None:
    answer = anonymous.post("/api/v1/session", headers={"content-length": length}, content=b"{}")
    assert answer.status_code == 413
    assert answer.headers.items() >= lower(HEADERS).items()


@pytest.mark.parametrize("path", ["/bureaus", "/api/v1/bureaus"])
def test_a_failure_carries_them_too(sign_in: SignIn, installation: Installation, path: str) -> None:
    cookies = sign_in("shenhe").cookies
    with transaction(installation.engine) as session:
        session.execute(text("ALTER TABLE bureaus RENAME TO gone"))
    broken = TestClient(portal_over(installation), cookies=cookies, raise_server_exceptions=False)
    answer = broken.get(path)
    assert answer.status_code == 500
    assert answer.headers.items() >= lower(HEADERS).items()
    assert answer.headers["cache-control"] == "no-store"


def lower(headers: dict[str, str]) -> dict[str, str]:
    """As the client names them."""
    return {name.lower(): value for name, value in headers.items()}
