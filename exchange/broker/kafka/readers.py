"""Reading: consumers without a group, lent to one reader at a time.

One that stands where the next reader wants to go on is lent to it, with what it has fetched ahead.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Condition
from typing import Any

import kafka.errors as raised
from kafka import KafkaConsumer, TopicPartition

from exchange.broker.driver import LogRecord, Slice
from exchange.broker.kafka.access import LOCK_S, MAX_FETCH_BYTES, READ_S, KafkaAccess
from exchange.broker.kafka.cluster import Cluster
from exchange.broker.kafka.network import sign_in

WAIT_MS = 50
LONGEST_FETCH_MS = 20
"""A fetch at a partition's end comes back after this long: the consumer's next reader waits behind it."""


class _Reader:
    """A consumer and where it stands."""

    def __init__(self, consumer: Any) -> None:
        self.consumer = consumer
        self.place: TopicPartition | None = None
        self.position = -1

    def go_to(self, place: TopicPartition, offset: int) -> None:
        """Stand there, if it does not yet."""
        if self.place != place:
            self.consumer.assign([place])
            self.place = place
        elif self.position == offset:
            return
        self.consumer.seek(place, offset)
        self.position = offset

    def read(self, limit: int, *, end: Callable[[], int], start: Callable[[], int]) -> Slice:
        """What comes next. `end` is asked when nothing comes: it tells an empty topic from missing rights."""
        deadline = time.monotonic() + READ_S
        wait_ms, last = 0, None
        while True:
            try:
                found = self.consumer.poll(wait_ms, max_records=limit).get(self.place, ())
            except raised.OffsetOutOfRangeError:
                if self.position >= (first := start()):
                    return Slice((), self.position)
                self.consumer.seek(self.place, first)
                continue
            self.position = self.consumer.position(self.place)
            if found:
                return Slice(tuple(_record(record) for record in found), self.position)
            last = end() if last is None else last
            if self.position >= last:
                return Slice((), self.position)
            if time.monotonic() > deadline:
                raise raised.KafkaTimeoutError("nothing came, though there is more")
            wait_ms = WAIT_MS


class Readers:
    """At most `size` consumers of this process. Raises kafka-python's errors."""

    def __init__(self, access: KafkaAccess, cluster: Cluster, *, size: int) -> None:
        self._access, self._cluster, self._size = access, cluster, size
        self._change = Condition()
        self._idle: list[_Reader] = []
        self._lent = 0

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Slice:
        """At most `limit` committed records from `offset` on; none if nothing is decided behind it."""
        with self._lend(TopicPartition(topic, partition), offset) as reader:
            return reader.read(
                limit,
                end=lambda: self._cluster.ends(topic, [partition])[partition],
                start=lambda: self._cluster.start(topic, partition),
            )

    def forget(self, topic: str) -> None:
        """Close those that stand in a topic that is gone."""
        with self._change:
            gone = [r for r in self._idle if r.place and r.place.topic == topic]
            self._idle = [r for r in self._idle if r not in gone]
        for reader in gone:
            _end(reader)

    def close(self) -> None:
        """Close those that nobody uses; the next read makes one."""
        with self._change:
            idle, self._idle = self._idle, []
        for reader in idle:
            _end(reader)

    @contextmanager
    def _lend(self, place: TopicPartition, offset: int) -> Iterator[_Reader]:
        reader = self._take(place, offset)
        fit = False
        try:
            reader = reader or _Reader(self._open())
            reader.go_to(place, offset)
            yield reader
            fit = True
        finally:
            with self._change:
                self._lent -= 1
                if reader and fit:
                    self._idle.append(reader)
                self._change.notify()
            if reader and not fit:
                _end(reader)

    def _take(self, place: TopicPartition, offset: int) -> _Reader | None:
        """The one that suits best, or None: one may be made."""
        with self._change:
            if not self._change.wait_for(lambda: self._lent < self._size, timeout=LOCK_S):
                raise raised.KafkaTimeoutError("all consumers of this process are in use")
            self._lent += 1
            fitting = [r for r in self._idle if (r.place, r.position) == (place, offset)]
            if not fitting and self._full():
                fitting = [r for r in self._idle if r.place == place] or self._idle[:1]
            for reader in fitting[:1]:
                self._idle.remove(reader)
                return reader
            return None

    def _full(self) -> bool:
        return len(self._idle) + self._lent > self._size

    def _open(self) -> Any:
        return sign_in(
            KafkaConsumer,
            **self._access.options(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            fetch_max_wait_ms=LONGEST_FETCH_MS,
            max_partition_fetch_bytes=MAX_FETCH_BYTES,
            metrics_enabled=False,
        )


def _record(told: Any) -> LogRecord:
    headers = {name: value.decode() for name, value in told.headers}
    return LogRecord(told.partition, told.offset, told.key, told.value, headers)


def _end(reader: _Reader) -> None:
    with suppress(raised.KafkaError):
        reader.consumer.close(autocommit=False, timeout_ms=1000)
