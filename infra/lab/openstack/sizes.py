"""How much a lab's OpenStack pretends to have."""

from dataclasses import dataclass
from ipaddress import IPv4Address


@dataclass(frozen=True)
class Sizes:
    """Of each compute host, of the one pool of volumes, and of the network of public addresses.

    `host_ratio` is how many vCPU a core counts for.
    """

    computes: int
    host_vcpus: int
    host_ratio: float
    host_ram_mib: int
    host_disk_gib: int
    pool_gib: int
    public_addresses: int


CITY = Sizes(
    computes=4,
    host_vcpus=2_048,
    host_ratio=4.0,
    host_ram_mib=4_000_000,
    host_disk_gib=200_000,
    pool_gib=1_200_000,
    public_addresses=4_000,
)
"""Four times the sample city (its 262 servers need 1,332 vCPU, 2.7 million MiB, 258,000 GiB of volumes), with
a host to spare.
"""

PUBLIC_CIDR = "198.18.0.0/20"
PUBLIC_FIRST = IPv4Address("198.18.0.10")
"""Public addresses are of the range for benchmarks (RFC 2544), which nobody routes."""
