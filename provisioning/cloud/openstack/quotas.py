"""A project's quota in Nova, Cinder and Neutron; −1 is their word for unlimited and stops here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openstack.exceptions as sdk

from provisioning.cloud.observed import SERVICES, Held, PushedLimits
from provisioning.cloud.openstack import unified
from provisioning.cloud.openstack.failures import Failures
from provisioning.cloud.pushing import push_to_each
from provisioning.quota import Limits, Resources

COMPUTE = {"servers": "instances", "vcpus": "cores", "ram_mib": "ram"}
STORAGE = {"volumes": "volumes", "volume_gib": "gigabytes"}
NETWORK = {"addresses": "floating_ips"}
NAMES = {"nova": COMPUTE, "cinder": STORAGE, "neutron": NETWORK}
UNLIMITED = -1
UNBOUNDED = {"ports": UNLIMITED}
"""What servers need of Neutron and Siji grants with them."""


def push(cloud: Any, failures: Failures, project_id: str, limits: Limits) -> PushedLimits:
    """To each of the three, and back."""

    def write(service: str) -> Held | None:
        with failures.translated():
            return _write(cloud, failures, service, project_id, limits)

    def read_back(service: str) -> Held:
        with failures.translated():
            return _read(cloud, service, project_id)

    return push_to_each(limits, write, read_back)


def read(cloud: Any, project_id: str) -> Limits:
    """As the services hold them."""
    held: dict[str, int | None] = {"root_gib": None}
    for service in SERVICES:
        held |= _read(cloud, service, project_id)
    return Limits.parse(held)


@contextmanager
def over_quota_told(
    cloud: Any, failures: Failures, project_id: str, asked: Resources, *, status: int
) -> Iterator[None]:
    """A refusal for the quota's sake within leaves as `OverQuota` with the figures that the service told, or
    else with those that the services hold.

    `status` is the one that the service refuses with.
    """
    try:
        yield
    except sdk.HttpException as error:
        said = str(error.details or error.message)
        told = unified.find_shortfalls(said)
        if error.status_code != status or not (told or "uota" in said):
            raise
        raise failures.over_quota(project_id, told or _shortfalls(cloud, project_id, asked), said) from error


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


def _write(cloud: Any, failures: Failures, service: str, project_id: str, limits: Limits) -> Held | None:
    """Each answers with what it has then, read after the write; None where that is Keystone's to tell."""
    told = _told(NAMES[service], limits)
    match service:
        case "nova":
            answer = cloud.compute.update_quota_set(project_id, force=True, **told)  # below the usage too
            if any(getattr(answer, name) != bound for name, bound in told.items()):
                unified.write(cloud, failures, project_id, _told(unified.RESOURCES, limits))
                return None
        case "cinder":
            answer = cloud.block_storage.update_quota_set(project_id, **told)
        case _:
            answer = cloud.network.update_quota(project_id, **told, **UNBOUNDED)
    return _heard(NAMES[service], answer)


def _read(cloud: Any, service: str, project_id: str) -> dict[str, int | None]:
    match service:
        case "nova":
            held = cloud.compute.get_quota_set(project_id)
        case "cinder":
            held = cloud.block_storage.get_quota_set(project_id)
        case _:
            held = cloud.network.get_quota(project_id)
    return _heard(NAMES[service], held)


def _told(names: dict[str, str], limits: Limits) -> dict[str, int]:
    bounds = {name: limits[key] for key, name in names.items()}
    return {name: UNLIMITED if bound is None else bound for name, bound in bounds.items()}


def _heard(names: dict[str, str], found: Any) -> dict[str, int | None]:
    bounds = {key: getattr(found, name) for key, name in names.items()}
    return {key: None if bound == UNLIMITED else int(bound) for key, bound in bounds.items()}
