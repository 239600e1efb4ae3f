"""Security groups: in each project one for each zone whose settings give rules, with exactly those."""

import time
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

import openstack.exceptions as sdk

from infra.settings import SecurityRule, Zone
from provisioning.cloud.openstack.zones import MADE_BY_US, NETWORK_PAUSE_S, oldest

Key = tuple[str, str, str | None, int | None, int | None, str]
"""Direction, IPv4 or IPv6, protocol, first and last port, network: what tells one rule from another."""
ANYWHERE = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}
OUTWARD = tuple(SecurityRule(protocol="any", cidr=cidr, direction="egress") for cidr in ANYWHERE.values())
"""What Neutron gives a new group; stays unless the settings say what may go out."""
ICMP = ("icmp", "icmpv6", "ipv6-icmp")
UNBOUNDED = {"security_groups": -1, "security_group_rules": -1}
"""What they need of the quota and Siji grants with them."""


def ensure_group(network: Any, project_id: str, zone: Zone) -> str:
    """Id of the project's group for the zone, its rules brought up to the settings'."""
    group = _find(network, project_id, zone) or _make(network, project_id, zone)
    wanted = _wanted(zone.rules)
    there = {_key_of(one): one for one in network.security_group_rules(security_group_id=group.id)}
    for key in wanted.keys() - there.keys():
        _add(network, group.id, project_id, key, wanted[key])
    for key in there.keys() - wanted.keys():
        network.delete_security_group_rule(there[key], ignore_missing=True)
    return str(group.id)


def name_of(zone: Zone) -> str:
    """Of the zone's group."""
    return f"siji-{zone.name}"


def _find(network: Any, project_id: str, zone: Zone) -> Any:
    found = network.security_groups(project_id=project_id, name=name_of(zone))
    return oldest(one for one in found if one.description == MADE_BY_US)


def _make(network: Any, project_id: str, zone: Zone) -> Any:
    network.update_quota(project_id, **UNBOUNDED)
    made = network.create_security_group(name=name_of(zone), project_id=project_id, description=MADE_BY_US)
    time.sleep(NETWORK_PAUSE_S)  # whoever makes one in the same second is seen then
    found = _find(network, project_id, zone)
    if found.id != made.id:
        network.delete_security_group(made, ignore_missing=True)
    return found


def _wanted(rules: Iterable[SecurityRule]) -> dict[Key, SecurityRule]:
    told = tuple(rules)
    says_what_goes_out = any(one.direction == "egress" for one in told)
    return {_key(one): one for one in (told if says_what_goes_out else (*told, *OUTWARD))}


def _key(rule: SecurityRule) -> Key:
    first, last = rule.ports or (None, None)
    kind = f"IPv{ip_network(rule.cidr).version}"
    protocol = None if rule.protocol == "any" else rule.protocol
    return rule.direction, kind, protocol, first, last, rule.cidr


def _key_of(found: Any) -> Key:
    """Of a rule of Neutron's, which may call the same by other names."""
    protocol = "icmp" if found.protocol in ICMP else found.protocol
    cidr = found.remote_ip_prefix or f"{found.remote_group_id or ANYWHERE[found.ether_type]}"
    ports = (found.port_range_min, found.port_range_max)
    return found.direction, found.ether_type, protocol, *ports, cidr


def _add(network: Any, group_id: str, project_id: str, key: Key, rule: SecurityRule) -> None:
    direction, kind, protocol, first, last, cidr = key
    try:
        network.create_security_group_rule(
            security_group_id=group_id,
            project_id=project_id,
            direction=direction,
            ether_type=kind,
            protocol="ipv6-icmp" if (protocol, kind) == ("icmp", "IPv6") else protocol,
            port_range_min=first,
            port_range_max=last,
            remote_ip_prefix=cidr,
            description=rule.description,
        )
    except sdk.ConflictException:  # another worker was first
        return
