"""What is asked of the brokers apart from writing and reading: topics, ends, groups' offsets."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar
from uuid import UUID

import kafka.errors as raised
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.protocol.consumer import IsolationLevel
from kafka.structs import OffsetAndMetadata

from exchange.broker.kafka.access import ASK_S, KafkaAccess
from exchange.broker.kafka.failures import NoSignIn
from exchange.broker.kafka.network import sign_in

Answer = TypeVar("Answer")
PAUSE_S = 0.05
NO_OFFSET = -1


@dataclass(frozen=True)
class Topic:
    """A topic as it is now; one that is made again under the same name has another `id`."""

    name: str
    id: UUID
    partitions: int


@dataclass
class _Client:
    """An admin client that threads share. One that failed is closed when the last of them is done."""

    admin: Any
    users: int = 0
    failed: bool = False


class Cluster:
    """One connection of this process for all its questions. Raises kafka-python's errors."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._lock, self._opening = Lock(), Lock()
        self._client: _Client | None = None

    def find_topic(self, name: str) -> Topic | None:
        """The topic, None if there is none; TopicAuthorizationFailedError if this account may not know."""

        def describe(admin: Any) -> Topic | None:
            (told,) = admin.describe_topics([name])
            error = raised.for_code(told["error_code"])
            if error is raised.UnknownTopicOrPartitionError or error is raised.InvalidTopicError:
                return None
            if error is not raised.NoError:
                raise error(name)
            return Topic(name, told["topic_id"], len(told["partitions"]))

        return self.ask(describe)

    def ends(self, topic: str, partitions: Sequence[int], *, committed: bool = True) -> dict[int, int]:
        """By partition: the first offset above what is decided, or (not `committed`) above all there is."""
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(topic, partitions, OffsetSpec.LATEST, level)

    def start(self, topic: str, partition: int) -> int:
        """The first offset that is still there."""
        level = IsolationLevel.READ_UNCOMMITTED
        return self._offsets(topic, [partition], OffsetSpec.EARLIEST, level)[partition]

    def create_topic(self, name: str, partitions: int, configs: Mapping[str, str]) -> None:
        """Make it, with the brokers' default of replicas, and wait until it can be used."""
        wanted = {
            name: {"num_partitions": partitions, "replication_factor": -1, "configs": dict(configs)},
        }
        with suppress(raised.TopicAlreadyExistsError):  # by another process, or by an attempt that timed out
            self.ask(lambda admin: admin.create_topics(wanted))
        self.ask(lambda admin: admin.wait_for_topics([name], timeout_ms=int(ASK_S * 1000)))

    def delete_topic(self, name: str) -> None:
        """Remove it, if it is there, and wait until it is gone."""
        with suppress(raised.UnknownTopicOrPartitionError):
            self.ask(lambda admin: admin.delete_topics([name]))
        deadline = time.monotonic() + ASK_S
        while self.find_topic(name) is not None:
            if time.monotonic() > deadline:
                raise raised.KafkaTimeoutError(f"{name} is still there")
            time.sleep(PAUSE_S)

    def note_offsets(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Note where a group without members goes on."""
        wanted = {TopicPartition(topic, p): OffsetAndMetadata(at, "", None) for p, at in offsets.items()}

        def alter(admin: Any) -> None:
            for error in admin.alter_group_offsets(group, wanted).values():
                if error is not raised.NoError:
                    raise error(group)

        self.ask(alter)

    def noted_offsets(self, group: str, topic: str, partitions: int) -> dict[int, int]:
        """Where a group goes on, by partition; those it never committed are absent."""
        asked = {group: [TopicPartition(topic, p) for p in range(partitions)]}
        told = self.ask(lambda admin: admin.list_group_offsets(asked))[group]
        return {place.partition: at.offset for place, at in sorted(told.items()) if at.offset != NO_OFFSET}

    def close(self) -> None:
        """End the connection; the next question makes one."""
        with self._lock:
            client, self._client = self._client, None
            idle = client is not None and client.users == 0
            if client:
                client.failed = True
        if client and idle:
            client.admin.close()

    def _offsets(
        self, topic: str, partitions: Sequence[int], spec: OffsetSpec, level: IsolationLevel
    ) -> dict[int, int]:
        asked = {TopicPartition(topic, p): spec for p in partitions}
        try:
            told = self.ask(lambda admin: admin.list_partition_offsets(asked, isolation_level=level))
        except raised.UnknownTopicOrPartitionError:
            self.find_topic(topic)  # tells lacking rights from a topic that is not there
            raise
        return {p: told[TopicPartition(topic, p)].offset for p in partitions}

    def ask(self, question: Callable[[Any], Answer]) -> Answer:
        """Ask until it is answered or the time is over: leaders and coordinators move, brokers come back."""
        deadline = time.monotonic() + ASK_S
        while True:
            try:
                with self._admin() as admin:
                    return question(admin)
            except (NoSignIn, raised.UnknownTopicOrPartitionError):
                raise
            except raised.RetriableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_S)

    @contextmanager
    def _admin(self) -> Iterator[Any]:
        client = self._take()
        try:
            yield client.admin
        except raised.RetriableError:
            client.failed = True  # what it knows of leaders and coordinators may be old
            raise
        finally:
            with self._lock:
                client.users -= 1
                if client.failed and self._client is client:
                    self._client = None
                done = client.failed and client.users == 0
            if done:
                client.admin.close()

    def _take(self) -> _Client:
        if client := self._use():
            return client
        if not self._opening.acquire(timeout=ASK_S):
            raise NoSignIn("another thread is still trying")
        try:
            if client := self._use():
                return client
            opened = _Client(sign_in(KafkaAdminClient, **self._access.options()))
            with self._lock:
                opened.users += 1
                self._client = opened
            return opened
        finally:
            self._opening.release()

    def _use(self) -> _Client | None:
        with self._lock:
            if self._client:
                self._client.users += 1
            return self._client
