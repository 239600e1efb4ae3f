"""What the exchange asks of a log with topics and partitions, and the three ways in which it may fail.

Nothing is promised here that Apache Kafka cannot keep: offsets of a partition rise but may have gaps, batches
of several writers may interleave in a partition, and a batch is known again only by its marker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from infra.errors import Kind, SijiError


class BrokerRetryable(SijiError):
    """The log is away or did not answer: the act may have happened or not, and may be repeated as it was."""

    kind = Kind.unavailable
    code = "broker_unavailable"
    zh = "数据交换日志暂时不可用（{operation} {topic}）：{why_zh}，请稍后原样重试。"
    en = "The exchange's log is unavailable ({operation} {topic}): {why_en}; try the same again in a moment."


class BrokerPermanent(SijiError):
    """The log refuses the act and would refuse it again."""

    code = "broker_refused"
    zh = "数据交换日志拒绝了操作（{operation} {topic}）：{why_zh}。"
    en = "The exchange's log refused the act ({operation} {topic}): {why_en}."


class BrokerConflict(SijiError):
    """Something else is there already, or another writer took over."""

    kind = Kind.conflict
    code = "broker_conflict"
    zh = "数据交换日志中存在冲突（{operation} {topic}）：{why_zh}。"
    en = "The exchange's log holds something that conflicts ({operation} {topic}): {why_en}."


@dataclass(frozen=True)
class NewRecord:
    """A record to append; `value` None is a delete of its key."""

    partition: int
    key: bytes
    value: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LogRecord:
    """A record as it lies in the log."""

    partition: int
    offset: int
    key: bytes
    value: bytes | None
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Span:
    """Where a batch lies in one partition: first and last offset, both inclusive, and how many records."""

    first: int
    last: int
    count: int


@dataclass(frozen=True)
class Slice:
    """Records in order of offset, and the offset to read on from."""

    records: tuple[LogRecord, ...]
    next_offset: int


class Broker(Protocol):
    """The log. Every method may raise BrokerRetryable; an unknown topic or partition is BrokerPermanent.

    The threads of a process may share one.
    """

    def create_topic(self, topic: str, *, partitions: int) -> None:
        """Make a topic; one that is there with as many partitions is left alone, else BrokerConflict."""

    def delete_topic(self, topic: str) -> None:
        """Remove a topic with its records, markers and groups' offsets; an absent one is no error."""

    def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has, None if there is no such topic."""

    def new_marker(self, topic: str) -> str:
        """A marker for one batch that is to be appended to the topic; at most 64 characters in ASCII.

        To be kept, by the caller, before the batch is appended: whoever has it can find the batch, or append
        it instead. The topic need not be there yet.
        """

    def append(self, topic: str, *, marker: str, records: Sequence[NewRecord]) -> dict[int, Span]:
        """Store the records and the marker, all or nothing, durably, in the given order within a partition.

        `marker` is one of `new_marker`; for one that is not, a log may raise BrokerPermanent. If the topic
        has a batch with that marker, nothing is stored and that batch's spans are returned: it may be
        repeated after BrokerRetryable, by anyone. Two writers of one marker end in one batch; the other one
        gets the same spans or BrokerConflict, which says nothing yet about where the batch is: `find_batch`
        or another `append` does. A record that is too large is BrokerPermanent. After BrokerPermanent nothing
        of this attempt is stored, nor will be; it says nothing about attempts that others are at.
        """

    def find_batch(self, topic: str, *, marker: str) -> dict[int, Span] | None:
        """Spans by partition of the batch with that marker, None if it is not in the log.

        None is for good only if nobody is at an `append` with the marker any more. While somebody is, or was
        killed at it, the batch may still come; `append` with the same marker settles it.
        """

    def read(self, topic: str, *, partition: int, offset: int, limit: int) -> Slice:
        """At most `limit` committed records from the first one at or after `offset`.

        Fewer, or none, does not mean that no more are there. `next_offset` lies behind all that was read or
        passed over, is never below `offset`, and reaches the partition's end offset when nothing is left.
        """

    def end_offsets(self, topic: str) -> dict[int, int]:
        """For each partition an offset above all of its committed records."""

    def commit_offsets(self, topic: str, *, group: str, offsets: Mapping[int, int]) -> None:
        """Remember where a consumer group goes on, by partition; other partitions keep theirs."""

    def fetch_offsets(self, topic: str, *, group: str) -> dict[int, int]:
        """Where a consumer group goes on; a partition that it never committed is absent."""

    def close(self) -> None:
        """Give back connections; what is stored stays."""
