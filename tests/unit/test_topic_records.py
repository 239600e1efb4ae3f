"""Records of a subscription's own topic, and its name."""

import json
from typing import Any

from exchange.broker.limits import TOPIC
from exchange.topic_records import client_properties, ends_of_generation, topic_name, topic_record

SEEN: dict[str, Any] = {
    "dataset": "people/1",
    "partition": 2,
    "offset": 7,
    "ref": "ab",
    "published_at": "then",
    "digest": "cd",
}


def test_a_name_is_one_that_kafka_takes() -> None:
    name = topic_name("siji", 12, "0f0f0f0f")
    assert name == "siji.subscription.12.0f0f0f0f"
    assert TOPIC.fullmatch(name)


def test_an_upsert_has_its_value_and_says_what_it_is() -> None:
    record = topic_record(**SEEN, op="upsert", value={"b": 1, "a": "𠮷"}, generation=None, delivery_id=3)
    assert (record.partition, record.key, record.value) == (2, b"ab", '{"a":"𠮷","b":1}'.encode())
    told = {"op": "upsert", "dataset": "people/1", "offset": "7", "at": "then", "digest": "cd"}
    assert record.headers == told | {"delivery": "3"}


def test_a_delete_has_no_value_but_says_of_what() -> None:
    record = topic_record(**SEEN, op="delete", value={"id": "1"}, generation=4, delivery_id=3)
    assert record.value is None
    assert (record.headers["deleted"], record.headers["generation"]) == ('{"id":"1"}', "4")


def test_a_generation_ends_in_each_partition() -> None:
    ends = list(ends_of_generation("people", 4, 3))
    assert [(one.partition, one.key) for one in ends] == [(0, b""), (1, b""), (2, b"")]
    assert {one.headers["op"] for one in ends} == {"complete"}
    assert json.loads(ends[0].value or b"") == {"generation": 4}


def test_a_client_is_told_all_that_it_needs() -> None:
    told = client_properties(bootstrap="kafka:9093", name="siji.subscription.1.0f", password="s3cret")
    lines = dict(line.split("=", 1) for line in told.splitlines())
    assert lines["bootstrap.servers"] == "kafka:9093"
    assert lines["group.id"].startswith("siji.subscription.1.0f")
    assert 'username="siji.subscription.1.0f" password="s3cret";' in lines["sasl.jaas.config"]
