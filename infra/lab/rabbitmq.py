"""The lab's RabbitMQ: installed from Debian where missing, its own node, cookie and epmd, loopback only.

No plugins: AMQP with classic and quorum queues is what Celery needs.
"""

import shutil
import signal
from pathlib import Path
from typing import Any

from kombu.connection import Connection

from infra.lab import packages, processes
from infra.lab.errors import NotUp
from infra.lab.record import Record, children_of, resident_kib
from infra.lab.state import engine_folder, free_port, kept_port, kept_secret, locked, make_engine_folder
from infra.lab.status import State, Status

NAME = "rabbitmq"
PACKAGES: tuple[str, ...] = ("rabbitmq-server",)
PROGRAMS = Path("/usr/lib/rabbitmq/bin")
EPMD = Path("/usr/bin/epmd")
USER = "siji"
NODE = "siji@localhost"
START_WITHIN_S = 600
STOP_WITHIN_S = 60
NO_BUSY_WAITING = "+sbwt none +sbwtdcpu none +sbwtdio none"
LOOPBACK_DISTRIBUTION = "-kernel inet_dist_use_interface {127,0,0,1}"
SMALL_RAFT_LOG_BYTES = 64 * 2**20


def up(state: Path | None = None) -> None:
    """Install RabbitMQ if missing and start it; return when its own user can open a channel."""
    folder = make_engine_folder(NAME, state)
    with locked(folder / "lock"):
        packages.ensure(PACKAGES, log=folder / "install.log", usable=_installed())
        processes.bring_up(
            lambda: _start(folder),
            lambda: _answers(folder),
            engine=NAME,
            record=_record(folder),
            log=folder / "server.log",
            within_s=START_WITHIN_S,
        )


def down(state: Path | None = None) -> None:
    """End it in good order; durable queues stay. Nothing happens if it does not run."""
    folder = engine_folder(NAME, state)
    if folder.exists():
        with locked(folder / "lock"):
            processes.stop(_record(folder), politely=signal.SIGTERM, within_s=STOP_WITHIN_S)
            processes.end_orphans(folder, "beam.smp")
            processes.stop(_epmd_record(folder), politely=signal.SIGTERM, within_s=STOP_WITHIN_S)


def kill(state: Path | None = None) -> None:
    """End the node at once, as a power cut would; what was confirmed as durable is there at the next `up`."""
    folder = engine_folder(NAME, state)
    processes.kill(_record(folder))
    processes.end_orphans(folder, "beam.smp")


def address(state: Path | None = None) -> str:
    """The amqp URL of the default virtual host, password included; `NotUp` if the node does not run."""
    folder = engine_folder(NAME, state)
    if not processes.alive(_record(folder)):
        raise NotUp(engine=NAME, folder=str(folder))
    return _url(folder)


def control(*arguments: str, state: Path | None = None) -> str:
    """What `rabbitmqctl ARGUMENTS` prints, asked of the lab's node (about a second each)."""
    folder = engine_folder(NAME, state)
    if not processes.alive(_record(folder)):
        raise NotUp(engine=NAME, folder=str(folder))
    return processes.run(
        [PROGRAMS / "rabbitmqctl", "--quiet", *arguments],
        who=processes.account("rabbitmq"),
        cwd=_data(folder),
        environment=_environment(folder),
    )


def make_virtual_host(name: str, state: Path | None = None) -> str:
    """The amqp URL of the virtual host of that name, made if it is not there; `NotUp`."""
    control("add_vhost", name, state=state)
    control("set_permissions", "-p", name, USER, ".*", ".*", ".*", state=state)
    return address(state).removesuffix("/") + name


