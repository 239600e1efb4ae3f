"""Failures of kafka-python, sorted in one table into the three of the exchange."""

from collections.abc import Iterator
from contextlib import contextmanager

import kafka.errors as raised

from exchange.broker.driver import BrokerConflict, BrokerPermanent, BrokerRetryable

Failure = type[BrokerRetryable] | type[BrokerPermanent] | type[BrokerConflict]
Sorted = tuple[tuple[type[Exception], ...], Failure, str, str]

# The first row that fits counts: what is special stands before what it is a kind of.
TABLE: tuple[Sorted, ...] = (
    (
        (
            raised.ProducerFencedError,
            raised.InvalidProducerEpochError,
            raised.TransactionCoordinatorFencedError,
        ),
        BrokerConflict,
        "另一写入者已接管",
        "another writer took over",
    ),
    (
        (raised.TopicAlreadyExistsError,),
        BrokerConflict,
        "该主题已存在",
        "the topic is there already",
    ),
    (
        (raised.AuthorizationError,),
        BrokerPermanent,
        "该账号无此权限，请管理员检查 Kafka 的 ACL",
        "its account has no right to it; let an administrator check Kafka's ACLs",
    ),
    (
        (raised.SaslAuthenticationFailedError, raised.UnsupportedSaslMechanismError),
        BrokerPermanent,
        "登录被拒绝，请检查 SIJI_KAFKA_USER 与 SIJI_KAFKA_PASSWORD",
        "its sign-in was refused; check SIJI_KAFKA_USER and SIJI_KAFKA_PASSWORD",
    ),
    (
        (raised.MessageSizeTooLargeError, raised.RecordListTooLargeError),
        BrokerPermanent,
        "记录过大",
        "a record is too large",
    ),
    (
        (raised.UnknownTopicOrPartitionError, raised.UnknownTopicIdError),
        BrokerPermanent,
        "没有该主题或分区",
        "there is no such topic or partition",
    ),
    ((raised.InvalidTopicError,), BrokerPermanent, "主题名称不合法", "the topic's name is not allowed"),
    (
        (raised.InvalidPartitionsError,),
        BrokerPermanent,
        "分区数不合法",
        "the count of partitions is not allowed",
    ),
    (
        (raised.InvalidReplicationFactorError,),
        BrokerRetryable,
        "在线的 Kafka 节点少于副本数",
        "fewer brokers are up than replicas are wanted",
    ),
    (
        (raised.InvalidGroupIdError, raised.InvalidConfigurationError, raised.PolicyViolationError),
        BrokerPermanent,
        "Kafka 不接受该名称或配置",
        "Kafka does not accept that name or configuration",
    ),
    (
        (raised.NotEnoughReplicasError, raised.NotEnoughReplicasAfterAppendError),
        BrokerRetryable,
        "在线副本不足",
        "too few replicas are up",
    ),
    (
        (raised.KafkaTimeoutError, raised.RequestTimedOutError),
        BrokerRetryable,
        "Kafka 未在时限内应答",
        "Kafka did not answer in time",
    ),
)
UNSORTED: Sorted = (
    (Exception,),
    BrokerRetryable,
    "Kafka 不可用（{name}）",
    "Kafka is not available ({name})",
)


class NoSignIn(raised.KafkaTimeoutError):  # type: ignore[misc]  # kafka-python has no types
    """No broker let this process in, within the time for it: away, or not with this password or CA."""


NOT_IN: Sorted = (
    (NoSignIn,),
    BrokerRetryable,
    "无法连接或登录 Kafka：节点未运行，或 SIJI_KAFKA_BOOTSTRAP、SIJI_KAFKA_CA_FILE、SIJI_KAFKA_USER、"
    "SIJI_KAFKA_PASSWORD 之一有误",
    "no connection or no sign-in: its brokers are away, or one of SIJI_KAFKA_BOOTSTRAP, SIJI_KAFKA_CA_FILE, "
    "SIJI_KAFKA_USER and SIJI_KAFKA_PASSWORD is wrong",
)


@contextmanager
def sorted_failures(operation: str, topic: str) -> Iterator[None]:
    """What kafka-python raises within becomes BrokerRetryable, BrokerPermanent or BrokerConflict."""
    try:
        yield
    except raised.KafkaError as error:
        raise sort(error, operation, topic) from error
    except OSError as error:  # such as a CA file that is not there
        raise BrokerPermanent(
            operation=operation,
            topic=topic,
            why_zh=f"无法读取 CA 证书文件或建立连接（{type(error).__name__}）",
            why_en=f"the CA file cannot be read, or no connection be made ({type(error).__name__})",
        ) from error


def sort(error: Exception, operation: str, topic: str) -> BrokerRetryable | BrokerPermanent | BrokerConflict:
    """The exchange's failure for one of kafka-python, with a reason that holds no record's value."""
    row = next((row for row in (NOT_IN, *TABLE) if isinstance(error, row[0])), UNSORTED)
    _classes, failure, zh, en = row
    name = type(error).__name__
    return failure(operation=operation, topic=topic, why_zh=zh.format(name=name), why_en=en.format(name=name))
