"""One running installation: settings, clock and records, opened once per process and passed on."""

from dataclasses import dataclass

from sqlalchemy import Engine

from infra.clock import Clock
from infra.database import open_database
from infra.logs import set_levels
from infra.settings import Settings


@dataclass(frozen=True)
class Installation:
    """What every face and every worker needs to act."""

    settings: Settings
    clock: Clock
    engine: Engine


def open_installation(settings: Settings, *, pool_size: int = 5) -> Installation:
    """Open the records that `settings` name; makes nothing, connects lazily."""
    set_levels()
    engine = open_database(settings.records_url, pool_size=pool_size)
    return Installation(settings, Clock(settings.clock_shift_s), engine)
