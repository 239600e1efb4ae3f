"""Rules of security groups as the settings tell them."""

import pytest
from pydantic import ValidationError

from infra.settings import SecurityRule


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ({"protocol": "sctp", "cidr": "10.0.0.0/8"}, "protocol"),
        ({"protocol": "tcp", "cidr": "10.0.0.1/8"}, "host bits"),
        ({"protocol": "tcp", "cidr": "intranet"}, "cidr"),
        ({"protocol": "icmp", "cidr": "10.0.0.0/8", "ports": [1, 2]}, "icmp has no ports"),
        ({"protocol": "any", "cidr": "10.0.0.0/8", "ports": [1, 2]}, "any has no ports"),
        ({"protocol": "tcp", "cidr": "10.0.0.0/8", "ports": [443, 80]}, "first port is beyond the last"),
        ({"protocol": "udp", "cidr": "10.0.0.0/8", "ports": [0, 80]}, "ports"),
        ({"protocol": "udp", "cidr": "10.0.0.0/8", "ports": [80, 65_536]}, "ports"),
        ({"protocol": "udp", "cidr": "10.0.0.0/8", "direction": "in"}, "direction"),
    ],
    ids=str,
)
def test_one_that_neutron_would_not_take_is_refused(told: dict[str, object], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        SecurityRule.model_validate(told)


def test_reads_what_the_documentation_shows() -> None:
    rule = SecurityRule.model_validate({"protocol": "tcp", "ports": [22, 22], "cidr": "fd00::0/8"})
    assert (rule.ports, rule.cidr, rule.direction, rule.description) == (
        (22, 22),
        "fd00::/8",
        "ingress",
        "",
    )
