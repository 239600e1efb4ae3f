"""Topics, users and rights on the lab's Kafka, brought to what the records say."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import pytest
from confluent_kafka import KafkaError as RdError
from confluent_kafka import KafkaException
from kafka import KafkaConsumer
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.errors import GroupAuthorizationFailedError, KafkaError
from kafka.protocol.admin import AlterClientQuotasRequest
from sqlalchemy import Engine

from exchange.broker.kafka.rights import KafkaRights
from exchange.rights import Policy
from exchange.service.entitlements import pause_subscription, resume_subscription, revoke_subscription
from exchange.service.relays import end_topic, issue_credential, open_topic
from exchange.service.rights import Outcome, check_rights, keep_rights
from infra.database import transaction
from infra.lab.kafka.engine import Access
from tests.brokers import kafka_access
from tests.lab.kafka_clients import administrator, read_by_java, read_by_librdkafka
from tests.service.desk import upserts
from tests.service.provider import open_provider
from tests.service.relay_desk import Counter
from tests.shared_kafka import ABANDONS_SOCKETS

pytestmark = ABANDONS_SOCKETS
SCRAM = ScramMechanism.SCRAM_SHA_512


class Reader(Counter):
    """A subscription whose topic is read by a client of its own; the installation has a prefix of its own."""

    def begin(self, access: Access) -> None:
        self.access = access
        self.prefix = f"t{uuid.uuid4().hex[:12]}"
        self.policy = Policy(self.prefix, None, retention_days=3, byte_rate=1e6)
        self.keeper = KafkaRights(kafka_access())
        self.catalogue(partitions=2)
        self.subscribe("id", "name")
        with transaction(self.engine) as session:
            opened = open_topic(
                session,
                subscription_id=self.subscription_id,
                prefix=self.prefix,
                actor="person:1",
                at=self.at,
            )
            self.name = opened.name
        self.password = self.issue()
        self.publish(*upserts(*"12345"))
        self.relay()

    def issue(self) -> str:
        with transaction(self.engine) as session:
            return issue_credential(
                session, subscription_id=self.subscription_id, actor="person:1", at=self.at
            )

    def keep(self) -> Outcome:
        return keep_rights(self.engine, self.keeper, self.policy, at=self.at)

    def check(self) -> list[str]:
        found = check_rights(self.engine, self.keeper, self.policy, at=self.at)
        return [one.kind for one in found if self.prefix in f"{one.name}{one.acl}"]

    def consumer(self, *, group: str | None = None, topic: str | None = None, password: str = "") -> Any:
        consumer = KafkaConsumer(
            bootstrap_servers=self.access.bootstrap.split(","),
            security_protocol="SASL_SSL",
            ssl_cafile=str(self.access.authority),
            sasl_mechanism="SCRAM-SHA-512",
            sasl_plain_username=self.name,
            sasl_plain_password=password or self.password,
            group_id=group or f"{self.name}.a",
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            bootstrap_timeout_ms=6_000,
        )
        consumer.subscribe([topic or self.name])
        return consumer

    def read(self, count: int, **how: Any) -> list[str]:
        """That many records' ops, or what the client raises."""
        consumer = self.consumer(**how)
        found: list[str] = []
        deadline = time.monotonic() + 20
        try:
            while len(found) < count:
                assert time.monotonic() < deadline
                for records in consumer.poll(500).values():
                    found += [dict(record.headers)["op"].decode() for record in records]
        finally:
            consumer.close(autocommit=False)
        return found


@pytest.fixture
def reader(kafka: Access, database: Engine, tmp_path: Path, at: datetime) -> Iterator[Reader]:
    with open_provider(database, tmp_path, at, kind="kafka") as provider:
        found = Reader(provider)
        found.begin(kafka)
        yield found
        found.entitle(revoke_subscription, reason="the test is over") if _is_live(found) else None
        found.keep()
        found.log.delete_topic(found.name)
        found.keeper.close()


def _is_live(reader: Reader) -> bool:
    return reader.state() in ("active", "paused")


