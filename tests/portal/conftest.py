"""The portal over the sample city and its people; a browser is a client with cookies."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from exchange.broker.connect import connect_broker
from identity import passwords
from identity.actor import INSTALLATION
from identity.queries import get_bureau
from identity.roles import Role
from identity.service.people import find_person_by_login
from identity.service.roles import give_role
from infra.database import transaction
from infra.installation import Installation, open_installation
from infra.settings import Settings
from portal.app import create_app
from portal.cli import remote
from portal.sample.aside import Aside
from portal.sample.city import load_systems, load_tree
from portal.sample.people import load_people
from provisioning.cloud.driver import Cloud
from tests.hashing import CHEAP
from tests.portal.cloud import open_cloud
from tests.portal.commands import HANGS_AFTER_S, Listening, Named, Siji, listen, prepare

SignIn = Callable[[str], TestClient]
Api = Callable[[str], TestClient]
_made: list[FastAPI] = []


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """Passwords are hashed as ever, only cheaply: the tests here sign in some hundred times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "HASHER", CHEAP)
        yield


@pytest.fixture(scope="session")
def sample_sqlite(
    _migrated_sqlite: Path, cheap_hashes: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str]:
    """URL of a SQLite file with the sample city, loaded once a worker; and its people's password."""
    folder = tmp_path_factory.mktemp("sample")
    file = folder / "siji.sqlite"
    file.write_bytes(_migrated_sqlite.read_bytes())
    url = f"sqlite:///{file}"
    installation = open_sample(folder)
    at = installation.clock.now()
    load_tree(installation.engine, at=at)
    aside = Aside()
    load_systems(installation.engine, at=at, aside=aside)
    password = load_people(installation.engine, data_dir=folder, at=at, aside=aside)
    assert not aside
    installation.engine.dispose()
    return url, password


@pytest.fixture(scope="module")
def prepared(
    request: pytest.FixtureRequest,
    sample_sqlite: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Named]:
    """The sample city with what the calls in the modules of the test file's PREPARED need, if it has one,
    made once: its folder, and the names of what was made."""
    folder = tmp_path_factory.mktemp("prepared")
    return folder, prepare(folder, sample_sqlite[0], *getattr(request.module, "PREPARED", ()))


@pytest.fixture
def installation(prepared: tuple[Path, Named], tmp_path: Path) -> Installation:
    """A copy of it for a test of its own."""
    return open_sample(Path(shutil.copytree(prepared[0], tmp_path, dirs_exist_ok=True)))


@pytest.fixture
def cloud(installation: Installation) -> Cloud:
    """The region of it, with room for two bureaus; see `open_cloud`."""
    return open_cloud(installation)


@pytest.fixture
def named(prepared: tuple[Path, Named]) -> Named:
    """What was made, by its names."""
    return prepared[1]


@pytest.fixture
def api(installation: Installation, sample_sqlite: tuple[str, str]) -> Api:
    """Signs a sample person in over the API; their client writes with the session's own secret."""
    return lambda login: enter(installation, login, sample_sqlite[1])


@pytest.fixture
def anonymous(installation: Installation) -> TestClient:
    """A browser that nobody signed in with."""
    return TestClient(portal_over(installation), follow_redirects=False)


@pytest.fixture
def sign_in(installation: Installation, sample_sqlite: tuple[str, str]) -> SignIn:
    """Signs a sample person in and returns their browser."""

    def enter(login: str) -> TestClient:
        browser = TestClient(portal_over(installation), follow_redirects=False)
        answer = browser.post("/sign-in", data={"login": login, "password": sample_sqlite[1]})
        assert answer.status_code == 303, answer.text
        return browser

    return enter


@pytest.fixture(scope="session")
def listening() -> Iterator[tuple[Listening, str]]:
    """A server on loopback, and its URL; which portal it serves is up to the test."""
    served = Listening()
    with listen(served) as url:
        yield served, url


@pytest.fixture
def siji(
    installation: Installation,
    sample_sqlite: tuple[str, str],
    listening: tuple[Listening, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Siji:
    """The `siji` command against a portal over the sample city, however slow the machine is."""
    monkeypatch.setattr(remote, "WAIT_S", HANGS_AFTER_S)
    served, url = listening
    served.portal = portal_over(installation)
    return Siji(url, tmp_path, sample_sqlite[1])


def portal_over(installation: Installation) -> FastAPI:
    """The portal, serving that installation from now on: one app, as making its routes takes long."""
    if not _made:
        _made.append(create_app(installation))
    [app] = _made
    if app.state.installation is not installation:
        app.state.installation, app.state.log = installation, connect_broker(installation.settings)
    return app


def enter(installation: Installation, login: str, password: str) -> TestClient:
    """A client with the session of that person."""
    client = TestClient(portal_over(installation), follow_redirects=False)
    answer = client.post("/api/v1/session", json={"login": login, "password": password})
    assert answer.status_code == 201, answer.text
    client.headers["x-csrf-token"] = answer.json()["csrf"]
    return client


def appoint(here: Installation, login: str, role: Role, code: str) -> None:
    """Give that person the role at that bureau, beside what they have."""
    with transaction(here.engine) as session:
        person = find_person_by_login(session, login=login)
        assert person
        where: dict[str, Any] = {"bureau_id": get_bureau(session, code=code).id, "at": here.clock.now()}
        give_role(session, actor=INSTALLATION, person_id=person.id, role=role, **where)


def csrf_of(browser: TestClient, path: str = "/") -> str:
    """The secret that the page puts into its forms."""
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get(path).text)
    assert found
    return found.group(1)


def open_sample(folder: Path) -> Installation:
    """The installation whose files are in `folder`."""
    return open_installation(Settings(data_dir=folder, sample=True))
