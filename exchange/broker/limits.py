"""What every log refuses alike, before it is asked."""

import re
from collections.abc import Sequence

from exchange.broker.driver import BrokerPermanent, NewRecord

MAX_RECORD_BYTES = 1_000_000
"""Of a record's key and value together."""
MAX_PARTITIONS = 1_000
TOPIC = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}")


def check_new_topic(topic: str, partitions: int) -> None:
    """BrokerPermanent for a name or a count of partitions that is not allowed."""
    if not TOPIC.fullmatch(topic):
        raise BrokerPermanent(
            operation="create_topic",
            topic=topic,
            why_zh="主题名称不合法",
            why_en="the topic's name is not allowed",
        )
    if not 1 <= partitions <= MAX_PARTITIONS:
        raise BrokerPermanent(
            operation="create_topic",
            topic=topic,
            why_zh=f"分区数应为 1 至 {MAX_PARTITIONS}",
            why_en=f"a topic has 1 to {MAX_PARTITIONS} partitions",
        )


def check_sizes(topic: str, records: Sequence[NewRecord]) -> None:
    """BrokerPermanent for a record that is too large."""
    for record in records:
        if len(record.key) + len(record.value or b"") > MAX_RECORD_BYTES:
            raise BrokerPermanent(
                operation="append",
                topic=topic,
                why_zh=f"单条记录超过 {MAX_RECORD_BYTES} 字节",
                why_en=f"a record has more than {MAX_RECORD_BYTES} bytes",
            )


def check_partition(operation: str, topic: str, partition: int, partitions: int) -> None:
    """BrokerPermanent for a partition that a topic with so many does not have."""
    if not 0 <= partition < partitions:
        raise BrokerPermanent(
            operation=operation,
            topic=topic,
            why_zh=f"没有第 {partition} 号分区",
            why_en=f"there is no partition {partition}",
        )


def no_topic(operation: str, topic: str) -> BrokerPermanent:
    """The topic that is meant does not exist."""
    return BrokerPermanent(
        operation=operation, topic=topic, why_zh="没有该主题", why_en="there is no such topic"
    )
