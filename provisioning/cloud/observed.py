"""What a cloud shows, in OpenStack's words. Values only: no calls, and no decisions about quota.

Sizes carry their unit in the name; limits and inventories are those of `quota`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from provisioning.quota import Inventory, Limits, Resources


@dataclass(frozen=True, kw_only=True)
class Project:
    """A Keystone project; one per bureau, flat in one domain. `bureau_code` is empty where it is nobody's; in
    a `retired` one nothing new is made.
    """

    id: str
    name: str
    description: str
    bureau_code: str
    retired: bool


@dataclass(frozen=True, kw_only=True)
class Flavor:
    """A size of server; never changes once made. `project_ids` are whose it is, None: everybody's."""

    id: str
    name: str
    vcpus: int
    ram_mib: int
    root_gib: int
    project_ids: frozenset[str] | None


class ImageStatus(StrEnum):
    """Glance's states that a caller meets."""

    queued = "queued"
    active = "active"
    error = "error"


@dataclass(frozen=True, kw_only=True)
class Image:
    """What a server starts from, or a snapshot of one (then it bears the tag it was made with)."""

    id: str
    name: str
    status: ImageStatus
    min_root_gib: int
    min_ram_mib: int
    tag: str | None


class ServerStatus(StrEnum):
    """Nova's states that a caller meets."""

    build = "BUILD"
    active = "ACTIVE"
    shutoff = "SHUTOFF"
    reboot = "REBOOT"
    rebuild = "REBUILD"
    migrating = "MIGRATING"
    resize = "RESIZE"
    verify_resize = "VERIFY_RESIZE"
    revert_resize = "REVERT_RESIZE"
    shelved = "SHELVED_OFFLOADED"
    error = "ERROR"
    unknown = "UNKNOWN"


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server as last observed. Sizes are those of the flavor it runs with now, as Nova embeds them.

    `tag` is its `siji_id`, None where it bears none; `task` is Nova's task state, None when nothing is under
    way (`deleting` until it is gone); `fault` says why it is in ERROR; `zone` is the network zone.
    `image_id` is None where the root disk is a volume, `host` where it is on none; `group` is the name of
    its anti-affinity group, `key_name` what the cloud calls its key pair.
    """

    id: str
    tag: str | None
    name: str
    project_id: str
    status: ServerStatus
    task: str | None
    fault: str | None
    flavor: str
    vcpus: int
    ram_mib: int
    root_gib: int
    image_id: str | None
    zone: str | None
    host: str | None
    group: str | None
    key_name: str | None
    addresses: tuple[str, ...]
    created_at: datetime


class VolumeStatus(StrEnum):
    """Cinder's states that a caller meets."""

    creating = "creating"
    available = "available"
    attaching = "attaching"
    in_use = "in-use"
    detaching = "detaching"
    extending = "extending"
    deleting = "deleting"
    error = "error"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume as last observed; `server_id` is the server it is attached to, or being attached to."""

    id: str
    tag: str | None
    name: str
    project_id: str
    status: VolumeStatus
    size_gib: int
    server_id: str | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Address:
    """A public address (Neutron's floating IP); `server_id` is None while it leads nowhere."""

    id: str
    tag: str | None
    project_id: str
    address: str
    server_id: str | None


@dataclass(frozen=True, kw_only=True)
class Host:
    """A compute host; not `enabled`, it takes no further servers, `reason` says why. `up`: it answers."""

    name: str
    enabled: bool
    up: bool
    reason: str | None


class ProviderKind(StrEnum):
    """Who holds inventory: Placement's compute nodes, Cinder's pools, Neutron's external networks."""

    compute_host = "compute_host"
    volume_pool = "volume_pool"
    address_pool = "address_pool"


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A provider, what it has, and what consumers hold of it.

    Of a compute host `vcpus`, `ram_mib` and `root_gib`, of a volume pool `volume_gib`, of an address pool
    `addresses`; what the cloud does not report is absent, never 0.
    """

    id: str
    name: str
    kind: ProviderKind
    inventories: tuple[Inventory, ...]
    used: Resources


SERVICES: Mapping[str, tuple[str, ...]] = {
    "nova": ("servers", "vcpus", "ram_mib"),
    "cinder": ("volumes", "volume_gib"),
    "neutron": ("addresses",),
}
"""Who holds the limit of which dimensions; none has one for root disks."""

Held = Mapping[str, int | None]
"""Bounds by dimension; None is unlimited."""


@dataclass(frozen=True, kw_only=True)
class ServiceFault:
    """Why a service does not hold what was pushed; `unanswered`: it may pass without anybody's doing."""

    zh: str
    en: str
    unanswered: bool = False


@dataclass(frozen=True, kw_only=True)
class PushedLimits:
    """`held`: what each service says it holds, None where it cannot be asked: unknown, not 0. `failed`: why,
    of each that is not known to hold what was pushed.
    """

    held: Mapping[str, Held | None]
    failed: Mapping[str, ServiceFault]

    @property
    def limits(self) -> Limits | None:
        """What all of them hold, with None for `root_gib`; None where a part of it is unknown."""
        bounds: dict[str, int | None] = {"root_gib": None}
        for its in self.held.values():
            if its is None:
                return None
            bounds |= its
        return Limits.parse(bounds)
