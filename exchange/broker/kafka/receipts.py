"""Receipts: they tell which batches are in the log. Each is a record of its batch's own transaction."""

import json
import time
from collections.abc import Mapping

import kafka.errors as raised

from exchange.broker.driver import LogRecord, Span
from exchange.broker.kafka.access import MAX_MESSAGE_BYTES, READ_S
from exchange.broker.kafka.cluster import Cluster, Topic
from exchange.broker.kafka.marker import Marker
from exchange.broker.kafka.readers import Readers

TOPIC = "siji.receipts"
PARTITIONS = 8
"""Of a new installation; a writer keeps to one, so that a look-up passes an eighth of all receipts."""
CONFIGS = {"cleanup.policy": "compact", "max.message.bytes": str(MAX_MESSAGE_BYTES)}
PAGE = 5_000
PAUSE_S = 0.02


class Receipts:
    """The topic of receipts, made when it is first needed. Raises kafka-python's errors."""

    def __init__(self, cluster: Cluster, readers: Readers) -> None:
        self._cluster, self._readers = cluster, readers
        self._partitions = 0

    def partitions(self) -> int:
        """How many the topic has."""
        if not self._partitions:
            found = self._cluster.find_topic(TOPIC)
            if found is None:
                self._cluster.create_topic(TOPIC, PARTITIONS, CONFIGS)
            self._partitions = found.partitions if found else PARTITIONS
        return self._partitions

    def next_offset(self, partition: int) -> int:
        """The first offset that a receipt which is yet to come can have."""
        return self._cluster.ends(TOPIC, [partition])[partition]

    def find(self, topic: Topic, marker: Marker) -> dict[int, Span] | None:
        """The batch's spans, None if no transaction that is decided by now has it."""
        return self._look(topic, marker, self._cluster.ends(TOPIC, [marker.partition])[marker.partition])

    def find_for_good(self, topic: Topic, marker: Marker) -> dict[int, Span] | None:
        """The batch's spans, None if it is not there and, as its writer was ended before, will not come.

        Its receipt may lie behind one of a writer that is still undecided: that is waited for.
        """
        ends = self._cluster.ends(TOPIC, [marker.partition], committed=False)
        return self._look(topic, marker, ends[marker.partition])

    def _look(self, topic: Topic, marker: Marker, end: int) -> dict[int, Span] | None:
        wanted = key_of(topic, marker)
        deadline = time.monotonic() + READ_S
        offset = marker.offset
        while offset < end:
            part = self._readers.read(TOPIC, marker.partition, offset, PAGE)
            for record in part.records:
                if record.key == wanted:
                    return _spans(record)
            if part.next_offset == offset:
                if time.monotonic() > deadline:
                    raise raised.KafkaTimeoutError("another writer's receipt is still undecided")
                time.sleep(PAUSE_S)
            offset = part.next_offset
        return None


def key_of(topic: Topic, marker: Marker) -> bytes:
    """Of a receipt: the topic by name and by id, since one that is made again has no old batches."""
    return f"{topic.name} {topic.id} {marker}".encode()


def value_of(spans: Mapping[int, Span]) -> bytes:
    """Of a receipt: JSON of [first, last, count] by partition."""
    return json.dumps({p: [span.first, span.last, span.count] for p, span in spans.items()}).encode()


def _spans(record: LogRecord) -> dict[int, Span]:
    told = json.loads(record.value or b"{}")
    return {int(p): Span(first, last, count) for p, (first, last, count) in told.items()}
