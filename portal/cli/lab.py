"""`siji lab`: the private engines for tests, benchmarks and developers; the work is in infra.lab."""

import shlex
from typing import Annotated, Literal

import typer

from infra.errors import SijiError
from infra.lab import engines
from infra.lab.kafka import engine as kafka
from infra.lab.status import Status
from portal.cli.tables import print_table

app = typer.Typer(no_args_is_help=True)

KNOWN = " ".join(engines.ENGINES)
BROKERS: dict[Literal["1", "3"], Literal[1, 3]] = {"1": 1, "3": 3}
COLUMNS = ("name", "state", "address", "user", "password file", "data", "memory")


@app.command()
def up(
    names: Annotated[list[str], typer.Argument(help=f"Any of: {KNOWN}.")],
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="OpenStack：每个服务各为一个进程，经 RabbitMQ 通信 · "
            "OpenStack: every service a process of its own, over RabbitMQ.",
        ),
    ] = False,
    unified: Annotated[
        bool,
        typer.Option(
            "--unified",
            help="OpenStack：Nova 的限额取自 Keystone（统一限额） · "
            "OpenStack: Nova takes its limits from Keystone (unified limits).",
        ),
    ] = False,
    vm: Annotated[
        bool,
        typer.Option(
            "--vm",
            help="OpenStack：另加一台主机，其客户机由 QEMU 软件模拟真实运行（含 --full） · "
            "OpenStack: with a host whose guests really run, emulated by QEMU (implies --full).",
        ),
    ] = False,
    brokers: Annotated[
        Literal["1", "3"] | None,
        typer.Option(
            "--brokers",
            help="Kafka：节点数，首次启动时确定（默认 1） · "
            "Kafka: how many brokers, decided at the first start (default: 1).",
        ),
    ] = None,
) -> None:
    """启动引擎 · Install what is missing (as root, on Debian) and start the named engines."""
    options = {
        "--full": ("openstack", full),
        "--unified": ("openstack", unified),
        "--vm": ("openstack", vm),
        "--brokers": ("kafka", brokers),
    }
    for option, (engine, given) in options.items():
        if given and engine not in names:
            raise typer.BadParameter(f"{option} 只用于 {engine} · {option} is for {engine} alone")
    try:
        engines.up(
            names,
            tell=lambda step: typer.echo(step, err=True),
            full=full,
            unified=unified,
            vm=vm,
            brokers=None if brokers is None else BROKERS[brokers],
        )
    except SijiError as error:
        raise _refused(error) from error


@app.command()
def reset() -> None:
    """还原 OpenStack · Put the lab's OpenStack back to how it was when it was made, and start it."""
    try:
        engines.reset()
    except SijiError as error:
        raise _refused(error) from error


@app.command()
def down(
    names: Annotated[list[str] | None, typer.Argument(help=f"Any of: {KNOWN}; none: all.")] = None,
) -> None:
    """停止引擎 · End the named engines, or all; their data stays."""
    try:
        engines.down(names or ())
    except SijiError as error:
        raise _refused(error) from error


@app.command()
def status(
    names: Annotated[list[str] | None, typer.Argument(help=f"Any of: {KNOWN}; none: all.")] = None,
) -> None:
    """引擎状态 · Show the named engines, or all: state, address, user and where the user's password lies,
    data folder and resident memory.
    """
    try:
        rows = [_cells(found) for found in engines.status(names or ())]
    except SijiError as error:
        raise _refused(error) from error
    print_table(COLUMNS, rows)


@app.command()
def env() -> None:
    """Kafka 的环境变量 · Print what to export so that `siji` uses the lab's Kafka, password included:
    eval "$(siji lab env)".
    """
    try:
        found = kafka.access()
    except SijiError as error:
        raise _refused(error) from error
    variables = {
        "SIJI_EXCHANGE": "kafka",
        "SIJI_KAFKA_BOOTSTRAP": found.bootstrap,
        "SIJI_KAFKA_CA_FILE": str(found.authority),
        "SIJI_KAFKA_USER": found.user,
        "SIJI_KAFKA_PASSWORD": found.password,
    }
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _cells(found: Status) -> tuple[str, ...]:
    memory = "-" if found.memory_kib is None else f"{found.memory_kib / 1024:.0f} MiB"
    return (
        found.name,
        found.state,
        found.address or "-",
        found.user or "-",
        str(found.password or "-"),
        str(found.folder or "-"),
        memory,
    )


def _refused(error: SijiError) -> typer.Exit:
    typer.echo(error.message("zh"), err=True)
    typer.echo(error.message("en"), err=True)
    return typer.Exit(1)
