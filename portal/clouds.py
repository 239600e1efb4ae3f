"""The clouds as the portal knows them, for what cannot wait for a worker: an address that nobody keeps."""

from functools import lru_cache

from infra.clock import Clock
from infra.installation import Installation
from infra.settings import Settings
from provisioning.cloud.connect import connect
from provisioning.cloud.driver import Cloud


def cloud_of(here: Installation, region: str) -> Cloud:
    """The region's cloud, kept open; never called while a session is."""
    return _cloud(here.settings, region, here.clock)


@lru_cache
def _cloud(settings: Settings, region: str, clock: Clock) -> Cloud:
    return connect(settings, region, clock)
