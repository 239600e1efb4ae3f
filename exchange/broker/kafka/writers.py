"""The writers of this process: markers are made for one of them, and it writes their batches.

A marker that was made here for a writer that lives, and was not tried yet, needs no look-up: had anybody
taken its batch over, that writer would be shut out. All others are taken over.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import kafka.errors as raised

from exchange.broker.kafka.access import LOCK_S, KafkaAccess
from exchange.broker.kafka.marker import Marker, new_writer_id
from exchange.broker.kafka.receipts import Receipts
from exchange.broker.kafka.writer import Writer, partition_of

UNTRIED_S = 60.0
"""A marker that is older counts as tried: its claim may have been left."""
OFFSET_S = 30.0
"""How old a writer's knowledge of the receipts may be: what others wrote since is read at a take-over."""


class Writers:
    """At most `size` writers, made when needed. Raises kafka-python's errors."""

    def __init__(self, access: KafkaAccess, receipts: Receipts, *, size: int) -> None:
        self._access, self._receipts, self._size = access, receipts, size
        self._lock, self._opening = Lock(), Lock()
        self._writers: list[Writer] = []
        self._untried: dict[str, tuple[Writer, float]] = {}

    def new_marker(self) -> Marker:
        """A marker for the writer that has least to do."""
        writer = self._free() or self._one_more()
        if time.monotonic() - writer.since > OFFSET_S:
            writer.from_offset = self._receipts.next_offset(writer.partition)
            writer.since = time.monotonic()
        marker = Marker.new(writer.name, writer.partition, writer.from_offset)
        with self._lock:
            self._untried[str(marker)] = (writer, time.monotonic())
        return marker

    @contextmanager
    def first_try(self, marker: Marker) -> Iterator[Writer | None]:
        """The writer that may write the batch without a look-up; None if there is none."""
        with self._lock:
            writer, since = self._untried.pop(str(marker), (None, 0.0))
        if writer is None or time.monotonic() - since > UNTRIED_S or not self._locked(writer):
            yield None
            return
        try:
            yield writer
        finally:
            self._give_back(writer)

    @contextmanager
    def taken_over(self, marker: Marker) -> Iterator[Writer]:
        """A writer with the marker's transactional id: the one that had it is shut out, its batch decided."""
        with self._lock:
            own = next((writer for writer in self._writers if writer.name == marker.writer), None)
        if own and self._locked(own):
            own.end()
            self._give_back(own)
        writer = Writer(self._access, marker.writer, marker.partition)
        try:
            yield writer
        finally:
            writer.end()

    def close(self) -> None:
        """Close all; the next marker makes one."""
        with self._lock:
            writers, self._writers = self._writers, []
            self._untried.clear()
        for writer in writers:
            if self._locked(writer):
                writer.end()
                writer.lock.release()

    def abandon(self) -> None:
        """After a fork, in the child: leave the parent's alone."""
        for writer in self._writers:
            writer.abandon()

    def _free(self) -> Writer | None:
        """The one with the fewest markers, if it has none or no more writers may be made."""
        now = time.monotonic()
        with self._lock:
            waiting = {id(writer): 0 for writer in self._writers}
            for marker, (writer, since) in list(self._untried.items()):
                if now - since > UNTRIED_S or not writer.usable:
                    del self._untried[marker]
                elif id(writer) in waiting:
                    waiting[id(writer)] += 1
            least = min(self._writers, key=lambda w: (waiting[id(w)] + w.lock.locked(), id(w)), default=None)
            if least is None or len(self._writers) >= self._size:
                return least
            return None if waiting[id(least)] or least.lock.locked() else least

    def _one_more(self) -> Writer:
        if not self._opening.acquire(timeout=LOCK_S):
            raise raised.KafkaTimeoutError("another thread is still signing in")
        try:
            if writer := self._free():
                return writer
            name = new_writer_id()
            partition = partition_of(name, self._receipts.partitions()).partition
            writer = Writer(self._access, name, partition)
            with self._lock:
                self._writers.append(writer)
            return writer
        finally:
            self._opening.release()

    def _locked(self, writer: Writer) -> bool:
        """Whether it is this thread's now; False if it was shut out or closed meanwhile."""
        if not writer.lock.acquire(timeout=LOCK_S):
            raise raised.KafkaTimeoutError("the writer of this batch is busy")
        if not writer.usable:
            writer.lock.release()
        return writer.usable

    def _give_back(self, writer: Writer) -> None:
        writer.lock.release()
        if not writer.usable:
            with self._lock:
                self._writers = [other for other in self._writers if other is not writer]
