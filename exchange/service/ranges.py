"""Reading a part of a dataset's log."""

from collections.abc import Iterator

from exchange.broker.driver import Broker, LogRecord

PAGE = 5_000


def read_range(
    broker: Broker, topic: str, partition: int, first: int, last: int, *, marker: str | None = None
) -> Iterator[LogRecord]:
    """The records from the offset `first` to `last`, both included, or those of the marker's batch alone.

    Raises the broker's failures.
    """
    offset = first
    while offset <= last:
        part = broker.read(topic, partition=partition, offset=offset, limit=min(PAGE, last - offset + 1))
        for record in part.records:
            if record.offset <= last and (marker is None or record.headers.get("batch") == marker):
                yield record
        if part.next_offset <= offset:
            return  # the log holds nothing more
        offset = part.next_offset
