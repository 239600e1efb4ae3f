"""The relay on the lab's Kafka beside a plain loop of kafka-python that passes the same on.

Records of 300 bytes with 12 items, two of them masked. Plain: what is polled is sent on as it is, acks=all,
flushed after each poll and asked for every outcome; no transactions, no masks, no ledger. The relay is what a
worker does, with its records in PostgreSQL. Medians of ROUNDS, taken in turns in one process.
"""

from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any
from uuid import uuid4

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from sqlalchemy import Engine

from bench.databases import own_database
from bench.tables import Goal, Measured
from exchange.batch import Change
from exchange.broker.kafka.access import MAX_BATCH_BYTES, MAX_FETCH_BYTES, KafkaAccess
from exchange.broker.kafka.log import KafkaLog
from exchange.masking import Mask
from exchange.models import Dataset
from exchange.place import BEGINNING
from exchange.schema import Item
from exchange.service.publish import publish_batch
from exchange.service.relaying import RECORDS, Relayer
from exchange.service.relays import open_topic, put_back
from exchange.service.subscriptions import request_subscription
from infra.clock import city_date
from infra.database import open_database, reading, transaction
from infra.lab.kafka import engine as lab
from tests.factories import Exchange, make_dataset, make_exchange

ROUNDS = 5
BATCHES, BATCH = 20, 1_000
PARTITIONS = (1, 4)
BOUND = 0.5
ITEMS = (
    Item("id", "text", mask=Mask("digest")),
    Item("name", "text", mask=Mask("keep_ends", head=1)),
    *(Item(f"item{n}", "text") for n in range(3, 13)),
)
AT = datetime.now(UTC)


def measure() -> list[Measured]:
    """Records a second of both, and the ratios, by the count of partitions."""
    lab.up()
    found = lab.access()
    access = KafkaAccess(found.bootstrap, found.authority, found.user, found.password)
    rates = {}
    with own_database() as url:
        engine = open_database(url)
        log = KafkaLog(access, connections=4)
        try:
            with transaction(engine) as session:
                place = make_exchange(session, at=AT)
            for partitions in PARTITIONS:
                rates[partitions] = _rates(engine, log, access, place, partitions)
        finally:
            log.close()
            engine.dispose()
    ratios = {partitions: ours / plain for partitions, (ours, plain) in rates.items()}
    return [
        Measured(
            f"the relay beside a plain loop of kafka-python: {BATCHES * BATCH:,} records of 300 bytes and 12 "
            f"items, {RECORDS:,} a run, records a second",
            ("partitions", "Siji", "plain", "ratio"),
            [(f"{p}", f"{rates[p][0]:.0f}", f"{rates[p][1]:.0f}", f"{ratios[p]:.2f}") for p in PARTITIONS],
            [
                Goal(f"relay, {p} partitions, Siji / plain", ratios[p], BOUND, at_least=True)
                for p in PARTITIONS
            ],
        )
    ]


def _rates(
    engine: Engine, log: KafkaLog, access: KafkaAccess, place: Exchange, partitions: int
) -> tuple[float, float]:
    subscription_id, topic, own = _prepare(engine, log, place, partitions)
    plain = f"bench-{uuid4().hex}"
    log.create_topic(plain, partitions=partitions)
    producer = KafkaProducer(**access.options(), acks="all", batch_size=MAX_BATCH_BYTES)
    options = {"isolation_level": "read_committed", "max_partition_fetch_bytes": MAX_FETCH_BYTES}
    consumer = KafkaConsumer(**access.options(), **options)
    consumer.assign([TopicPartition(topic, p) for p in range(partitions)])
    relayer = Relayer(engine, log, lambda: datetime.now(UTC))
    ours: list[float] = []
    theirs: list[float] = []
    try:
        for _ in range(ROUNDS + 1):
            with transaction(engine) as session:
                put_back(session, subscription_id=subscription_id, place=BEGINNING, at=datetime.now(UTC))
            began = perf_counter()
            relayer.relay(subscription_id, runs=10_000)
            ours.append(BATCHES * BATCH / (perf_counter() - began))
            began = perf_counter()
            _pass_on(consumer, producer, plain)
            theirs.append(BATCHES * BATCH / (perf_counter() - began))
    finally:
        producer.close()
        consumer.close()
        for name in (topic, own, plain):
            log.delete_topic(name)
    return median(ours[1:]), median(theirs[1:])


def _prepare(engine: Engine, log: KafkaLog, place: Exchange, partitions: int) -> tuple[int, str, str]:
    """A dataset with its batches and a subscription with a topic: its id, and both topics."""
    with transaction(engine) as session:
        code = f"bench-{partitions}"
        dataset = make_dataset(session, place, at=AT, code=code, items=ITEMS, partitions=partitions)
        subscription = request_subscription(
            session,
            dataset_id=dataset.id,
            system_id=place.subscriber_id,
            person_id=place.hall.applicant,
            items=[item.name for item in ITEMS],
            purpose="p",
            basis="b",
            until_on=city_date(AT) + timedelta(days=30),
            at=AT,
        )
        own = open_topic(session, subscription_id=subscription.id, prefix="bench", actor="bench", at=AT).name
        ids = dataset.id, place.publisher_id
    for number in range(BATCHES):
        changes = [Change(_record(number * BATCH + n)) for n in range(BATCH)]
        publish_batch(
            engine,
            log,
            dataset_id=ids[0],
            publisher_id=ids[1],
            key=f"{number}",
            changes=changes,
            at=AT,
            now=lambda: AT,
        )
    with reading(engine) as session:
        return subscription.id, session.get_one(Dataset, ids[0]).topic, own


def _record(number: int) -> dict[str, Any]:
    """300 bytes as canonical JSON."""
    return {
        "id": f"13060219900307{number:08d}",
        "name": "王小明",
        **{f"item{n}": f"{n:07d}{number:07d}" for n in range(3, 13)},
    }


def _pass_on(consumer: Any, producer: Any, topic: str) -> None:
    for place in consumer.assignment():
        consumer.seek(place, 0)
    passed = 0
    while passed < BATCHES * BATCH:
        sent = [
            producer.send(topic, key=one.key, value=one.value, headers=one.headers, partition=place.partition)
            for place, records in consumer.poll(1000, max_records=RECORDS).items()
            for one in records
        ]
        producer.flush()
        for future in sent:
            future.get(0)
        passed += len(sent)
