"""Three kinds of clients of the lab's Kafka: kafka-python, librdkafka, and Kafka's own console consumer."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import confluent_kafka
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.errors import KafkaError

from infra.lab.kafka import engine
from infra.lab.kafka.engine import Access

WITHIN_S = 60


@dataclass(frozen=True)
class Rights:
    """What a user of the tests may do with a topic or a group of that name."""

    operation: ACLOperation
    kind: ResourceType
    name: str


def unique(what: str) -> str:
    """A name that nobody else uses."""
    return f"lab-{what}-{uuid.uuid4().hex[:12]}"


def administrator(access: Access) -> Any:
    """To be closed by the caller: a context manager."""
    return KafkaAdminClient(**_of_python(access))


def make_topic(access: Access, *, replicas: int = 1) -> str:
    """A new topic with one partition; its name."""
    name = unique("topic")
    with administrator(access) as client:
        client.create_topics({name: {"num_partitions": 1, "replication_factor": replicas}})
    return name


def make_user(access: Access, rights: Iterable[Rights] = ()) -> Access:
    """A new user with these rights and no others; how that one signs in."""
    user = replace(access, user=unique("user"), password=uuid.uuid4().hex)
    with administrator(access) as client:
        credential = UserScramCredentialUpsertion(
            user.user, ScramMechanism.SCRAM_SHA_512, user.password, iterations=4096
        )
        assert client.alter_user_scram_credentials([credential]) == {user.user: None}
        acls = [
            ACL(
                f"User:{user.user}",
                "*",
                one.operation,
                ACLPermissionType.ALLOW,
                ResourcePattern(one.kind, one.name),
            )
            for one in rights
        ]
        if acls:
            assert not client.create_acls(acls)["failed"]
    return user


def write(access: Access, topic: str, *values: bytes) -> None:
    """Acknowledged by all replicas, or raises what the producer raises."""
    producer = KafkaProducer(**_of_python(access), acks="all", request_timeout_ms=5_000)
    try:
        for value in values:
            producer.send(topic, value).get(timeout=WITHIN_S)
    finally:
        producer.close()


def seconds_until_cut_off(user: Access, topic: str, *, by: Access) -> float:
    """How long after its deletion `by` an administrator a user's open connection still had a record taken."""
    producer = KafkaProducer(
        **_of_python(user), acks="all", delivery_timeout_ms=5_000, request_timeout_ms=4_000
    )
    deletion = UserScramCredentialDeletion(user.user, ScramMechanism.SCRAM_SHA_512)
    try:
        producer.send(topic, b"before").get(timeout=WITHIN_S)
        with administrator(by) as client:
            assert client.alter_user_scram_credentials([deletion]) == {user.user: None}
            deleted = taken = time.monotonic()
            while taken < deleted + WITHIN_S and _is_taken(producer, topic):
                taken = time.monotonic()
    finally:
        producer.close(timeout=1)
    return taken - deleted


def _is_taken(producer: Any, topic: str) -> bool:
    try:
        producer.send(topic, b"after").get(timeout=WITHIN_S)
    except KafkaError:
        return False
    return True


def read(access: Access, topic: str, count: int) -> list[bytes]:
    """The first `count` values, by kafka-python without a group."""
    consumer = KafkaConsumer(
        topic, **_of_python(access), auto_offset_reset="earliest", consumer_timeout_ms=1_000 * WITHIN_S
    )
    try:
        return [next(consumer).value for _ in range(count)]
    finally:
        consumer.close()


def read_by_librdkafka(access: Access, topic: str, count: int, *, group: str) -> list[bytes | None]:
    """The first `count` values; `confluent_kafka.KafkaException` where that is refused."""
    faults: list[confluent_kafka.KafkaError] = []
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": access.bootstrap,
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(access.authority),
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": access.user,
            "sasl.password": access.password,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "error_cb": faults.append,
            "log_level": 0,
        }
    )
    found: list[bytes | None] = []
    consumer.subscribe([topic])
    deadline = time.monotonic() + WITHIN_S
    try:
        while len(found) < count:
            message = consumer.poll(1)
            fault = message.error() if message is not None else next(filter(_lasts, faults), None)
            if fault is not None:
                raise confluent_kafka.KafkaException(fault)
            if message is not None:
                found.append(message.value())
            assert time.monotonic() < deadline, faults
    finally:
        consumer.close()
    return found


def read_by_java(access: Access, topic: str, count: int, *, group: str, folder: Path) -> list[str]:
    """The first `count` values, as lines; `folder` is one that the lab's account can reach."""
    file = folder / f"{access.user}.properties"
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    file.write_text(
        "security.protocol=SASL_SSL\n"
        "sasl.mechanism=SCRAM-SHA-512\n"
        f'sasl.jaas.config={login} username="{access.user}" password="{access.password}";\n'
        "ssl.truststore.type=PEM\n"
        f"ssl.truststore.location={access.authority}\n"
    )
    printed = engine.tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *("--bootstrap-server", access.bootstrap, "--consumer.config", str(file), "--topic", topic),
        *("--group", group, "--from-beginning", "--max-messages", str(count)),
        *("--timeout-ms", str(1_000 * WITHIN_S)),
    )
    return printed.splitlines()


def _lasts(fault: confluent_kafka.KafkaError) -> bool:
    """Whether a connection fails for good, not because the broker is slow."""
    return fault.code() == fault._AUTHENTICATION or "SSL_HANDSHAKE" in fault.str()


def _of_python(access: Access) -> dict[str, Any]:
    return {
        "bootstrap_servers": access.bootstrap.split(","),
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(access.authority),
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": access.user,
        "sasl_plain_password": access.password,
    }
