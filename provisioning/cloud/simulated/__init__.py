"""A simulated region: one SQLite file that enforces what OpenStack enforces, and fails on request."""

from provisioning.cloud.simulated.driver import SimulatedCloud
from provisioning.cloud.simulated.faults import Fault, SimulatedRegion
from provisioning.cloud.simulated.store import SimulatedStore, Sizes

__all__ = ["Fault", "SimulatedCloud", "SimulatedRegion", "SimulatedStore", "Sizes"]
