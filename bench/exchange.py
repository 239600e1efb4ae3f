"""The log on the lab's Kafka beside plain programs of kafka-python: append in batches, and read.

Plain: a producer with acks=all that is flushed after each batch and asked for every outcome, without receipts
and transactions; a consumer that polls. Medians of ROUNDS, taken in turns in one process, behind a warm-up.
"""

from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any
from uuid import uuid4

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from bench.tables import Goal, Measured
from exchange.broker.driver import NewRecord
from exchange.broker.kafka.access import MAX_BATCH_BYTES, MAX_FETCH_BYTES, KafkaAccess
from exchange.broker.kafka.log import KafkaLog
from infra.lab.kafka import engine

ROUNDS = 5
BATCHES, BATCH = 20, 1_000
VALUE = b'{"id":"%010d","name":"' + b"x" * 267 + b'"}'
HEADERS = {"batch": "0" * 52, "schema": "1306-minzheng/people", "version": "1", "at": "2026-03-02T01:00:00Z"}
BOUND = 0.5
ACTS = ("append", "read")

Act = Callable[[], None]


def measure() -> list[Measured]:
    """Records a second of both, and the ratios."""
    engine.up()
    found = engine.access()
    access = KafkaAccess(found.bootstrap, found.authority, found.user, found.password)
    log, own, plain = KafkaLog(access, connections=4), f"bench-{uuid4().hex}", f"bench-{uuid4().hex}"
    producer = KafkaProducer(**access.options(), acks="all", batch_size=MAX_BATCH_BYTES)
    consumer = KafkaConsumer(**access.options(), max_partition_fetch_bytes=MAX_FETCH_BYTES)
    consumer.assign([TopicPartition(plain, 0)])
    try:
        for topic in (own, plain):
            log.create_topic(topic, partitions=1)
        rates = {
            "append": _rates(partial(_append, log, own), partial(_produce, producer, plain), BATCHES * BATCH),
            "read": _rates(
                partial(_read, log, own), partial(_consume, consumer), BATCHES * BATCH * (ROUNDS + 1)
            ),
        }
    finally:
        producer.close()
        consumer.close()
        for topic in (own, plain):
            log.delete_topic(topic)
        log.close()
    return [_measured(rates)]


def _measured(rates: Mapping[str, tuple[float, float]]) -> Measured:
    ratios = {act: ours / plain for act, (ours, plain) in rates.items()}
    return Measured(
        f"the log on Kafka beside kafka-python: batches of {BATCH:,} records of 300 bytes, records a second",
        ("", "Siji", "plain", "ratio"),
        [(act, f"{rates[act][0]:.0f}", f"{rates[act][1]:.0f}", f"{ratios[act]:.2f}") for act in ACTS],
        [Goal(f"{act}, Siji / plain", ratios[act], BOUND, at_least=True) for act in ACTS],
    )


def _rates(ours: Act, plain: Act, records: int) -> tuple[float, float]:
    taken: dict[Act, list[float]] = {ours: [], plain: []}
    for _ in range(ROUNDS + 1):
        for act, found in taken.items():
            began = perf_counter()
            act()
            found.append(records / (perf_counter() - began))
    return median(taken[ours][1:]), median(taken[plain][1:])


def _append(log: KafkaLog, topic: str) -> None:
    for _ in range(BATCHES):
        records = [NewRecord(0, b"%d" % n, VALUE % n, HEADERS) for n in range(BATCH)]
        log.append(topic, marker=log.new_marker(topic), records=records)


def _produce(producer: Any, topic: str) -> None:
    headers = [(name, text.encode()) for name, text in HEADERS.items()]
    for _ in range(BATCHES):
        sent = [
            producer.send(topic, key=b"%d" % n, value=VALUE % n, headers=headers, partition=0)
            for n in range(BATCH)
        ]
        producer.flush()
        for future in sent:
            future.get(0)


def _read(log: KafkaLog, topic: str) -> None:
    offset = 0
    while (part := log.read(topic, partition=0, offset=offset, limit=BATCH)).records:
        offset = part.next_offset


def _consume(consumer: Any) -> None:
    (place,) = consumer.assignment()
    consumer.seek(place, 0)
    end = consumer.end_offsets([place])[place]
    while consumer.position(place) < end:
        consumer.poll(1000, max_records=BATCH)
