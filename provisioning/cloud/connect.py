"""The one place that picks a cloud driver, by the settings."""

from infra.clock import Clock
from infra.settings import Settings
from provisioning.cloud.driver import Cloud
from provisioning.cloud.simulated import SimulatedCloud, SimulatedStore
from provisioning.names import REGION_NAME


def connect(settings: Settings, region: str, clock: Clock) -> Cloud:
    """The driver of `region`; a simulated region is a file of its own in data_dir, built at its first use."""
    if not REGION_NAME.fullmatch(region):
        raise ValueError(f"the region's name {region!r} is not 1–64 of A–Z a–z 0–9 _ -")
    store = SimulatedStore(settings.data_dir / f"region-{region}.sqlite")
    return SimulatedCloud(store, region=region, now=clock.now, latency_s=settings.simulated_latency_s)
