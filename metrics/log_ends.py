"""Where the logs of datasets end, and how far a place lies before it: kept from one scrape to the next."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from exchange.models import Batch
from exchange.place import Place


@dataclass(frozen=True)
class LogEnd:
    """Of one dataset: the offset behind its last record by partition; its newest whole content, if it is one
    of those that are replaced in full: the receipt's id and [first, last] offsets by partition.
    """

    ends: Mapping[int, int] = field(default_factory=dict)
    generation: int | None = None
    ranges: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def beyond(self, place: Place) -> int:
        """How many offsets a subscriber who stands there still has before it.

        On Kafka some are of no record: one for each batch and partition ends its transaction.
        """
        if self.generation is None:
            return sum(max(0, end - place.positions.get(p, 0)) for p, end in self.ends.items())
        own = place.positions if place.generation == self.generation else {}
        return sum(max(0, last + 1 - max(first, own.get(p, 0))) for p, (first, last) in self.ranges.items())

    def with_batch(self, batch: "Row[*_Told]") -> "LogEnd":
        """As it is once that batch is settled."""
        ranges = {int(p): (first, last) for p, (first, last, _count) in (batch.spans or {}).items()}
        ends = dict(self.ends)
        for partition, (_first, last) in ranges.items():
            ends[partition] = max(ends.get(partition, 0), last + 1)
        is_whole = batch.update_mode == "full" and (batch.upserts > 0 or batch.received == 0)
        if not is_whole or batch.id < (self.generation or 0):
            return replace(self, ends=ends)
        return LogEnd(ends, batch.id, ranges)


_Told = tuple[int, int, str, int, int, dict[str, list[int]] | None, int | None]


class LogEnds:
    """The ends of all datasets' logs. Threads may share one.

    What the message log has is read once and not again at the next scrape; only what waits to be sealed is.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen = 0
        self._sealed: dict[int, LogEnd] = defaultdict(LogEnd)

    def read(self, session: Session) -> dict[int, LogEnd]:
        """By dataset's id, of all that was settled by now."""
        with self._lock:
            new = _batches().where(Batch.message_seq > self._seen).order_by(Batch.message_seq)
            for batch in session.execute(new.execution_options(yield_per=1_000)):
                self._sealed[batch.dataset_id] = self._sealed[batch.dataset_id].with_batch(batch)
                self._seen = batch.message_seq or self._seen
            found = dict(self._sealed)
        waiting = _batches().where(Batch.message_seq.is_(None), Batch.state == "settled")
        for batch in session.execute(waiting):
            found[batch.dataset_id] = found.get(batch.dataset_id, LogEnd()).with_batch(batch)
        return found


def _batches() -> Select[*_Told]:
    return select(
        Batch.dataset_id,
        Batch.id,
        Batch.update_mode,
        Batch.upserts,
        Batch.received,
        Batch.spans,
        Batch.message_seq,
    )
