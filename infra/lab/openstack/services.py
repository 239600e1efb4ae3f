"""The servers of the lab's OpenStack: what each is started with, and what tells that it answers."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from infra.lab.openstack.place import HOST, Place

ANSWER_WITHIN_S = 20
CONTROL = Path(__file__).parent / "control"
MARIADB = Path("/usr/sbin/mariadbd")
MEMCACHED = Path("/usr/bin/memcached")
PORTS = ("mariadb", "memcached", "keystone", "placement", "glance", "nova", "cinder", "neutron", "novnc")
"""Those that listen."""
USERS = ("placement", "glance", "nova", "cinder", "neutron")
PATHS = {
    "keystone": "/v3/",
    "placement": "",
    "glance": "",
    "nova": "/v2.1",
    "cinder": "/v3",
    "neutron": "",
}
"""Where below its root an API begins, as the catalogue tells it."""


@dataclass(frozen=True)
class Server:
    """One server; `ready` is asked again and again after its start."""

    name: str
    command: list[str | Path]
    environment: Mapping[str, str]
    ready: Callable[[], bool]


def stores(place: Place) -> list[Server]:
    """The database and the cache of tokens.

    The database does not sync to disk: what it holds is worth no more than the cloud, which is pretended.
    """
    return [
        Server(
            "mariadb",
            [
                MARIADB,
                "--no-defaults",
                f"--datadir={place.data / 'mariadb'}",
                "--socket=server.sock",  # in the datadir: longer paths are refused
                f"--bind-address={HOST}",
                f"--port={place.port('mariadb')}",
                f"--init-file={place.etc / 'databases.sql'}",
                "--skip-log-bin",
                "--skip-name-resolve",
                "--max-connections=600",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-flush-method=nosync",
                "--innodb-buffer-pool-size=256M",
                "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_general_ci",
                "--performance-schema=OFF",
            ],
            place.environment(),
            lambda: listens(place, "mariadb"),
        ),
        Server(
            "memcached",
            [MEMCACHED, "-l", HOST, "-p", str(place.port("memcached")), "-U", "0", "-m", "64", "-t", "1"],
            place.environment(),
            lambda: listens(place, "memcached"),
        ),
    ]


def apis(place: Place) -> list[Server]:
    """The six APIs, Keystone first; in lite mode Nova's and Cinder's hold their other services too.

    Neutron's has one thread: its agents, none of which run here, are what would need more.
    """
    nova, cinder = place.etc / "nova" / "nova.conf", place.etc / "cinder" / "cinder.conf"
    inside = not place.full
    return [
        _api(place, "keystone", "keystone.wsgi.api", OS_KEYSTONE_CONFIG_DIR=place.etc / "keystone"),
        _api(place, "placement", "placement.wsgi.api", OS_PLACEMENT_CONFIG_DIR=place.etc / "placement"),
        _api(place, "glance", "glance.wsgi.api", OS_GLANCE_CONFIG_DIR=place.etc / "glance"),
        _api(
            place,
            "nova",
            "nova_threads,nova_whole" if inside else "nova.wsgi.osapi_compute",
            OS_NOVA_CONFIG_DIR=nova.parent,
        ),
        _api(
            place,
            "cinder",
            "cinder_threads,cinder_whole" if inside else "cinder.wsgi.api",
            "--config-file",
            cinder,
        ),
        _api(
            place,
            "neutron",
            "neutron.wsgi.api",
            threads=1,
            OS_NEUTRON_CONFIG_DIR=place.etc / "neutron",
            OS_NEUTRON_CONFIG_FILES="neutron.conf",
        ),
    ]


def workers(place: Place) -> list[Server]:
    """What runs beside the APIs in full mode, over RabbitMQ."""
    if not place.full:
        return []
    nova, cinder = place.etc / "nova" / "nova.conf", place.etc / "cinder" / "cinder.conf"
    programs: dict[str, list[str | Path]] = {
        "nova-conductor": [place.python, place.venv / "bin" / "nova-conductor", "--config-file", nova],
        "nova-scheduler": [place.python, place.venv / "bin" / "nova-scheduler", "--config-file", nova],
        "nova-compute": [
            place.python,
            CONTROL / "first.py",
            "nova_threads",
            "nova_computes",
            "--config-file",
            nova,
        ],
        "cinder-scheduler": [place.python, place.venv / "bin" / "cinder-scheduler", "--config-file", cinder],
        "cinder-volume": [place.python, place.venv / "bin" / "cinder-volume", "--config-file", cinder],
    }
    return [Server(name, command, place.environment(), lambda: True) for name, command in programs.items()]


def _api(
    place: Place, name: str, module: str, *arguments: str | Path, threads: int = 4, **variables: Path | str
) -> Server:
    serve = CONTROL / "serve.py"
    return Server(
        name,
        [place.python, serve, module, str(place.port(name)), str(threads), *arguments],
        place.environment(**variables),
        lambda: _answers(place, name),
    )


def listens(place: Place, name: str) -> bool:
    """Whether anybody takes connections at that server's port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, place.port(name))) == 0


def _answers(place: Place, name: str) -> bool:
    """Whether the API says anything but that it cannot."""
    connection = HTTPConnection(HOST, place.port(name), timeout=ANSWER_WITHIN_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
