"""What only the log on Kafka has: writers that are killed, taken over or forked; rights; what it says."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialDeletion, UserScramCredentialUpsertion

from exchange.broker.driver import BrokerPermanent, BrokerRetryable, NewRecord
from exchange.broker.kafka.log import KafkaLog
from tests.brokers import kafka_access, open_kafka, own_names

ROOT = Path(__file__).parents[2]
COUNT = 50
BATCH = [NewRecord(0, b"%d" % n, b"v") for n in range(COUNT)]


@pytest.fixture
def log() -> Iterator[KafkaLog]:
    opened = open_kafka()
    yield opened
    opened.close()


@pytest.fixture
def topic(log: KafkaLog) -> Iterator[str]:
    name = own_names()["t"]
    log.create_topic(name, partitions=1)
    yield name
    log.delete_topic(name)


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(topic: str) -> Iterator[Start]:
    """Starts writers of tests/contract/kafka_writer.py."""
    started: list[subprocess.Popen[str]] = []

    def one(marker: str = "-", point: str = "wait") -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "tests.contract.kafka_writer", topic, marker, str(COUNT), point]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(words, cwd=ROOT, text=True, stdin=pipe, stdout=pipe))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.communicate()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def keys(log: KafkaLog, topic: str) -> list[int]:
    found: list[int] = []
    offset = 0
    while (part := log.read(topic, partition=0, offset=offset, limit=1000)).next_offset > offset:
        found += [int(record.key) for record in part.records]
        offset = part.next_offset
    return found


def test_a_writer_killed_between_its_sends_and_its_commit_is_taken_over(
    log: KafkaLog, topic: str, start: Start
) -> None:
    killed = start()
    marker = line(killed)
    assert line(killed) == "sent"
    killed.kill()
    killed.wait()
    assert log.find_batch(topic, marker=marker) is None
    assert log.read(topic, partition=0, offset=0, limit=10).records == ()
    spans = log.append(topic, marker=marker, records=BATCH)
    assert spans[0].count == COUNT
    assert spans[0].first >= COUNT  # behind those of the killed one, which were taken back
    assert keys(log, topic) == list(range(COUNT))
    again = start(marker)
    assert (line(again), line(again)) == (marker, str(COUNT))
    assert keys(log, topic) == list(range(COUNT))


def test_a_writer_that_lives_and_is_slow_is_taken_over(log: KafkaLog, topic: str, start: Start) -> None:
    slow = start()
    marker = line(slow)
    assert line(slow) == "sent"
    spans = log.append(topic, marker=marker, records=BATCH)
    assert slow.stdin is not None
    slow.stdin.write("\n")
    slow.stdin.flush()
    assert line(slow) == "conflict"
    assert keys(log, topic) == list(range(COUNT))
    assert log.find_batch(topic, marker=marker) == spans


def test_a_writer_that_committed_just_before_is_found(log: KafkaLog, topic: str, start: Start) -> None:
    process = start(point="none")
    marker = line(process)
    assert (line(process), line(process)) == ("sent", str(COUNT))
    assert log.append(topic, marker=marker, records=BATCH)[0].count == COUNT
    assert keys(log, topic) == list(range(COUNT))


def test_a_fork_has_connections_of_its_own(log: KafkaLog, topic: str) -> None:
    log.append(topic, marker=log.new_marker(topic), records=BATCH[:1])
    log.read(topic, partition=0, offset=0, limit=10)
    mine = log.new_marker(topic)
    child = os.fork()
    if child == 0:
        code = 1
        signal.alarm(30)  # sharing the parent's connections would hang
        try:
            log.append(topic, marker=log.new_marker(topic), records=BATCH[1:2])
            code = 0 if keys(log, topic) == [0, 1] else 2
            log.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    log.append(topic, marker=mine, records=BATCH[2:3])
    assert keys(log, topic) == [0, 1, 2]


@pytest.mark.parametrize(
    "changed", [{"password": "not this one"}, {"bootstrap": "127.0.0.1:9"}], ids=["password", "broker"]
)
def test_a_wrong_password_or_no_broker_is_told(changed: dict[str, Any]) -> None:
    access = replace(kafka_access(), **changed)

    began = time.monotonic()
    with pytest.raises(BrokerRetryable) as failure:
        KafkaLog(access, connections=1).read("t", partition=0, offset=0, limit=1)
    assert time.monotonic() - began < 20
    told = failure.value.message("zh") + failure.value.message("en")
    assert told.count("SIJI_KAFKA_PASSWORD") == 2
    assert access.password not in told


@pytest.fixture
def stranger(topic: str) -> Iterator[KafkaLog]:
    """Signs in and has no rights."""
    access = replace(kafka_access(), user=topic, password="a stranger's")
    admin = KafkaAdminClient(**kafka_access().options())
    user = (topic, ScramMechanism.SCRAM_SHA_512)
    admin.alter_user_scram_credentials([UserScramCredentialUpsertion(*user, access.password)])
    stranger = KafkaLog(access, connections=1)
    yield stranger
    stranger.close()
    admin.alter_user_scram_credentials([UserScramCredentialDeletion(*user)])
    admin.close()


def test_who_lacks_rights_is_told_so_and_never_that_nothing_is_there(
    log: KafkaLog, topic: str, stranger: KafkaLog
) -> None:
    marker = log.new_marker(topic)
    log.append(topic, marker=marker, records=BATCH)
    acts: list[Callable[[], object]] = [
        lambda: stranger.partitions(topic),
        lambda: stranger.read(topic, partition=0, offset=0, limit=10),
        lambda: stranger.end_offsets(topic),
        lambda: stranger.find_batch(topic, marker=marker),
        lambda: stranger.new_marker(topic),
        lambda: stranger.append(topic, marker=marker, records=BATCH),
        lambda: stranger.create_topic(f"{topic}-more", partitions=1),
        lambda: stranger.commit_offsets(topic, group="g", offsets={0: 1}),
    ]
    for act in acts:
        with pytest.raises(BrokerPermanent) as refusal:
            act()
        assert "ACL" in refusal.value.message("zh")
        assert "ACL" in refusal.value.message("en")


def test_a_marker_of_another_log_is_refused(log: KafkaLog, topic: str) -> None:
    with pytest.raises(BrokerPermanent) as refusal:
        log.append(topic, marker="0" * 64, records=BATCH)
    assert "标记" in refusal.value.message("zh")
