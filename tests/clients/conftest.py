"""A portal in a process of its own over the sample city, a dataset of 市民政局, a token for its system."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta

import httpx2
import pytest

from approval.service import load_items
from exchange.schema import Item
from exchange.service.catalogue import Entry, create_dataset
from exchange.service.subscriptions import request_subscription
from identity.queries import get_bureau, get_system
from identity.service.people import find_person_by_login
from infra.clock import city_date
from infra.database import transaction
from infra.installation import Installation
from tests.portal.conftest import (  # noqa: F401 # fixtures
    Api,
    api,
    cheap_hashes,
    installation,
    prepared,
    sample_sqlite,
)
from tests.waiting import wait_until

DATASET, FULL, SYSTEM = "client/000001", "client/000002", "1306-mzj-s1"


class PortalProcess:
    """`siji serve` on a port of loopback, which can be killed and started again."""

    def __init__(self, here: Installation) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as found:
            port = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        told = {"SIJI_DATA_DIR": str(here.settings.data_dir), "SIJI_SAMPLE": "true"}
        self._env = {**os.environ, **told, "SIJI_PORTAL_PORT": str(port)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to answer, at some time after this returns."""
        command = [sys.executable, "-c", "from portal.cli.main import main; main()", "serve"]
        self._process = subprocess.Popen(command, env=self._env, stdout=subprocess.DEVNULL)

    def answers(self) -> bool:
        """Whether it does, already."""
        with suppress(httpx2.TransportError):
            return httpx2.get(f"{self.url}/sign-in", trust_env=False).is_success
        return False

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


@pytest.fixture
def portal(installation: Installation) -> Iterator[PortalProcess]:  # noqa: F811
    process = PortalProcess(installation)
    process.start()
    try:
        wait_until(process.answers)
        yield process
    finally:
        process.kill()


@pytest.fixture
def subscription(installation: Installation) -> int:  # noqa: F811
    """Of the system to a dataset of its own bureau; another dataset is replaced in full."""
    at = installation.clock.now()
    with transaction(installation.engine) as session:
        load_items(session, at=at)
        for code, mode in ((DATASET, "incremental"), (FULL, "full")):
            entry = Entry(
                code=code,
                name="名单",
                bureau_id=get_bureau(session, code="1306-mzj").id,
                share_type="unconditional",
                update_mode=mode,
                items=[Item("id", "text"), Item("name", "text", length=40)],
                key_items=["id"],
            )
            create_dataset(session, entry, actor="person:1", at=at)
        person = find_person_by_login(session, login="minzheng")
        assert person
        made = request_subscription(
            session,
            dataset_id=1,
            system_id=get_system(session, code=SYSTEM).id,
            person_id=person.id,
            items=["id", "name"],
            purpose="核对",
            basis="依法",
            until_on=city_date(at) + timedelta(days=30),
            at=at,
        )
        return made.id


@pytest.fixture
def token(api: Api, installation: Installation, subscription: int) -> str:  # noqa: F811
    until_on = (city_date(installation.clock.now()) + timedelta(days=30)).isoformat()
    wish = {"label": "客户端", "scopes": ["datasets:publish", "datasets:pull"], "expires_on": until_on}
    issued = api("minzheng").post(f"/api/v1/systems/{SYSTEM}/tokens", json=wish)
    assert issued.status_code == 201, issued.text
    text: str = issued.json()["text"]
    return text