def test_the_given_credential_reads_the_own_topic_and_nothing_else(reader: Reader) -> None:
    kinds = {one.kind for one in reader.keep().repaired}
    assert kinds == {"topic_config", "user_missing", "acl_missing", "quota_missing"}
    assert reader.check() == []
    assert reader.keep().repaired == ()
    assert reader.read(5) == ["upsert"] * 5
    assert reader.read(5, group=f"{reader.name}-another") == ["upsert"] * 5
    with pytest.raises(GroupAuthorizationFailedError):
        reader.read(1, group="another")


def test_librdkafka_reads_the_own_topic_and_nothing_else(reader: Reader) -> None:
    reader.keep()
    user = replace(reader.access, user=reader.name, password=reader.password)
    group = f"{reader.name}.librdkafka"
    values = read_by_librdkafka(user, reader.name, 5, group=group)
    assert sorted(json.loads(value or b"")["id"] for value in values) == list("12345")
    for topic in (reader.dataset_topic(), "siji.receipts"):
        with pytest.raises(KafkaException) as refused:
            read_by_librdkafka(user, topic, 1, group=group)
        assert refused.value.args[0].code() == RdError.TOPIC_AUTHORIZATION_FAILED
    with pytest.raises(KafkaException) as refused:
        read_by_librdkafka(user, reader.name, 1, group="another")
    assert refused.value.args[0].code() == RdError.GROUP_AUTHORIZATION_FAILED


def test_the_java_console_consumer_reads_the_own_topic_and_nothing_else(reader: Reader) -> None:
    reader.keep()
    user = replace(reader.access, user=reader.name, password=reader.password)
    group = f"{reader.name}.java"
    with TemporaryDirectory(prefix="siji-java-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        lines = read_by_java(user, reader.name, 5, group=group, folder=folder)
        assert sorted(json.loads(line)["id"] for line in lines if line.startswith("{")) == list("12345")
        refused = read_by_java(user, reader.dataset_topic(), 1, group=group, folder=folder)
        assert "TopicAuthorizationException" in "".join(refused)
        assert "Processed a total of 0 messages" in refused
        refused = read_by_java(user, reader.name, 1, group="another", folder=folder)
        assert "GroupAuthorizationException" in "".join(refused)
        assert "Processed a total of 0 messages" in refused


def test_drift_is_found_and_repaired(reader: Reader) -> None:
    reader.keep()
    name, stranger = reader.name, f"{reader.prefix}.subscription.999999.0f0f0f0f"

    def acl(user: str, operation: Any, kind: Any, target: str) -> ACL:
        return ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, ResourcePattern(kind, target))

    with administrator(reader.access) as client:
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "1000"})])
        changed = UserScramCredentialUpsertion(name, SCRAM, "another", iterations=4096)
        extra = UserScramCredentialUpsertion(stranger, SCRAM, "another")
        foreign = UserScramCredentialUpsertion(f"not-{stranger}", SCRAM, "another")
        client.alter_user_scram_credentials([changed, extra, foreign])
        client.create_acls(
            [
                acl(name, ACLOperation.WRITE, ResourceType.TOPIC, name),
                acl(stranger, ACLOperation.READ, ResourceType.TOPIC, name),
                acl(f"not-{stranger}", ACLOperation.READ, ResourceType.TOPIC, name),
            ]
        )
        entries = [([("user", name)], [("consumer_byte_rate", 5.0, False)])]
        client._manager.run(client._manager.send, AlterClientQuotasRequest(entries=entries))
        client.create_topics({stranger: {"num_partitions": 1, "replication_factor": 1}})
    found = reader.check()
    assert sorted(found) == [
        "acl_extra",
        "acl_extra",
        "acl_foreign",
        "quota_changed",
        "topic_config",
        "topic_stray",
        "user_changed",
        "user_extra",
    ]
    reader.keep()
    assert reader.check() == ["acl_foreign", "topic_stray"]
    assert reader.read(5, group=f"{name}.b") == ["upsert"] * 5
    with administrator(reader.access) as client:
        users = client.describe_user_scram_credentials()
        assert stranger not in users
        assert f"not-{stranger}" in users
        client.alter_user_scram_credentials([UserScramCredentialDeletion(f"not-{stranger}", SCRAM)])
        client.delete_topics([stranger, name])
    reader.log.partitions(name)
    assert "topic_missing" in {one.kind for one in reader.keep().repaired}
    assert reader.log.partitions(name) == 2


