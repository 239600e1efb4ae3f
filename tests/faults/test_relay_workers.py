"""Relaying and revoking through `siji worker`, by nudges alone: what is published arrives, what ends ends."""

import json
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Engine

from exchange.service.entitlements import revoke_subscription
from exchange.service.relays import issue_credential
from infra import jobs
from infra.clock import Clock, city_date
from infra.database import transaction
from infra.installation import Installation
from infra.lab.kafka.engine import Access
from infra.settings import Settings
from tests.brokers import open_kafka
from tests.factories import make_exchange
from tests.faults.conftest import Start
from tests.lab.kafka_clients import administrator, read_by_librdkafka
from tests.service.desk import upserts
from tests.service.provider import Provider
from tests.service.relay_desk import Counter
from tests.shared_kafka import ABANDONS_SOCKETS
from tests.waiting import wait_until

pytestmark = ABANDONS_SOCKETS
SIJI = str(Path(sys.executable).with_name("siji"))


@pytest.fixture
def desk(records: Engine, kafka: Access, start: Start, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    """A subscription with a topic, and a worker; sweeps come too late to help."""
    told = {
        "SIJI_EXCHANGE": "kafka",
        "SIJI_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "SIJI_KAFKA_CA_FILE": str(kafka.authority),
        "SIJI_KAFKA_USER": kafka.user,
        "SIJI_KAFKA_PASSWORD": kafka.password,
        "SIJI_KAFKA_PREFIX": f"t{uuid.uuid4().hex[:12]}",
        "SIJI_JOB_SWEEP_S": "3600",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    jobs.join(Installation(settings, Clock(), records))
    now, log = datetime.now(UTC), open_kafka()
    with transaction(records) as session:
        place = make_exchange(session, at=now)
    found = Counter(Provider(records, log, place, now))
    found.catalogue(partitions=2)
    found.subscribe("id", "name", until_on=city_date(now) + timedelta(days=30))
    start(SIJI, "worker", "--threads=2", more=told)
    found.prefix = settings.kafka_prefix
    found.open()
    yield found
    jobs.leave()
    log.delete_topic(found.name)
    log.close()


def test_what_is_published_arrives_and_a_revocation_bites(desk: Counter, kafka: Access) -> None:
    with transaction(desk.engine) as session:
        number = desk.subscription_id
        password = issue_credential(session, subscription_id=number, actor="person:1", at=desk.at)
    desk.publish(*upserts("1", "2", "3"))
    with administrator(kafka) as client:
        wait_until(lambda: desk.name in client.describe_user_scram_credentials())
        user = replace(kafka, user=desk.name, password=password)
        values = read_by_librdkafka(user, desk.name, 3, group=f"{desk.name}.a")
        assert sorted(json.loads(value or b"")["id"] for value in values) == ["1", "2", "3"]

        done = False

        def publish_on() -> None:
            n = 10
            while not done:
                desk.publish(*upserts(*(str(n + k) for k in range(10))))
                n += 10
                time.sleep(0.1)

        publisher = Thread(target=publish_on)
        publisher.start()
        try:
            wait_until(lambda: len(desk.topic()) > 20)
            began = time.monotonic()
            desk.entitle(revoke_subscription, reason="r")
            wait_until(lambda: desk.name not in client.describe_user_scram_credentials())
            took = time.monotonic() - began
            written = len(desk.topic())
            time.sleep(2)
        finally:
            done = True
            publisher.join()
    print(f"the user was gone after {took:.2f} s")
    assert took < 5
    assert len(desk.topic()) == written
    assert sum(one.count for one in desk.deliveries()) == written
