"""The one place that picks a cloud driver, by the settings."""

from infra.clock import Clock
from infra.settings import Settings
from provisioning.cloud.driver import Cloud, Permanent
from provisioning.cloud.openstack import OpenStackCloud
from provisioning.cloud.simulated import SimulatedCloud, SimulatedStore
from provisioning.names import REGION_NAME


def connect(settings: Settings, region: str, clock: Clock) -> Cloud:
    """The driver of `region`; a simulated region is a file of its own in data_dir, built at its first use.

    `Permanent` for a region that the settings do not tell of.
    """
    if not REGION_NAME.fullmatch(region):
        raise ValueError(f"the region's name {region!r} is not 1–64 of A–Z a–z 0–9 _ -")
    if settings.cloud == "simulated":
        store = SimulatedStore(settings.data_dir / f"region-{region}.sqlite")
        return SimulatedCloud(store, region=region, now=clock.now, latency_s=settings.simulated_latency_s)
    where = next((one for one in settings.openstack if one.name == region), None)
    if where is None:
        raise Permanent(
            region=region,
            call="connect",
            reason_zh="SIJI_OPENSTACK 中没有该区域",
            reason_en="SIJI_OPENSTACK does not tell of it",
        )
    clouds_file = None if settings.clouds_file is None else str(settings.clouds_file)
    return OpenStackCloud(where, clouds_file=clouds_file, now=clock.now)
