"""Families of samples for Prometheus out of rows; the names' prefix, and nothing of what they count."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

PREFIX = "siji_"
Family = TypeVar("Family", GaugeMetricFamily, CounterMetricFamily)
Row = tuple[Sequence[str], float]
"""Values of the labels in their order, and the sample."""


def gauge(name: str, said: str, labels: Sequence[str], rows: Iterable[Row]) -> GaugeMetricFamily:
    """What goes up and down; `said` is the help text with the unit."""
    return _filled(GaugeMetricFamily(f"{PREFIX}{name}", said, labels=labels), rows)


def counter(name: str, said: str, labels: Sequence[str], rows: Iterable[Row]) -> CounterMetricFamily:
    """What only grows; Prometheus' client adds `_total` to the name."""
    return _filled(CounterMetricFamily(f"{PREFIX}{name}", said, labels=labels), rows)


def seconds(at: datetime | None) -> float:
    """Seconds of the epoch; 0 for what never was."""
    return at.timestamp() if at is not None else 0.0


def _filled(family: Family, rows: Iterable[Row]) -> Family:
    for labels, value in rows:
        family.add_metric(list(labels), value)
    return family
