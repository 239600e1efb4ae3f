"""bench/openstack.py at four times the sample city's servers; an hour, so it runs only when it is named."""

from bench.openstack import compare
from bench.tables import Measured

TIMES = 4


def measure() -> list[Measured]:
    """As `compare`."""
    return compare(times=TIMES)
