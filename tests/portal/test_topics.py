"""A subscription's own topic through the faces: opened, credential shown once, state and lag, ended."""

import html
import json
import re
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException

from exchange.broker.connect import connect_broker, connect_rights
from exchange.service.relaying import Relayer
from exchange.service.relays import get_relay
from exchange.service.rights import keep_rights, policy_of
from infra.database import reading
from infra.installation import Installation
from infra.lab.kafka.engine import Access
from infra.settings import Settings
from portal.api.topics import NAME
from tests.lab.kafka_clients import read_by_librdkafka
from tests.portal.commands import Siji
from tests.portal.conftest import SignIn, csrf_of
from tests.portal.sharing import Shared, share
from tests.shared_kafka import ABANDONS_SOCKETS

pytestmark = ABANDONS_SOCKETS


@pytest.fixture
def installation(installation: Installation, kafka: Access) -> Installation:
    """The same, on the lab's Kafka, with names of its own."""
    settings = Settings.model_validate(
        installation.settings.model_dump()
        | {
            "exchange": "kafka",
            "kafka_bootstrap": kafka.bootstrap,
            "kafka_ca_file": kafka.authority,
            "kafka_user": kafka.user,
            "kafka_password": kafka.password,
            "kafka_prefix": f"t{uuid.uuid4().hex[:12]}",
        }
    )
    return replace(installation, settings=settings)


@pytest.fixture
def shared(installation: Installation) -> Shared:
    return share(installation)


def work(here: Installation, subscription_id: int) -> str:
    """What the workers do when they are nudged; the topic's name."""
    broker, keeper = connect_broker(here.settings), connect_rights(here.settings)
    assert keeper
    Relayer(here.engine, broker, here.clock.now).relay(subscription_id)
    keep_rights(here.engine, keeper, policy_of(here.settings), at=here.clock.now())
    broker.close()
    keeper.close()
    with reading(here.engine) as session:
        return get_relay(session, subscription_id=subscription_id).name


def test_on_the_page_it_is_opened_and_read_with_what_is_shown_once(
    sign_in: SignIn, installation: Installation, shared: Shared, kafka: Access
) -> None:
    browser, path = sign_in("minzheng"), f"/subscriptions/{shared.active}"

    def send(act: str) -> Any:
        return browser.post(f"{path}/topic/{act}", data={"csrf": csrf_of(browser, path)})

    assert "开通专用主题" in browser.get(path).text
    assert send("open").headers["location"] == path
    assert "正在建立" in browser.get(path).text
    shown = html.unescape(send("credential").text)
    password = re.search(r'password="([^"]+)";', shown)
    assert password
    assert "BEGIN CERTIFICATE" in shown
    name = work(installation, shared.active)
    page = browser.get(path).text
    assert "持续写入" in page
    assert name in page
    assert password[1] not in page
    user = replace(kafka, user=name, password=password[1])
    (first, *_rest) = read_by_librdkafka(user, name, 1, group=f"{name}.consumer")
    assert set(json.loads(first or b"")) == {"id", "name"}
    assert "专用主题" in page[page.index("交付记录") :]  # the way of the delivery
    provider = sign_in("shuju").get(path).text
    assert name in provider
    assert "/topic/end" not in provider
    browser.post("/language", data={"language": "en"})
    assert "Issue another credential" in browser.get(path).text
    assert send("end").headers["location"] == path
    work(installation, shared.active)
    with pytest.raises(KafkaException):
        read_by_librdkafka(user, name, 1, group=f"{name}.consumer")
    assert "Open a topic" in browser.get(path).text


def test_the_command_opens_it_and_writes_the_clients_files(
    siji: Siji, installation: Installation, shared: Shared, tmp_path: Path
) -> None:
    number = shared.active
    made = siji.json(f"topics open {number}", by="minzheng")
    assert made["state"] == "making"
    assert made["lag"] > 0
    assert "已开通" in siji.refused(f"topics open {number}", by="minzheng")
    folder = tmp_path / "client"
    siji.did(f"topics credential {number} --to {folder}", by="minzheng")
    assert (folder / "client.properties").stat().st_mode & 0o077 == 0
    assert made["user"] in (folder / "client.properties").read_text()
    assert "BEGIN CERTIFICATE" in (folder / "ca.pem").read_text()
    work(installation, number)
    stands = siji.json(f"topics show {number}", by="minzheng")
    assert (stands["state"], stands["lag"]) == ("filled", 0)
    siji.did(f"topics end {number}", by="minzheng")
    assert "已停用" in siji.refused(f"topics credential {number}", by="minzheng")


def test_without_kafka_there_is_none(sign_in: SignIn, installation: Installation, shared: Shared) -> None:
    assert re.fullmatch(r"siji\.subscription\.\d+\.[0-9a-f]+", NAME)
    here = replace(installation, settings=Settings(data_dir=installation.settings.data_dir, sample=True))
    browser = sign_in("minzheng")
    app: Any = browser.app
    app.state.installation, app.state.log = here, connect_broker(here.settings)
    path = f"/subscriptions/{shared.active}"
    assert "开通专用主题" not in browser.get(path).text
    refused = browser.post(f"{path}/topic/open", data={"csrf": csrf_of(browser, path)})
    assert "未使用 Kafka" in refused.text
