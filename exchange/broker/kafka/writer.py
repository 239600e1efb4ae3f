"""One transactional producer: a batch and its receipt in one transaction, or nothing.

`commit_transaction()` of kafka-python 3.0.12 returns normally although sends failed, and waits without end.
Therefore every send is asked for its outcome before the commit, and the waits go through the producer's own
transaction manager.
"""

import atexit
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

import kafka.errors as raised
from kafka import KafkaProducer, TopicPartition

from exchange.broker.driver import NewRecord, Span
from exchange.broker.kafka.access import (
    ABORT_S,
    COMMIT_S,
    DELIVERY_S,
    INIT_S,
    MAX_BATCH_BYTES,
    MAX_REQUEST_BYTES,
    TRANSACTION_S,
    KafkaAccess,
)
from exchange.broker.kafka.cluster import Topic
from exchange.broker.kafka.marker import Marker
from exchange.broker.kafka.network import sign_in
from exchange.broker.kafka.receipts import TOPIC, key_of, value_of

CHUNK, CHUNK_BYTES = 10_000, 8 * 1024 * 1024
"""What is sent before its outcome is awaited: a large batch may take longer than one wait, if it goes on."""


class Writer:
    """A producer with a transactional id of its own, for one thread at a time: hold `lock`.

    Making it ends whatever another one with that id has open, for good, and shuts that one out. `from_offset`
    is below every receipt that is yet to come in `partition`, as of `since`.
    """

    def __init__(self, access: KafkaAccess, name: str, partition: int) -> None:
        self.name, self.partition = name, partition
        self.from_offset, self.since = 0, 0.0
        self.lock = Lock()
        self.usable = True
        self._committing = False
        self._producer = sign_in(
            KafkaProducer,
            **access.options(),
            transactional_id=name,
            transaction_timeout_ms=int(TRANSACTION_S * 1000),
            acks="all",
            batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            delivery_timeout_ms=int(DELIVERY_S * 1000),
            max_block_ms=int(INIT_S * 1000),
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        try:
            self._producer.init_transactions()
        except BaseException:
            self.end()
            raise

    def write(self, topic: Topic, marker: Marker, records: Sequence[NewRecord]) -> dict[int, Span]:
        """Commit the batch; after any failure this writer is of no more use, and nobody commits the batch.

        KafkaTimeoutError is the exception: where the commit was not answered, the batch is in the log or will
        not be. Raises kafka-python's errors, the one that counts if there are several.
        """
        try:
            self._producer.begin_transaction()
            spans: dict[int, Span] = {}
            for chunk in chunks(records):
                self._send(topic.name, chunk, spans)
            receipt = self._producer.send(
                TOPIC, key=key_of(topic, marker), value=value_of(spans), partition=marker.partition
            )
            self._await([receipt])
            self._commit()
        except raised.KafkaError as error:
            cause = self._cause(error)
            self.end()
            raise cause from error
        except BaseException:
            self.end()
            raise
        if marker.partition == self.partition:
            self.from_offset, self.since = receipt.value.offset + 1, time.monotonic()
        return spans

    def end(self) -> None:
        """Take back what is open, and close."""
        self.usable = False
        manager, sender = self._producer._transaction_manager, self._producer._sender
        with suppress(raised.KafkaError):
            if not self._committing and not manager.has_fatal_error():
                aborted = manager.begin_abort()
                sender.wakeup()
                aborted.wait(timeout_ms=int(ABORT_S * 1000))
        sender.force_close()
        with suppress(raised.KafkaError):
            self._producer.close(timeout=1)

    def abandon(self) -> None:
        """After a fork, in the child: never touch the parent's connection, not even at the end."""
        self.usable = False
        atexit.unregister(self._producer._cleanup)
        self._producer._closed = True

    def _send(self, topic: str, records: Sequence[NewRecord], spans: dict[int, Span]) -> None:
        send = self._producer.send
        sent: list[Any] = []
        ends: dict[int, tuple[Any, Any, int]] = {}
        for record in records:
            future = send(
                topic,
                key=record.key,
                value=record.value,
                headers=_headers(record.headers),
                partition=record.partition,
            )
            sent.append(future)
            first, _last, count = ends.get(record.partition, (future, future, 0))
            ends[record.partition] = (first, future, count + 1)
        self._await(sent)
        for partition, (first, last, count) in ends.items():
            before = spans.get(partition, Span(first.value.offset, 0, 0))
            spans[partition] = Span(before.first, last.value.offset, before.count + count)

    def _await(self, sent: Sequence[Any]) -> None:
        """Until each is stored; raises the first failure."""
        self._producer.flush(timeout=DELIVERY_S + 1)
        for future in sent:
            if not future.succeeded():
                raise future.exception or raised.KafkaTimeoutError("a record was not acknowledged")

    def _commit(self) -> None:
        manager = self._producer._transaction_manager
        self._committing = True
        result = manager.begin_commit()
        self._producer._sender.wakeup()
        if not result.wait(timeout_ms=int(COMMIT_S * 1000)):
            raise raised.KafkaTimeoutError("the commit was not answered")
        self._committing = False

    def _cause(self, error: Exception) -> Exception:
        """The failure that put the producer into its state, where kafka-python tells of the state alone.

        Once the commit was asked for, only a fenced writer knows that another one decides; else it is open.
        """
        found = self._producer._transaction_manager.last_error or error
        cause = found if isinstance(found, raised.KafkaError) else error
        fenced = isinstance(cause, raised.ProducerFencedError | raised.InvalidProducerEpochError)
        return raised.KafkaTimeoutError(str(cause)) if self._committing and not fenced else cause


def chunks(records: Sequence[NewRecord]) -> Iterator[Sequence[NewRecord]]:
    """The records in order, as many at a time as fit into CHUNK and CHUNK_BYTES, one at least."""
    begin, size = 0, 0
    for place, record in enumerate(records):
        size += len(record.key) + len(record.value or b"")
        if place > begin and (place - begin == CHUNK or size > CHUNK_BYTES):
            yield records[begin:place]
            begin, size = place, len(record.key) + len(record.value or b"")
    if begin < len(records):
        yield records[begin:]


def _headers(headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in headers.items()]


def partition_of(name: str, partitions: int) -> TopicPartition:
    """The partition of the receipts that a writer keeps to."""
    return TopicPartition(TOPIC, int(name[-8:], 16) % partitions)
