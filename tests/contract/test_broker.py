"""What every implementation of the log must keep. A new one is a parameter of the fixture, not a new test."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.broker.driver import (
    Broker,
    BrokerConflict,
    BrokerPermanent,
    BrokerRetryable,
    LogRecord,
    NewRecord,
    Span,
)
from exchange.broker.embedded import EmbeddedLog
from tests.brokers import Renamed, open_kafka, own_names

OpenBroker = Callable[[], Broker]
Batches = list[tuple[int, list[tuple[int, bytes, bytes | None]]]]
"""A number that stands for a marker, and rows: partition, key, value."""
SHOWS_WITHIN_S = 10


@pytest.fixture(params=["embedded", "kafka"])
def open_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenBroker]:
    """Opens further connections to one and the same log."""
    opened: list[Broker] = []
    names = own_names()

    def open_one() -> Broker:
        log = EmbeddedLog(tmp_path / "log.sqlite") if request.param == "embedded" else open_kafka()
        opened.append(Renamed(log, names))
        return opened[-1]

    yield open_one
    for topic in ("t", "u"):
        opened[0].delete_topic(topic)
    for broker in opened:
        broker.close()


@pytest.fixture
def broker(open_broker: OpenBroker) -> Broker:
    """A log with the topic `t` of three partitions."""
    broker = open_broker()
    broker.create_topic("t", partitions=3)
    return broker


def record(partition: int, key: str, value: str | None = "v", **headers: str) -> NewRecord:
    return NewRecord(partition, key.encode(), None if value is None else value.encode(), headers)


def append(broker: Broker, records: list[NewRecord], topic: str = "t") -> dict[int, Span]:
    """A batch with a marker of its own."""
    return broker.append(topic, marker=broker.new_marker(topic), records=records)


def everything(broker: Broker, topic: str, partition: int, limit: int = 100) -> list[LogRecord]:
    found: list[LogRecord] = []
    offset = 0
    while (part := broker.read(topic, partition=partition, offset=offset, limit=limit)).records:
        assert part.next_offset > part.records[-1].offset
        found += part.records
        offset = part.next_offset
    return found


def test_a_batch_is_read_as_it_was_written(broker: Broker) -> None:
    batch = [
        record(0, "a", "吉", batch="m", version="1"),
        record(1, "b", None),
        record(0, "𠮷", "\0"),
        NewRecord(0, b"", b"\xff\x00", {"名": "值"}),
    ]
    spans = append(broker, batch)
    assert {p: span.count for p, span in spans.items()} == {0: 3, 1: 1}
    for partition, span in spans.items():
        found = everything(broker, "t", partition)
        assert (found[0].offset, found[-1].offset) == (span.first, span.last)
        wanted = [r for r in batch if r.partition == partition]
        assert [(r.key, r.value, dict(r.headers)) for r in found] == [
            (r.key, r.value, dict(r.headers)) for r in wanted
        ]
        assert [r.partition for r in found] == [partition] * span.count
    assert everything(broker, "t", 2) == []


def test_offsets_rise_and_batches_follow_each_other(broker: Broker) -> None:
    first = append(broker, [record(0, "a", "1"), record(0, "a", "2")])
    second = append(broker, [record(0, "a", "3")])
    assert second[0].first > first[0].last
    found = everything(broker, "t", 0)
    assert [r.value for r in found] == [b"1", b"2", b"3"]
    assert all(earlier.offset < later.offset for earlier, later in pairwise(found))
    assert broker.end_offsets("t")[0] > found[-1].offset
    assert set(broker.end_offsets("t")) == {0, 1, 2}


def test_a_marker_is_stored_once(broker: Broker, open_broker: OpenBroker) -> None:
    m, n = broker.new_marker("t"), broker.new_marker("t")
    assert m != n
    assert max(len(m), len(n)) <= 64
    spans = broker.append("t", marker=m, records=[record(0, "a"), record(2, "b")])
    assert broker.append("t", marker=m, records=[record(0, "a"), record(2, "b")]) == spans
    assert open_broker().append("t", marker=m, records=[record(1, "other")]) == spans
    assert broker.find_batch("t", marker=m) == spans
    assert broker.find_batch("t", marker=n) is None
    assert [len(everything(broker, "t", p)) for p in range(3)] == [1, 0, 1]


def test_an_empty_batch_leaves_its_marker(broker: Broker) -> None:
    marker = broker.new_marker("t")
    assert broker.append("t", marker=marker, records=[]) == {}
    assert broker.find_batch("t", marker=marker) == {}


def test_markers_belong_to_a_topic(broker: Broker) -> None:
    broker.create_topic("u", partitions=1)
    marker = broker.new_marker("t")
    broker.append("t", marker=marker, records=[record(0, "a")])
    assert broker.find_batch("u", marker=marker) is None
    broker.append("u", marker=marker, records=[record(0, "b")])
    assert [r.key for r in everything(broker, "u", 0)] == [b"b"]


@pytest.mark.parametrize(
    "wrong",
    [
        record(3, "no such partition"),
        record(-1, "no such partition"),
        record(0, "too large", "x" * 2_000_000),
    ],
    ids=["beyond", "negative", "large"],
)
def test_a_batch_is_stored_whole_or_not_at_all(broker: Broker, wrong: NewRecord) -> None:
    marker = broker.new_marker("t")
    with pytest.raises(BrokerPermanent):
        broker.append("t", marker=marker, records=[record(0, "good"), wrong, record(1, "good")])
    assert broker.find_batch("t", marker=marker) is None
    assert [everything(broker, "t", p) for p in range(3)] == [[], [], []]
    broker.append("t", marker=marker, records=[record(0, "good")])
    assert len(everything(broker, "t", 0)) == 1


def test_writers_of_one_marker_end_in_one_batch(open_broker: OpenBroker, broker: Broker) -> None:
    brokers = [open_broker() for _ in range(8)]
    batch = [record(n % 3, str(n)) for n in range(200)]
    marker = brokers[0].new_marker("t")

    def write(one: Broker) -> dict[int, Span] | None:
        try:
            return one.append("t", marker=marker, records=batch)
        except BrokerConflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for answer in pool.map(write, brokers) if answer is not None]
    assert answers
    assert all(answer == broker.find_batch("t", marker=marker) for answer in answers)
    assert sorted(int(r.key) for p in range(3) for r in everything(broker, "t", p)) == list(range(200))


def test_writers_of_many_markers_lose_and_double_nothing(open_broker: OpenBroker, broker: Broker) -> None:
    def write(writer: int) -> None:
        one = open_broker()
        for n in range(10):
            append(one, [record(k, f"{writer}", f"{n}") for k in (0, 0, 1)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    for partition, times in ((0, 2), (1, 1)):
        found = everything(broker, "t", partition, limit=7)
        assert len({r.offset for r in found}) == len(found) == 40 * times
        for writer in range(4):
            order = [int(r.value or b"") for r in found if r.key == str(writer).encode()]
            assert order == [n for n in range(10) for _ in range(times)]


def test_reading_goes_on_in_pages(broker: Broker) -> None:
    append(broker, [record(0, str(n)) for n in range(10)])
    first = broker.read("t", partition=0, offset=0, limit=4)
    second = broker.read("t", partition=0, offset=first.next_offset, limit=100)
    assert [int(r.key) for r in (*first.records, *second.records)] == list(range(10))
    end = broker.read("t", partition=0, offset=second.next_offset, limit=100)
    assert end.records == ()
    assert end.next_offset >= second.next_offset
    assert broker.end_offsets("t")[0] <= end.next_offset


def test_a_topic_is_made_once(broker: Broker) -> None:
    append(broker, [record(0, "a")])
    broker.create_topic("t", partitions=3)
    assert len(everything(broker, "t", 0)) == 1
    with pytest.raises(BrokerConflict) as refusal:
        broker.create_topic("t", partitions=4)
    assert "3" in refusal.value.message("zh")
    assert broker.partitions("t") == 3


@pytest.mark.parametrize("name", ["", "a b", "主题", "x" * 250, "..", "a/b"])
def test_bad_names_of_topics_are_refused(broker: Broker, name: str) -> None:
    with pytest.raises(BrokerPermanent):
        broker.create_topic(name, partitions=1)


def test_what_is_not_there_is_refused_for_good(broker: Broker) -> None:
    marker = broker.new_marker("none")
    acts: list[Callable[[], object]] = [
        lambda: broker.append("none", marker=marker, records=[]),
        lambda: broker.find_batch("none", marker=marker),
        lambda: broker.read("none", partition=0, offset=0, limit=1),
        lambda: broker.read("t", partition=3, offset=0, limit=1),
        lambda: broker.end_offsets("none"),
        lambda: broker.commit_offsets("none", group="g", offsets={0: 1}),
        lambda: broker.fetch_offsets("none", group="g"),
    ]
    for act in acts:
        with pytest.raises(BrokerPermanent):
            act()
    assert broker.partitions("none") is None


def test_groups_remember_where_they_are(broker: Broker, open_broker: OpenBroker) -> None:
    assert broker.fetch_offsets("t", group="g") == {}
    broker.commit_offsets("t", group="g", offsets={0: 5, 1: 7})
    broker.commit_offsets("t", group="g", offsets={0: 6})
    broker.commit_offsets("t", group="h", offsets={2: 1})
    assert open_broker().fetch_offsets("t", group="g") == {0: 6, 1: 7}
    assert broker.fetch_offsets("t", group="h") == {2: 1}


def test_a_deleted_topic_is_gone_with_all_of_it(broker: Broker) -> None:
    marker = broker.new_marker("t")
    broker.append("t", marker=marker, records=[record(0, "a")])
    broker.commit_offsets("t", group="g", offsets={0: 1})
    broker.delete_topic("t")
    broker.delete_topic("t")
    assert broker.partitions("t") is None
    broker.create_topic("t", partitions=1)
    assert broker.find_batch("t", marker=marker) is None
    assert broker.fetch_offsets("t", group="g") == {}
    assert everything(broker, "t", 0) == []


def test_closing_loses_nothing(broker: Broker, open_broker: OpenBroker) -> None:
    append(broker, [record(0, "a")])
    broker.close()
    assert [r.key for r in everything(open_broker(), "t", 0)] == [b"a"]
    assert [r.key for r in everything(broker, "t", 0)] == [b"a"]


@pytest.mark.parametrize("open_broker", ["embedded"], indirect=True)
@given(
    batches=st.lists(
        st.tuples(
            st.integers(0, 5),
            st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=3), st.none() | st.binary(max_size=3))),
        ),
        max_size=12,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_batches_is_each_marker_once_in_order(broker: Broker, batches: Batches) -> None:
    hold_to_markers(broker, batches)


@pytest.mark.parametrize("open_broker", ["kafka"], indirect=True)
@pytest.mark.parametrize("seed", range(8))
def test_some_sequences_of_batches_are_each_marker_once_in_order(broker: Broker, seed: int) -> None:
    """As above, without hypothesis: it takes it ill that kafka-python's threads draw lots meanwhile."""
    chance = random.Random(seed)

    def some() -> bytes:
        return chance.randbytes(chance.randrange(4))

    def row() -> tuple[int, bytes, bytes | None]:
        return chance.randrange(3), some(), chance.choice([None, some()])

    batches = [
        (chance.randrange(6), [row() for _ in range(chance.randrange(30))])
        for _ in range(chance.randrange(13))
    ]
    hold_to_markers(broker, batches)


