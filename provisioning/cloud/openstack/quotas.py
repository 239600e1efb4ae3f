"""A project's quota in Nova, Cinder and Neutron; −1 is their word for unlimited and stops here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openstack.exceptions as sdk

from provisioning.cloud.openstack.failures import Failures
from provisioning.quota import Limits, Resources

COMPUTE = {"servers": "instances", "vcpus": "cores", "ram_mib": "ram"}
STORAGE = {"volumes": "volumes", "volume_gib": "gigabytes"}
NETWORK = {"addresses": "floating_ips"}
UNLIMITED = -1
UNBOUNDED = {"ports": UNLIMITED}
"""What servers need of Neutron and Siji grants with them."""


def write(cloud: Any, project_id: str, limits: Limits) -> None:
    """All three; the first that fails ends it."""
    cloud.compute.update_quota_set(project_id, force=True, **_told(COMPUTE, limits))  # below the usage too
    cloud.block_storage.update_quota_set(project_id, **_told(STORAGE, limits))
    cloud.network.update_quota(project_id, **_told(NETWORK, limits), **UNBOUNDED)


def read(cloud: Any, project_id: str) -> Limits:
    """As the services hold them."""
    held: dict[str, int | None] = {"root_gib": None}
    held |= _heard(COMPUTE, cloud.compute.get_quota_set(project_id))
    held |= _heard(STORAGE, cloud.block_storage.get_quota_set(project_id))
    held |= _heard(NETWORK, cloud.network.get_quota(project_id))
    return Limits.parse(held)


@contextmanager
def over_quota_told(
    cloud: Any, failures: Failures, project_id: str, asked: Resources, *, status: int
) -> Iterator[None]:
    """A refusal for the quota's sake within leaves as `OverQuota` with the figures that the services hold.

    `status` is the one that the service refuses with.
    """
    try:
        yield
    except sdk.HttpException as error:
        said = str(error.details or error.message)
        if error.status_code != status or "uota" not in said:
            raise
        raise failures.over_quota(project_id, _shortfalls(cloud, project_id, asked), said) from error


def _shortfalls(cloud: Any, project_id: str, asked: Resources) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for names, service in ((COMPUTE, cloud.compute), (STORAGE, cloud.block_storage)):
        wanted = {key: name for key, name in names.items() if asked[key]}
        held = service.get_quota_set(project_id, usage=True) if wanted else None
        for key, name in wanted.items():
            limit, used = getattr(held, name), (getattr(held, "usage", None) or {}).get(name, 0)
            if limit != UNLIMITED and used + asked[key] > limit:
                found.append({"dimension": key, "limit": limit, "used": used, "asked": asked[key]})
    return found


def _told(names: dict[str, str], limits: Limits) -> dict[str, int]:
    bounds = {name: limits[key] for key, name in names.items()}
    return {name: UNLIMITED if bound is None else bound for name, bound in bounds.items()}


def _heard(names: dict[str, str], found: Any) -> dict[str, int | None]:
    bounds = {key: getattr(found, name) for key, name in names.items()}
    return {key: None if bound == UNLIMITED else int(bound) for key, bound in bounds.items()}
