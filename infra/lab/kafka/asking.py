"""Asks a broker of the lab, as its administrator, whether it works."""

import socket
from collections.abc import Collection

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from infra.lab.kafka.place import ADMINISTRATOR, Place

WITHIN_MS = 5_000


def work(place: Place, broker: int, among: Collection[int]) -> bool:
    """Whether `broker` takes the administrator's word, and all `among` the brokers work."""
    if not all(_listens(place.address(one, "client")) for one in (broker, *among)):
        return False  # asking costs far more
    try:
        with KafkaAdminClient(
            bootstrap_servers=place.address(broker, "client"),
            security_protocol="SASL_SSL",
            ssl_cafile=str(place.authority),
            sasl_mechanism="SCRAM-SHA-512",
            sasl_plain_username=ADMINISTRATOR,
            sasl_plain_password=place.password,
            bootstrap_timeout_ms=WITHIN_MS,
            request_timeout_ms=WITHIN_MS,
        ) as administrator:
            told = administrator.describe_cluster()["brokers"]
    except (KafkaError, OSError):
        return False
    return {one["broker_id"] for one in told if not one.get("is_fenced")} >= set(among)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0
