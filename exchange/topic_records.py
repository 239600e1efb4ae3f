"""A subscription's own topic: its name, and its records as any Kafka client finds them there. Pure.

What a record is about is in its headers. A full dataset's generation ends, in each partition, with a record
that says so, since its readers cannot ask.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from exchange.broker.driver import NewRecord
from exchange.digest import canonical

COMPLETE = "complete"
"""`op` of the record that ends a generation; the others' are `upsert` and `delete`."""


def topic_name(prefix: str, subscription_id: int, unique: str) -> str:
    """Of the topic, of its user, and of the beginning of that user's groups; none begins with another."""
    return f"{prefix}.subscription.{subscription_id}.{unique}"


def topic_record(
    *,
    dataset: str,
    partition: int,
    offset: int,
    op: str,
    ref: str,
    value: Mapping[str, Any],
    published_at: str,
    digest: str,
    generation: int | None,
    delivery_id: int | None,
) -> NewRecord:
    """A record as its subscriber sees it: keyed by `ref`; a delete has no value, but a header."""
    shown = canonical(dict(value))
    headers = {
        "op": op,
        "dataset": dataset,
        "offset": str(offset),
        "at": published_at,
        "digest": digest,
        "delivery": str(delivery_id),
    }
    if generation is not None:
        headers["generation"] = str(generation)
    if op == "delete":
        headers["deleted"] = shown.decode()
    return NewRecord(partition, ref.encode(), None if op == "delete" else shown, headers)


def ends_of_generation(dataset: str, generation: int, partitions: int) -> Iterator[NewRecord]:
    """One for each partition: with it, all of the generation is in the topic."""
    headers = {"op": COMPLETE, "dataset": dataset, "generation": str(generation)}
    value = canonical({"generation": generation})
    for partition in range(partitions):
        yield NewRecord(partition, b"", value, headers)


def client_properties(*, bootstrap: str, name: str, password: str) -> str:
    """What a Java client of Kafka has to be told to read the topic; the authority is in ca.pem beside it."""
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    lines = {
        "bootstrap.servers": bootstrap,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": f'{login} username="{name}" password="{password}";',
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "ca.pem",
        "group.id": f"{name}.consumer",
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())
