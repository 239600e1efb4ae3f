"""Publishing and pulling over REST, with validation, beside plain programs of kafka-python.

Records of 300 bytes and twelve items, batches of 1,000. Publish: `siji serve` checks each record, claims the
batch in PostgreSQL and stores it in a transaction with its receipt; plain: a producer with acks=all, flushed
after each batch and asked for every outcome, that encodes each record. CALLERS share the batches. Pull: one
caller, pages of 1,000, each a delivery on record; plain: a consumer that decodes each record and encodes it
again. Medians of ROUNDS, behind a warm-up.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, cycle
from statistics import median
from time import perf_counter
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from bench.gateways import City, as_json, city, gateways, records
from bench.tables import Goal, Measured
from exchange.broker.kafka.access import MAX_BATCH_BYTES, MAX_FETCH_BYTES, KafkaAccess
from exchange.broker.kafka.log import KafkaLog
from infra.lab.kafka import engine

ROUNDS = 3
CALLERS = 4
BATCHES, BATCH = 20, 1_000
PARTITIONS = (1, 4, 16)
PROCESSES = (1, 2)
BOUND = 0.5

_seeds = count(1)


def measure() -> list[Measured]:
    """Records a second by partitions and gateway processes, and the ratios."""
    rows: list[tuple[object, ...]] = []
    goals: list[Goal] = []
    with city() as place:
        for partitions in PARTITIONS:
            plain = _plain(partitions)
            for processes in PROCESSES:
                with gateways(place, processes) as urls:
                    ours = _publish_and_pull(place, urls, partitions)
                ratios = [one / other for one, other in zip(ours, plain, strict=True)]
                cells = [f"{one:.0f}" for one in (*ours, *plain)] + [f"{ratio:.2f}" for ratio in ratios]
                rows.append((partitions, processes, *cells))
                if (partitions, processes) == (1, 1):
                    goals = [
                        Goal(f"{act} of one process, Siji / plain", ratio, BOUND, at_least=True)
                        for act, ratio in zip(("publish", "pull"), ratios, strict=True)
                    ]
    header = ("partitions", "processes", "publish", "pull", "plain publish", "plain pull", "ratio", "ratio")
    title = f"publishing and pulling over REST beside kafka-python, batches of {BATCH:,}, records a second"
    return [Measured(title, header, rows, goals)]


def _publish_and_pull(place: City, urls: Sequence[str], partitions: int) -> tuple[float, float]:
    code, _topic, number = place.catalogue(partitions)
    headers = {"Authorization": f"Bearer {place.token}"}
    clients = [
        httpx2.Client(base_url=url, headers=headers, timeout=120, trust_env=False)
        for url, _ in zip(cycle(urls), range(CALLERS), strict=False)
    ]
    try:
        published = _median(lambda: _publish(clients, code))
        pulled = _median(lambda: _pull(clients, number))
    finally:
        for client in clients:
            client.close()
    return published, pulled


def _publish(clients: Sequence[httpx2.Client], code: str) -> float:
    """Records a second; the bodies are made before."""
    bodies = [_body(next(_seeds)) for _ in range(BATCHES)]
    path = f"/api/v1/datasets/{quote(code, safe='')}/batches"

    def send(client: httpx2.Client, body: bytes) -> None:
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": uuid4().hex}
        answer = client.post(path, content=body, headers=headers)
        assert answer.status_code == 201, answer.text
        assert answer.json()["upserts"] == BATCH, answer.text

    return BATCHES * BATCH / _shared(clients, send, bodies)


def _body(seed: int) -> bytes:
    return b"\n".join(as_json({"op": "upsert", "value": one}) for one in records(BATCH, seed=seed))


def _pull(clients: Sequence[httpx2.Client], number: int) -> float:
    """Records a second of everything there, page by page as a cursor leads."""
    cursor, got, began = None, 0, perf_counter()
    client = clients[0]
    while True:
        query = {"limit": BATCH} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"/api/v1/subscriptions/{number}/records", params=query).raise_for_status().json()
        if not page["records"]:
            return got / (perf_counter() - began)
        got, cursor = got + len(page["records"]), page["cursor"]


def _shared(clients: Sequence[Any], send: Callable[[Any, bytes], None], bodies: Sequence[bytes]) -> float:
    """Seconds until all bodies are sent, each client with one at a time."""
    left = iter(bodies)

    def work(client: Any) -> None:
        for body in left:  # an iterator of a list is safe to share: one step holds the interpreter's lock
            send(client, body)

    began = perf_counter()
    with ThreadPoolExecutor(len(clients)) as pool:
        for done in [pool.submit(work, client) for client in clients]:
            done.result()
    return perf_counter() - began


def _plain(partitions: int) -> tuple[float, float]:
    """Records a second of a plain producer and a plain consumer on a topic of their own."""
    found = engine.access()
    access = KafkaAccess(found.bootstrap, found.authority, found.user, found.password)
    log, topic = KafkaLog(access, connections=1), f"bench-{uuid4().hex}"
    log.create_topic(topic, partitions=partitions)
    producer = KafkaProducer(**access.options(), acks="all", batch_size=MAX_BATCH_BYTES)
    consumer = KafkaConsumer(**access.options(), max_partition_fetch_bytes=MAX_FETCH_BYTES)
    consumer.assign([TopicPartition(topic, partition) for partition in range(partitions)])
    try:
        return _median(lambda: _produce(producer, topic)), _median(lambda: _consume(consumer))
    finally:
        producer.close()
        consumer.close()
        log.delete_topic(topic)
        log.close()


def _produce(producer: Any, topic: str) -> float:
    made = [list(records(BATCH, seed=next(_seeds))) for _ in range(BATCHES)]
    began = perf_counter()
    for batch in made:
        sent = [producer.send(topic, key=one["id"].encode(), value=as_json(one)) for one in batch]
        producer.flush()
        for future in sent:
            future.get(0)
    return BATCHES * BATCH / (perf_counter() - began)


def _consume(consumer: Any) -> float:
    ends = consumer.end_offsets(consumer.assignment())
    consumer.seek_to_beginning()
    got, began = 0, perf_counter()
    while any(consumer.position(place) < end for place, end in ends.items()):
        for part in consumer.poll(1000, max_records=BATCH).values():
            for record in part:
                as_json(json.loads(record.value))
            got += len(part)
    return got / (perf_counter() - began)


def _median(act: Callable[[], float]) -> float:
    return median([act() for _ in range(ROUNDS + 1)][1:])