def test_what_is_lost_of_rights_is_given_back_without_the_password(reader: Reader) -> None:
    reader.keep()
    with administrator(reader.access) as client:
        client.alter_user_scram_credentials([UserScramCredentialDeletion(reader.name, SCRAM)])
    assert reader.check() == ["user_missing"]
    reader.keep()
    assert reader.read(5) == ["upsert"] * 5


def test_a_new_password_ends_the_old_one(reader: Reader) -> None:
    reader.keep()
    old, reader.password = reader.password, reader.issue()
    reader.keep()
    assert reader.read(5) == ["upsert"] * 5
    with pytest.raises(KafkaError):
        reader.read(5, password=old)


@pytest.mark.parametrize("how", ["revoke", "pause", "end", "expire"])
def test_an_open_session_reads_nothing_more(reader: Reader, how: str) -> None:
    """100 records a second flow; one reader keeps its connection open all the time."""
    reader.keep()
    came: list[float] = []
    refused: list[float] = []
    written: list[float] = []
    done = False

    def read_on() -> None:
        consumer = reader.consumer()
        while not done:
            try:
                for records in consumer.poll(100).values():
                    came.extend(time.monotonic() for _ in records)
            except KafkaError:
                refused.append(time.monotonic())
                time.sleep(0.05)
        consumer.close(autocommit=False)

    def write_on() -> None:
        """Into the topic itself, as nothing but the rights is to keep its reader from it."""
        while not done:
            marker = reader.log.new_marker(reader.name)
            reader.log.append(reader.name, marker=marker, records=reader.some(10, 10 * len(written)))
            written.append(time.monotonic())
            time.sleep(0.1)

    threads = [Thread(target=read_on), Thread(target=write_on)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 60
        while len(came) < 200:
            assert time.monotonic() < deadline, (len(came), len(refused), written)
            time.sleep(0.05)
        began = time.monotonic()
        if how == "revoke":
            reader.entitle(revoke_subscription, reason="r")
        elif how == "pause":
            reader.entitle(pause_subscription, reason="r")
        elif how == "end":
            with transaction(reader.engine) as session:
                end_topic(session, subscription_id=reader.subscription_id, actor="person:1", at=reader.at)
        else:
            reader.at += timedelta(days=400)
        reader.keep()
        took = time.monotonic() - began
        time.sleep(6)
    finally:
        done = True
        for thread in threads:
            thread.join()
    last = max(came) - began
    print(f"{how}: rights gone after {took:.2f} s, last record after {last:.2f} s")
    assert last < 5
    assert refused
    assert max(written) - began > 5
    if how == "pause":
        reader.entitle(resume_subscription)
        reader.keep()
        assert reader.read(5, group=f"{reader.name}.b")[:5] == ["upsert"] * 5


def test_the_command_tells_what_is_different_and_repairs_it(reader: Reader, tmp_path: Path) -> None:
    access = kafka_access()
    told = {
        "DATA_DIR": tmp_path,
        "DATABASE_URL": reader.engine.url.render_as_string(hide_password=False),
        "EXCHANGE": "kafka",
        "KAFKA_BOOTSTRAP": access.bootstrap,
        "KAFKA_CA_FILE": access.ca_file,
        "KAFKA_USER": access.user,
        "KAFKA_PASSWORD": access.password,
        "KAFKA_PREFIX": reader.prefix,
    }
    env = os.environ | {f"SIJI_{name}": str(value) for name, value in told.items()}

    def rights(*words: str) -> tuple[int, set[tuple[str, str]]]:
        command = [str(Path(sys.executable).with_name("siji")), "exchange", "rights", "--json", *words]
        result = subprocess.run(command, env=env, capture_output=True, text=True)
        rows = json.loads(result.stdout)
        return result.returncode, {
            (row["kind"], row["outcome"]) for row in rows if row["name"] == reader.name
        }

    kinds = ("topic_config", "user_missing", "acl_missing", "quota_missing")
    assert rights() == (1, {(kind, "repairable") for kind in kinds})
    assert rights("--apply")[1] == {(kind, "repaired") for kind in kinds}
    assert rights()[1] == set()
