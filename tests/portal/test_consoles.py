"""The screen of a server in the lab's OpenStack: opened by who may, journalled, its address kept nowhere."""

import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from infra.database import reading, transaction
from infra.installation import Installation
from infra.journal import JournalEntry
from infra.settings import OpenStackRegion
from provisioning.cloud.observed import ServerStatus
from provisioning.models import Server
from tests.contract import openstack_lab
from tests.contract.openstack_lab import ZONE
from tests.portal.browser import send
from tests.portal.calls import cloud as calls
from tests.portal.commands import Named
from tests.portal.conftest import enter, portal_over
from tests.waiting import wait_until

PREPARED = (calls,)
KEY = "0f7c3c1e-5d5e-4e51-a7f6-7f2f6f6b1a11"


@pytest.fixture
def here(installation: Installation, named: Named) -> Iterator[Installation]:
    """The sample city, one of whose servers runs in the lab's OpenStack."""
    with openstack_lab.turn("city") as tested:
        cloud = tested.cloud
        flavor = cloud.ensure_flavor(name="g2", vcpus=2, ram_mib=4096, root_gib=40)
        project = cloud.ensure_project(bureau_code="1306-mzj", name="siji-1306-mzj", description="民政局")
        made = cloud.create_server(
            tag="walked", project_id=project, name="walked-1", flavor=flavor.name, image="Debian-12",
            zone=ZONE.name,
        )  # fmt: skip
        wait_until(lambda: cloud.get_server(made).status is ServerStatus.active)
        with transaction(installation.engine) as session:
            row = session.get_one(Server, named["server_id"])
            row.state, row.cloud_id, row.fault = "active", made, None
        region = OpenStackRegion(name="baoding", cloud="tested", zones=(ZONE,))
        told = {"cloud": "openstack", "openstack": (region,), "clouds_file": tested.clouds_file}
        yield replace(installation, settings=installation.settings.model_copy(update=told))


@pytest.mark.parametrize("cloud", ["openstack"])
def test_it_is_opened_journalled_and_kept_nowhere(
    cloud: str, here: Installation, named: Named, sample_sqlite: tuple[str, str]
) -> None:
    password = sample_sqlite[1]
    path = f"/servers/{named['server_id']}"
    asked = enter(here, "minzheng", password).post(f"/api/v1{path}/console", headers={"idempotency-key": KEY})
    assert asked.status_code == 200, asked.text
    assert asked.headers["cache-control"] == "no-store"
    person = TestClient(portal_over(here), follow_redirects=False)
    person.post("/sign-in", data={"login": "minzheng", "password": password})
    page = send(person, path, f"{path}/console")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    shown = re.search(r'href="(http://127\.0\.0\.1:[^"]+)"', page.text)
    assert shown is not None
    urls = [asked.json()["url"], shown[1].replace("&amp;", "&")]
    assert all(url.startswith("http://127.0.0.1:") for url in urls)
    secrets = {secret_of(url) for url in urls}
    assert len(secrets) == 2
    with reading(here.engine) as session:
        query = select(JournalEntry).where(JournalEntry.act == "server.console")
        assert [one.subject for one in session.scalars(query)] == [f"server:{named['server_id']}"] * 2
    kept = b"".join(file.read_bytes() for file in here.settings.data_dir.iterdir() if file.is_file())
    assert b"server.console" in kept
    assert not [one for one in secrets if one.encode() in kept]
    beside = enter(here, "renshe", password).post(f"/api/v1{path}/console")
    assert beside.status_code == 403


def secret_of(url: str) -> str:
    """noVNC's token, which stands in the path that the page is to connect to."""
    query = parse_qs(urlsplit(url).query)
    return unquote(query.get("token", query.get("path", [""]))[0]).rpartition("token=")[2]
