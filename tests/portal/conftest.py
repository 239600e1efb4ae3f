"""The portal over the sample city and its people; a browser is a client with cookies."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from identity import passwords
from infra.installation import Installation, open_installation
from infra.settings import Settings
from portal.app import create_app
from portal.sample.city import load_systems, load_tree
from portal.sample.people import load_people
from tests.hashing import CHEAP

SignIn = Callable[[str], TestClient]
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
    load_systems(installation.engine, at=at)
    password = load_people(installation.engine, data_dir=folder, at=at)
    installation.engine.dispose()
    return url, password


@pytest.fixture
def installation(sample_sqlite: tuple[str, str], tmp_path: Path) -> Installation:
    """The sample city on a copy of its own."""
    source = Path(sample_sqlite[0].removeprefix("sqlite:///"))
    copy = tmp_path / "siji.sqlite"
    copy.write_bytes(source.read_bytes())
    return open_sample(tmp_path)


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


def portal_over(installation: Installation) -> FastAPI:
    """The portal, serving that installation from now on: one app, as making its routes takes long."""
    if not _made:
        _made.append(create_app(installation))
    [app] = _made
    app.state.installation = installation
    return app


def csrf_of(browser: TestClient, path: str = "/") -> str:
    """The secret that the page puts into its forms."""
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get(path).text)
    assert found
    return found.group(1)


def open_sample(folder: Path) -> Installation:
    """The installation whose files are in `folder`."""
    return open_installation(Settings(data_dir=folder, sample=True))
