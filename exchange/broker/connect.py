"""Picks the log that the settings name; the only importer of a concrete one."""

from functools import cache

from exchange.broker.driver import Broker
from exchange.broker.embedded import EmbeddedLog
from exchange.broker.kafka.access import KafkaAccess
from exchange.broker.kafka.log import KafkaLog
from exchange.broker.kafka.rights import KafkaRights
from exchange.broker.rights import RightsKeeper
from infra.settings import Settings

FILE = "exchange.sqlite"


def connect_broker(settings: Settings) -> Broker:
    """The log that `settings.exchange` names; connects when first used. Close it when done."""
    if settings.exchange == "kafka":
        return _kafka(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return EmbeddedLog(settings.data_dir / FILE)


@cache
def shared_broker(settings: Settings) -> Broker:
    """The same, kept open for as long as this process runs: signing in anew costs more than a small job."""
    return connect_broker(settings)


def connect_rights(settings: Settings) -> RightsKeeper | None:
    """Who keeps the rights of those who read the log themselves; None if nobody but Siji reads it."""
    return KafkaRights(_access(settings)) if settings.exchange == "kafka" else None


def _kafka(settings: Settings) -> KafkaLog:
    return KafkaLog(_access(settings), connections=settings.kafka_connections)


def _access(settings: Settings) -> KafkaAccess:
    if settings.kafka_ca_file is None or settings.kafka_password is None:
        raise ValueError("settings without what Kafka needs were not checked")
    return KafkaAccess(
        bootstrap=settings.kafka_bootstrap,
        ca_file=settings.kafka_ca_file,
        user=settings.kafka_user,
        password=settings.kafka_password.get_secret_value(),
    )
