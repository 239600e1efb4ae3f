"""The lab's PostgreSQL: installed from Debian where missing, private data, loopback only, fsync on."""

import shutil
import signal
from pathlib import Path

import psycopg
from sqlalchemy import URL, NullPool, create_engine, make_url, text

from infra.lab import packages, processes
from infra.lab.errors import DataOfOtherVersion, NotUp
from infra.lab.record import Record, children_of, resident_kib
from infra.lab.state import engine_folder, free_port, kept_port, kept_secret, locked, make_engine_folder
from infra.lab.status import State, Status

NAME = "postgres"
PACKAGES: tuple[str, ...] = ("postgresql",)
VERSIONS = Path("/usr/lib/postgresql")
SUPERUSER = "siji"
MAX_CONNECTIONS = 400
START_WITHIN_S = 120
STOP_WITHIN_S = 60
LONGEST_SOCKET_PATH = 100
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def up(state: Path | None = None) -> None:
    """Install PostgreSQL if missing, make its data at the first call, start it; return when it answers."""
    folder = make_engine_folder(NAME, state)
    with locked(folder / "lock"):
        packages.ensure(PACKAGES, log=folder / "install.log", usable=_programs(folder) is not None)
        processes.bring_up(
            lambda: _start(folder),
            lambda: _answers(folder),
            engine=NAME,
            record=_record(folder),
            log=folder / "server.log",
            within_s=START_WITHIN_S,
        )


def down(state: Path | None = None) -> None:
    """End it in good order, cutting its connections; the data stays. Nothing happens if it does not run."""
    folder = engine_folder(NAME, state)
    if folder.exists():
        with locked(folder / "lock"):
            processes.stop(_record(folder), politely=signal.SIGINT, within_s=STOP_WITHIN_S)
            processes.end_orphans(folder, "postgres")


def kill(state: Path | None = None) -> None:
    """End every process of it at once, as a power cut would; what was committed is there at the next `up`."""
    folder = engine_folder(NAME, state)
    processes.kill(_record(folder))
    processes.end_orphans(folder, "postgres")


def address(state: Path | None = None) -> str:
    """SQLAlchemy's URL of the maintenance database, password included; `NotUp` if the server does not run."""
    folder = engine_folder(NAME, state)
    if not processes.alive(_record(folder)):
        raise NotUp(engine=NAME, folder=str(folder))
    return _url(folder).render_as_string(hide_password=False)


def make_database(name: str, state: Path | None = None) -> str:
    """SQLAlchemy's URL of the database of that name, made if it is not there; `NotUp`."""
    maintenance = create_engine(address(state), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with maintenance.connect() as connection:
        there = connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
        if there is None:
            quoted = connection.dialect.identifier_preparer.quote(name)
            connection.execute(text(f"CREATE DATABASE {quoted}"))
    return make_url(address(state)).set(database=name).render_as_string(hide_password=False)


def status(state: Path | None = None) -> Status:
    """How it is, changing nothing."""
    folder = engine_folder(NAME, state)
    record = Record.read(_record(folder))
    running = record is not None and record.alive()
    now: State = "down"
    if running:
        now = "up" if _answers(folder) else "starting"
    elif _programs(folder) is None:
        now = "absent"
    return Status(
        name=NAME,
        state=now,
        address=f"127.0.0.1:{kept_port(folder / 'port')}" if running else "",
        folder=_data(folder) if _data(folder).parent.exists() else None,
        memory_kib=resident_kib(children_of(record.pid)) if record is not None and running else None,
        user=SUPERUSER if running else "",
        password=folder / "password" if running else None,
    )


def _start(folder: Path) -> None:
    if processes.end_orphans(folder, "initdb", "postgres"):
        _forget_dead_server(folder)
    who = processes.account("postgres")
    programs = _programs(folder)
    if programs is None:
        raise DataOfOtherVersion(folder=str(_data(folder)), engine=NAME, version=_version(folder))
    if not _data(folder).exists():
        _make_data(folder, programs, who)
    sockets = folder / "sockets"
    sockets.mkdir(exist_ok=True)
    processes.give(sockets, who, mode=0o755)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(free_port(folder / "port")),
        "unix_socket_directories": str(sockets) if len(str(sockets)) < LONGEST_SOCKET_PATH else "",
        "max_connections": str(MAX_CONNECTIONS),
        "fsync": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    processes.start(
        [
            programs / "postgres",
            "-D",
            _data(folder),
            *(f"--{name}={value}" for name, value in settings.items()),
        ],
        who=who,
        record=_record(folder),
        log=folder / "server.log",
        cwd=_data(folder),
        environment=ENVIRONMENT,
    )


def _forget_dead_server(folder: Path) -> None:
    """PostgreSQL believes its pid files while their pid exists, even that of a killed server that waits to
    be reaped, or a stranger's; whoever calls this has seen that nobody works in the data.
    """
    (_data(folder) / "postmaster.pid").unlink(missing_ok=True)
    shutil.rmtree(folder / "sockets", ignore_errors=True)


def _make_data(folder: Path, programs: Path, who: processes.Account) -> None:
    """Run initdb beside the final place, then move it there: an interrupted one is never taken for data."""
    making = folder / "making"
    if making.exists():
        shutil.rmtree(making)
    making.mkdir(mode=0o700)
    password_file = making / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(kept_secret(folder / "password"))
    for path, mode in ((making, 0o700), (password_file, 0o600)):
        processes.give(path, who, mode=mode)
    processes.run(
        [
            programs / "initdb",
            f"--pgdata={making / 'data'}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ],
        who=who,
        cwd=making,
        environment=ENVIRONMENT,
    )
    (making / "data").rename(_data(folder))
    shutil.rmtree(making)


def _programs(folder: Path) -> Path | None:
    """Where the server's programs are: of the version that made the data, or the newest; None if absent."""
    versions = [_version(folder)] if _data(folder).exists() else _versions_installed()
    candidates = [VERSIONS / version / "bin" for version in versions]
    return next(
        (found for found in candidates if (found / "postgres").exists() and (found / "initdb").exists()), None
    )


def _versions_installed() -> list[str]:
    """Newest first."""
    return sorted((entry.name for entry in VERSIONS.glob("*") if entry.name.isdigit()), key=int, reverse=True)


def _version(folder: Path) -> str:
    return (_data(folder) / "PG_VERSION").read_text().strip()


def _answers(folder: Path) -> bool:
    plain = _url(folder).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(plain, connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def _url(folder: Path) -> URL:
    return URL.create(
        "postgresql+psycopg",
        username=SUPERUSER,
        password=kept_secret(folder / "password"),
        host="127.0.0.1",
        port=kept_port(folder / "port"),
        database="postgres",
    )


def _record(folder: Path) -> Path:
    return folder / "pid.json"


def _data(folder: Path) -> Path:
    return folder / "data"
