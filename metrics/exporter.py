"""What Prometheus scrapes: all series, read from the records on one snapshot at each scrape.

The process keeps no counts of its own, so that exporters may start and end as they like.
"""

from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from infra.database import reading
from metrics.cloud_series import cloud_series
from metrics.exchange_series import exchange_series
from metrics.log_ends import LogEnds
from metrics.office_series import office_series
from metrics.series import gauge


class Records(Collector):
    """Collects from the records behind `engine`; where they cannot be reached, `siji_up` 0 is all it says."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._log_ends = engine, LogEnds()

    def collect(self) -> Iterator[Metric]:
        """Every family of samples."""
        try:
            with reading(self._engine) as session:
                found = [
                    *cloud_series(session),
                    *exchange_series(session, self._log_ends),
                    *office_series(session),
                ]
        except OperationalError:
            found = None
        yield gauge("up", "Whether the records could be read", (), [((), float(found is not None))])
        yield gauge("build_info", "Version of Siji", ("version",), [((version("siji"),), 1.0)])
        yield from found or ()


def registry_of(engine: Engine) -> CollectorRegistry:
    """A registry with nothing but the records'."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Records(engine))
    return registry
