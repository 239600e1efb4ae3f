"""Reading a part of a dataset's log."""

import time
from collections.abc import Iterator

from exchange.broker.driver import Broker, BrokerRetryable, LogRecord

PAGE = 5_000
TRIES, PAUSE_S = 20, 0.1
"""A log may hand out nothing for a while: on Kafka what lies behind a transaction that is still open."""


def read_range(
    broker: Broker,
    topic: str,
    partition: int,
    first: int,
    last: int,
    *,
    marker: str | None = None,
    may_end: bool = False,
) -> Iterator[LogRecord]:
    """The records from the offset `first` to `last`, both included, or those of the marker's batch alone.

    Raises the broker's failures, BrokerRetryable too if the log hands out nothing before `last` is reached;
    with `may_end` that is the end.
    """
    offset, tries = first, 0
    while offset <= last:
        part = broker.read(topic, partition=partition, offset=offset, limit=min(PAGE, last - offset + 1))
        for record in part.records:
            if record.offset <= last and (marker is None or record.headers.get("batch") == marker):
                yield record
        tries = 0 if part.next_offset > offset else tries + 1
        if tries == TRIES and may_end:
            return
        if tries == TRIES:
            raise BrokerRetryable(
                operation="read", topic=topic, why_zh="未读到全部记录", why_en="not all of it was read"
            )
        if tries:
            time.sleep(PAUSE_S)
        offset = part.next_offset
