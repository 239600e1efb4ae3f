"""`siji lab`: the private engines for tests, benchmarks and developers; the work is in infra.lab."""

from typing import Annotated

import typer

from infra.errors import SijiError
from infra.lab import engines
from infra.lab.status import Status
from portal.cli.tables import print_table

app = typer.Typer(no_args_is_help=True)

KNOWN = " ".join(engines.ENGINES)
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
) -> None:
    """启动引擎 · Install what is missing (as root, on Debian) and start the named engines."""
    for option, given in (("--full", full), ("--unified", unified), ("--vm", vm)):
        if given and "openstack" not in names:
            raise typer.BadParameter(f"{option} 只用于 openstack · {option} is for openstack alone")
    try:
        engines.up(names, tell=lambda step: typer.echo(step, err=True), full=full, unified=unified, vm=vm)
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
