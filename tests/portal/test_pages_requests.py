"""The pages of requests beyond their usual way: quota changes, servers that change meanwhile, dead ends."""

import pytest
from fastapi.testclient import TestClient

from infra.installation import Installation
from provisioning.cloud.driver import Cloud
from tests.portal.browser import form_on, send
from tests.portal.cloud import MINZHENG, open_cloud
from tests.portal.conftest import SignIn

CHANGE = f"/requests/new?kind=quota_change&bureau={MINZHENG}"


@pytest.fixture
def cloud(installation: Installation) -> Cloud:
    return open_cloud(installation)


@pytest.fixture
def admin(sign_in: SignIn, cloud: Cloud) -> TestClient:
    """The browser of 市民政局's admin."""
    return sign_in("minzheng")


def test_a_quota_change_warns_of_what_the_parent_lacks(admin: TestClient) -> None:
    typed = form_on(admin.get(CHANGE).text, "/requests/new")
    assert typed["limit.vcpus"] == ["40"]
    within = send(admin, CHANGE, "/requests/new", {"purpose": "扩容", "limit.vcpus": "50"})
    assert "配额预警" not in admin.get(within.headers["location"]).text
    beyond = send(admin, CHANGE, "/requests/new", {"purpose": "扩容", "limit.vcpus": "100000"})
    page = admin.get(beyond.headers["location"]).text
    assert ("配额预警" in page, "<td>保定市</td><td>vCPU</td>" in page) == (True, True)
