"""The lab's RabbitMQ: its own node on loopback, quorum queues, and durable messages outlive a kill."""

import os
import signal
from pathlib import Path

import pytest
from kombu import Connection, Exchange, Queue

from infra.lab import rabbitmq
from infra.lab.errors import NotUp
from infra.lab.record import Record, running_in
from tests.waiting import wait_until

QUEUE = Queue("kept", Exchange("kept"), routing_key="kept", queue_arguments={"x-queue-type": "quorum"})


def wait_until_named(lab: Path) -> None:
    """Until the queue's name is in the file of Ra's names.

    Ra writes it a second late (dets), and a queue that a kill meets before has no leader afterwards.
    """
    [names] = lab.rglob("quorum/*/names.dets")
    wait_until(lambda: b"kept" in names.read_bytes())


def test_life_of_a_node(lab: Path) -> None:
    """One test, since each start takes seconds."""
    with pytest.raises(NotUp, match="siji lab up rabbitmq"):
        rabbitmq.address(lab)
    rabbitmq.up(lab)
    rabbitmq.up(lab)
    told = rabbitmq.status(lab)
    assert told.state == "up"
    assert told.address.startswith("127.0.0.1:")
    with Connection(rabbitmq.address(lab), transport_options={"confirm_publish": True}) as connection:
        connection.Producer().publish(
            {"id": 7}, exchange="kept", routing_key="kept", declare=[QUEUE], delivery_mode=2
        )
    listed = rabbitmq.control("list_queues", "name", "type", state=lab).split()
    assert listed == ["name", "type", "kept", "quorum"]
    assert rabbitmq.control("list_users", state=lab).split("\n")[1].startswith("siji\t")

    record = Record.read(lab / "rabbitmq" / "pid.json")
    assert record is not None
    wait_until_named(lab)
    os.kill(record.pid, signal.SIGKILL)
    rabbitmq.up(lab)
    with Connection(rabbitmq.address(lab)) as connection, connection.SimpleQueue(QUEUE) as queue:
        message = queue.get(timeout=60)
        assert message.payload == {"id": 7}
        message.ack()

    rabbitmq.down(lab)
    assert rabbitmq.status(lab).state == "down"
    assert not running_in(lab, ["beam.smp", "epmd"])
