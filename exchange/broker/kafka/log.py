"""The log on Apache Kafka."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from weakref import WeakSet

from exchange.broker.driver import BrokerConflict, BrokerPermanent, NewRecord, Slice, Span
from exchange.broker.kafka.access import MAX_MESSAGE_BYTES, KafkaAccess
from exchange.broker.kafka.cluster import Cluster, Topic
from exchange.broker.kafka.failures import sorted_failures
from exchange.broker.kafka.marker import Marker
from exchange.broker.kafka.readers import Readers
from exchange.broker.kafka.receipts import Receipts
from exchange.broker.kafka.writers import Writers
from exchange.broker.limits import check_new_topic, check_partition, check_sizes, no_topic

CONFIGS = {"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": str(MAX_MESSAGE_BYTES)}

LAG_S = 0.2


@dataclass(frozen=True)
class _Connections:
    """All that a process has open."""

    cluster: Cluster
    readers: Readers
    receipts: Receipts
    writers: Writers

    @classmethod
    def of(cls, access: KafkaAccess, size: int) -> Self:
        cluster = Cluster(access)
        readers = Readers(access, cluster, size=size)
        receipts = Receipts(cluster, readers)
        return cls(cluster, readers, receipts, Writers(access, receipts, size=size))


class KafkaLog:
    """A `Broker` on Kafka. Safe to share between threads; a fork gets connections of its own.

    At most `connections` producers and as many consumers are open, each when it is first needed.
    """

    def __init__(self, access: KafkaAccess, *, connections: int) -> None:
        self._access, self._size = access, connections
        self._open = _Connections.of(access, connections)
        self._inherited: list[_Connections] = []  # kept, since giving them up would use the parent's sockets
        _logs.add(self)

    def create_topic(self, topic: str, *, partitions: int) -> None:
        """See `Broker`."""
        check_new_topic(topic, partitions)
        with sorted_failures("create_topic", topic):
            found = self._open.cluster.find_topic(topic)
            if found is None:
                self._open.cluster.create_topic(topic, partitions, CONFIGS)
                found = self._open.cluster.find_topic(topic)  # another process may have been first
        if found and found.partitions != partitions:
            raise BrokerConflict(
                operation="create_topic",
                topic=topic,
                why_zh=f"该主题已有 {found.partitions} 个分区",
                why_en=f"the topic is there with {found.partitions} partitions",
            )

    def delete_topic(self, topic: str) -> None:
        """See `Broker`."""
        with sorted_failures("delete_topic", topic):
            self._open.cluster.delete_topic(topic)
            self._open.readers.forget(topic)

    def partitions(self, topic: str) -> int | None:
        """See `Broker`."""
        with sorted_failures("partitions", topic):
            found = self._open.cluster.find_topic(topic)
        return found.partitions if found else None

    def new_marker(self, topic: str) -> str:
        """See `Broker`."""
        with sorted_failures("new_marker", topic):
            return str(self._open.writers.new_marker())

    def append(self, topic: str, *, marker: str, records: Sequence[NewRecord]) -> dict[int, Span]:
        """See `Broker`."""
        made = _marker("append", topic, marker)
        writers, receipts = self._open.writers, self._open.receipts
        with sorted_failures("append", topic):
            found = self._topic("append", topic)
            _check_records(found, records)
            with writers.first_try(made) as writer:
                if writer:
                    return writer.write(found, made, records)
            spans = receipts.find(found, made)
            if spans is not None:
                return spans
            with writers.taken_over(made) as writer:
                spans = receipts.find_for_good(found, made)
                return writer.write(found, made, records) if spans is None else spans

    def find_batch(self, topic: str, *, marker: str) -> dict[int, Span] | None:
        """See `Broker`."""
        with sorted_failures("find_batch", topic):
            found = self._topic("find_batch", topic)
            return self._open.receipts.find(found, _marker("find_batch", topic, marker))

    def read(self, topic: str, *, partition: int, offset: int, limit: int) -> Slice:
        """See `Broker`."""
        with sorted_failures("read", topic):
            return self._open.readers.read(topic, partition, offset, limit)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """See `Broker`."""
        with sorted_failures("end_offsets", topic):
            found = self._topic("end_offsets", topic)
            return self._open.cluster.ends(topic, range(found.partitions))

    def commit_offsets(self, topic: str, *, group: str, offsets: Mapping[int, int]) -> None:
        """See `Broker`."""
        with sorted_failures("commit_offsets", topic):
            found = self._topic("commit_offsets", topic)
            for partition in offsets:
                check_partition("commit_offsets", topic, partition, found.partitions)
            self._open.cluster.note_offsets(group, topic, offsets)

    def fetch_offsets(self, topic: str, *, group: str) -> dict[int, int]:
        """See `Broker`."""
        with sorted_failures("fetch_offsets", topic):
            found = self._topic("fetch_offsets", topic)
            return self._open.cluster.noted_offsets(group, topic, found.partitions)

    def close(self) -> None:
        """See `Broker`."""
        with sorted_failures("close", ""):
            self._open.writers.close()
            self._open.readers.close()
            self._open.cluster.close()

    def start_afresh(self) -> None:
        """After a fork, in the child: connections of its own."""
        self._open.writers.abandon()
        self._inherited.append(self._open)
        self._open = _Connections.of(self._access, self._size)

    def _topic(self, operation: str, topic: str) -> Topic:
        found = self._open.cluster.find_topic(topic)
        if found is None:  # or another broker, that was just made aware of it, was asked
            time.sleep(LAG_S)
            found = self._open.cluster.find_topic(topic)
        if found is None:
            raise no_topic(operation, topic)
        return found


def _check_records(topic: Topic, records: Sequence[NewRecord]) -> None:
    check_sizes(topic.name, records)
    for partition in {record.partition for record in records}:
        check_partition("append", topic.name, partition, topic.partitions)


def _marker(operation: str, topic: str, marker: str) -> Marker:
    made = Marker.read(marker)
    if made is None:
        raise BrokerPermanent(
            operation=operation,
            topic=topic,
            why_zh="批次标记不是由 Kafka 日志生成的",
            why_en="the batch's marker was not made by the log on Kafka",
        )
    return made


def _after_fork() -> None:
    for log in list(_logs):
        log.start_afresh()


_logs: WeakSet[KafkaLog] = WeakSet()
os.register_at_fork(after_in_child=_after_fork)
