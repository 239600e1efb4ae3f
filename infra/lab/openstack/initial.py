"""Makes the state of a new OpenStack: databases, schemas, keys, users, cells. Runs once a lab.

Each step may be repeated: an interrupted one is done again.
"""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.lab import processes
from infra.lab.openstack.place import DATABASE_USER, REGION, Place

DATABASES = ("keystone", "placement", "glance", "cinder", "neutron", "nova_api", "nova_cell0", "nova_cell1")
INSTALL_DATABASE = Path("/usr/bin/mariadb-install-db")
MIGRATE_WITHIN_S = 3_600
CELL_DATABASE = "{scheme}://{username}:{password}@{hostname}:{port}/%s?{query}"
"""Nova fills the braces in from its configuration, so that the port may change."""


def make_database(place: Place, who: processes.Account) -> None:
    """The empty database server's files, beside their place and then moved there."""
    data = place.data / "mariadb"
    if data.exists():
        return
    making = place.data / "mariadb.making"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    processes.give(making, who, mode=0o700)
    processes.run(
        [
            INSTALL_DATABASE,
            "--no-defaults",
            f"--datadir={making}",
            "--auth-root-authentication-method=socket",
            "--skip-test-db",
        ],
        who=who,
        cwd=place.run,
        environment=place.environment(),
    )
    making.rename(data)


def write_databases(place: Place) -> None:
    """What the database server does at each start, before it lets anybody in."""
    file = place.etc / "databases.sql"
    file.write_text(
        "".join(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4;\n" for name in DATABASES)
        + f"CREATE USER IF NOT EXISTS '{DATABASE_USER}'@'%' IDENTIFIED BY '{place.secret('database')}';\n"
        + f"GRANT ALL ON *.* TO '{DATABASE_USER}'@'%';\n"
    )


def make_schemas(place: Place, who: processes.Account) -> None:
    """All schemas, Keystone's keys and first user, Nova's cells; two at a time."""

    def tool(program: str, *arguments: str | Path, **variables: str) -> str:
        return processes.run(
            [place.venv / "bin" / program, *arguments],
            who=who,
            cwd=place.run,
            environment=place.environment(**variables),
            within_s=MIGRATE_WITHIN_S,
        )

    def keystone() -> None:
        configuration = ("--config-file", place.etc / "keystone" / "keystone.conf")
        tool("keystone-manage", *configuration, "db_sync")
        tool("keystone-manage", *configuration, "fernet_setup")
        tool("keystone-manage", *configuration, "credential_setup")
        urls = [
            word
            for kind in ("admin", "internal", "public")
            for word in (f"--bootstrap-{kind}-url", place.url("keystone", "/v3/"))
        ]
        tool(
            "keystone-manage",
            *configuration,
            "bootstrap",
            "--bootstrap-region-id",
            REGION,
            *urls,
            OS_BOOTSTRAP_PASSWORD=place.secret("admin"),
        )

    def nova() -> None:
        configuration = ("--config-file", place.etc / "nova" / "nova.conf")
        tool("nova-manage", *configuration, "api_db", "sync")
        _manage_nova(place, who, "map_cell0", "--database_connection", CELL_DATABASE % "nova_cell0")
        tool("nova-manage", *configuration, "db", "sync")
        database = ("--database_connection", CELL_DATABASE % "nova_cell1")
        _manage_nova(place, who, "create_cell", "--name", "cell1", *database)

    def migrate(program: str, service: str, file: str, *words: str) -> Callable[[], str]:
        return lambda: tool(program, "--config-file", place.etc / service / file, *words)

    jobs: list[Callable[[], object]] = [
        nova,
        keystone,
        migrate("neutron-db-manage", "neutron", "neutron.conf", "upgrade", "heads"),
        migrate("cinder-manage", "cinder", "cinder.conf", "db", "sync"),
        migrate("glance-manage", "glance", "glance-api.conf", "db_sync"),
        migrate("placement-manage", "placement", "placement.conf", "db", "sync"),
    ]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def follow_transport(place: Place, who: processes.Account) -> None:
    """Tell the cell where messages go now, if that changed: it is in the state, not in the configuration."""
    told, now = place.data / "transport", place.transport_url()
    if told.exists() and told.read_text() == now:
        return
    listed = _manage_nova(place, who, "list_cells")
    [cell] = [line.split("|")[2].strip() for line in listed.splitlines() if " cell1 " in line]
    database = ("--database_connection", CELL_DATABASE % "nova_cell1")
    _manage_nova(place, who, "update_cell", "--cell_uuid", cell, *database)  # the rest is in nova.conf
    told.touch(mode=0o600)
    told.write_text(now)


def admit_computes(place: Place, who: processes.Account) -> None:
    """Let the cell know its compute hosts: before that they take no servers."""
    _manage_nova(place, who, "discover_hosts")


def _manage_nova(place: Place, who: processes.Account, *words: str) -> str:
    configuration = place.etc / "nova" / "nova.conf"
    return processes.run(
        [place.venv / "bin" / "nova-manage", "--config-file", configuration, "cell_v2", *words],
        who=who,
        cwd=place.run,
        environment=place.environment(),
    )