def status(state: Path | None = None) -> Status:
    """How it is, changing nothing."""
    folder = engine_folder(NAME, state)
    record = Record.read(_record(folder))
    running = record is not None and record.alive()
    now: State = "down"
    if running:
        now = "up" if _answers(folder) else "starting"
    elif not _installed():
        now = "absent"
    return Status(
        name=NAME,
        state=now,
        address=f"127.0.0.1:{kept_port(folder / 'port')}" if running else "",
        folder=_data(folder) if _data(folder).exists() else None,
        memory_kib=resident_kib(children_of(record.pid)) if record is not None and running else None,
        user=USER if running else "",
        password=folder / "password" if running else None,
    )


def _start(folder: Path) -> None:
    processes.end_orphans(folder, "beam.smp")
    who = processes.account("rabbitmq")
    data = _data(folder)
    data.mkdir(exist_ok=True)
    processes.give(data, who, mode=0o700)
    for port in ("port", "distribution-port"):
        free_port(folder / port)
    files = {
        ".erlang.cookie": (kept_secret(folder / "cookie"), 0o400),
        "rabbitmq.conf": (_configuration(folder), 0o600),
        "enabled_plugins": ("[].\n", 0o600),
    }
    for name, (text, mode) in files.items():
        unfinished = data / f"{name}.new"
        unfinished.write_text(text)
        processes.give(unfinished, who, mode=mode)
        unfinished.replace(data / name)
    _start_epmd(folder, who)
    processes.start(
        [PROGRAMS / "rabbitmq-server"],
        who=who,
        record=_record(folder),
        log=folder / "server.log",
        cwd=data,
        environment=_environment(folder),
    )


def _start_epmd(folder: Path, who: processes.Account) -> None:
    """Erlang's name service, on a port of the lab's own, before the node looks for one."""
    if not processes.alive(_epmd_record(folder)):
        processes.start(
            [EPMD, "-port", str(free_port(folder / "epmd-port")), "-address", "127.0.0.1"],
            who=who,
            record=_epmd_record(folder),
            log=folder / "epmd.log",
            cwd=_data(folder),
            environment={},
        )


def _configuration(folder: Path) -> str:
    settings = {
        "listeners.tcp.local": f"127.0.0.1:{kept_port(folder / 'port')}",
        "default_user": USER,
        "default_pass": kept_secret(folder / "password"),
        "raft.wal_max_size_bytes": str(SMALL_RAFT_LOG_BYTES),
    }
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


def _environment(folder: Path) -> dict[str, str]:
    """Everything RabbitMQ would else take from /etc/rabbitmq and /var/lib/rabbitmq, pointed at our folder."""
    data = _data(folder)
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(data),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(kept_port(folder / "epmd-port")),
        "RABBITMQ_NODENAME": NODE,
        "RABBITMQ_NODE_PORT": str(kept_port(folder / "port")),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_DIST_PORT": str(kept_port(folder / "distribution-port")),
        "RABBITMQ_CONF_ENV_FILE": str(data / "no-environment-file"),
        "RABBITMQ_CONFIG_FILE": str(data / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(data / "no-advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
        "RABBITMQ_SCHEMA_DIR": str(data / "schema"),
        "RABBITMQ_LOG_BASE": str(data / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{LOOPBACK_DISTRIBUTION} {NO_BUSY_WAITING}",
        "RUNNING_UNDER_SYSTEMD": "true",  # the start script then becomes the node and its pid the node's
    }


def _installed() -> bool:
    return (PROGRAMS / "rabbitmq-server").exists() and shutil.which(EPMD) is not None


def _answers(folder: Path) -> bool:
    connect: Any = Connection
    with connect(_url(folder), connect_timeout=2) as connection:
        try:
            connection.channel().close()
        except (OSError, *connection.connection_errors):
            return False
    return True


def _url(folder: Path) -> str:
    return f"amqp://{USER}:{kept_secret(folder / 'password')}@127.0.0.1:{kept_port(folder / 'port')}//"


def _record(folder: Path) -> Path:
    return folder / "pid.json"


def _epmd_record(folder: Path) -> Path:
    return folder / "epmd-pid.json"


def _data(folder: Path) -> Path:
    return folder / "data"
