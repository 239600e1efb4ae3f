"""Picks the log that the settings name; the only importer of a concrete one."""

from exchange.broker.driver import Broker
from exchange.broker.embedded import EmbeddedLog
from infra.settings import Settings

FILE = "exchange.sqlite"


def connect_broker(settings: Settings) -> Broker:
    """The log that `settings.exchange` names; connects when first used. Close it when done."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return EmbeddedLog(settings.data_dir / FILE)