def _shown(broker: Broker, partition: int, count: int) -> list[tuple[bytes, bytes | None]]:
    """What lies in a partition. Kafka says that a transaction is committed a moment before it shows it."""
    until = time.monotonic() + SHOWS_WITHIN_S
    while True:
        found = [(one.key, one.value) for one in everything(broker, "t", partition, limit=2)]
        if len(found) >= count or time.monotonic() > until:
            return found


def hold_to_markers(broker: Broker, batches: Batches) -> None:
    """What the log then has is each batch once, under the number that it came with first, in order."""
    broker.delete_topic("t")
    broker.create_topic("t", partitions=3)
    wanted: dict[int, list[tuple[bytes, bytes | None]]] = {0: [], 1: [], 2: []}
    markers: dict[int, str] = {}
    for number, rows in batches:
        is_new = number not in markers
        marker = markers.setdefault(number, markers.get(number) or broker.new_marker("t"))
        broker.append("t", marker=marker, records=[NewRecord(*row) for row in rows])
        if is_new:
            for partition, key, value in rows:
                wanted[partition].append((key, value))
    for partition, rows_there in wanted.items():
        assert _shown(broker, partition, len(rows_there)) == rows_there


def test_the_embedded_log_fails_on_request(tmp_path: Path) -> None:
    log, other = EmbeddedLog(tmp_path / "log.sqlite"), EmbeddedLog(tmp_path / "log.sqlite")
    log.create_topic("t", partitions=1)
    other.inject("append", "down")
    other.inject("append", "refused")
    other.inject("append", "fenced")
    other.inject("append", "done_but_unanswered")
    for failure in (BrokerRetryable, BrokerPermanent, BrokerConflict):
        with pytest.raises(failure):
            log.append("t", marker="m", records=[record(0, "a")])
        assert log.find_batch("t", marker="m") is None
    with pytest.raises(BrokerRetryable):
        log.append("t", marker="m", records=[record(0, "a")])
    assert log.find_batch("t", marker="m") == {0: Span(0, 0, 1)}
    log.close()
    other.close()


def test_a_file_that_cannot_be_opened_is_a_retryable_failure(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "no such folder" / "log.sqlite")
    with pytest.raises(BrokerRetryable) as failure:
        log.create_topic("t", partitions=1)
    assert failure.value.message("en").startswith("The exchange's log is unavailable (create_topic t)")
