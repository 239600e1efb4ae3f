"""The logs that tests run on: the embedded one, and the lab's Kafka."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from uuid import uuid4

from exchange.broker.driver import Broker, LogRecord, NewRecord, Slice, Span
from exchange.broker.embedded import EmbeddedLog
from exchange.broker.kafka.access import KafkaAccess
from exchange.broker.kafka.log import KafkaLog
from infra.lab.kafka import engine


@cache
def kafka_access(state: Path | None = None) -> KafkaAccess:
    """How the administrator of a lab's Kafka signs in; of the shared one, which this starts, if not said."""
    if state is None:
        engine.up()
    found = engine.access(state)
    return KafkaAccess(found.bootstrap, found.authority, found.user, found.password)


class Renamed:
    """A log whose topics `t`, `u` and `none` have other names, so that tests can share one."""

    def __init__(self, broker: Broker, names: Mapping[str, str]) -> None:
        self.broker, self._names = broker, names

    def create_topic(self, topic: str, *, partitions: int) -> None:
        self.broker.create_topic(self._name(topic), partitions=partitions)

    def delete_topic(self, topic: str) -> None:
        self.broker.delete_topic(self._name(topic))

    def partitions(self, topic: str) -> int | None:
        return self.broker.partitions(self._name(topic))

    def new_marker(self, topic: str) -> str:
        return self.broker.new_marker(self._name(topic))

    def append(self, topic: str, *, marker: str, records: Sequence[NewRecord]) -> dict[int, Span]:
        return self.broker.append(self._name(topic), marker=marker, records=records)

    def find_batch(self, topic: str, *, marker: str) -> dict[int, Span] | None:
        return self.broker.find_batch(self._name(topic), marker=marker)

    def read(self, topic: str, *, partition: int, offset: int, limit: int) -> Slice:
        return self.broker.read(self._name(topic), partition=partition, offset=offset, limit=limit)

    def end_offsets(self, topic: str) -> dict[int, int]:
        return self.broker.end_offsets(self._name(topic))

    def commit_offsets(self, topic: str, *, group: str, offsets: Mapping[int, int]) -> None:
        self.broker.commit_offsets(self._name(topic), group=group, offsets=offsets)

    def fetch_offsets(self, topic: str, *, group: str) -> dict[int, int]:
        return self.broker.fetch_offsets(self._name(topic), group=group)

    def close(self) -> None:
        self.broker.close()

    def _name(self, topic: str) -> str:
        return self._names.get(topic, topic)


def own_names() -> dict[str, str]:
    """Names that no other test has."""
    return {name: f"{name}-{uuid4().hex[:12]}" for name in ("t", "u", "none")}


def everything(broker: Broker, topic: str, partition: int, limit: int = 10_000) -> list[LogRecord]:
    """All that a partition holds."""
    found: list[LogRecord] = []
    offset = 0
    while (part := broker.read(topic, partition=partition, offset=offset, limit=limit)).records:
        found += part.records
        offset = part.next_offset
    return found


def open_log(kind: str, folder: Path) -> EmbeddedLog | KafkaLog:
    """One more connection: `embedded` lies in the folder, `kafka` is the shared lab's, `own kafka` is that of
    the lab whose state folder it is."""
    if kind == "embedded":
        return EmbeddedLog(folder / "log.sqlite")
    return open_kafka() if kind == "kafka" else KafkaLog(kafka_access(folder), connections=4)


def open_kafka(connections: int = 4) -> KafkaLog:
    """A connection of the lab's administrator."""
    return KafkaLog(kafka_access(), connections=connections)
