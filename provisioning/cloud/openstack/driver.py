"""The driver of one OpenStack region: projects, servers, hosts, volumes, addresses over one session."""

from collections.abc import Callable
from datetime import datetime

from infra.settings import OpenStackRegion
from provisioning.cloud.openstack.addresses import Addresses
from provisioning.cloud.openstack.hosts import Hosts
from provisioning.cloud.openstack.lifecycle import Lifecycle
from provisioning.cloud.openstack.projects import Projects
from provisioning.cloud.openstack.session import Session
from provisioning.cloud.openstack.volumes import Volumes

PAGE_SIZE = 500
"""Half of what the services give at most."""


class OpenStackCloud(Projects, Lifecycle, Hosts, Volumes, Addresses):
    """Keeps the Protocol `Cloud`; what a method means is said there."""

    def __init__(
        self,
        where: OpenStackRegion,
        *,
        now: Callable[[], datetime],
        clouds_file: str | None = None,
        page_size: int = PAGE_SIZE,
    ) -> None:
        """Without `clouds_file` the SDK looks where it always does."""
        super().__init__(Session(where, clouds_file, now), page_size=page_size)

    @property
    def region(self) -> str:
        """Name of the region."""
        return self._session.where.name
