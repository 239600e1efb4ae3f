"""All engines of the lab by name, and what `siji lab` does with several of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from infra.lab import chromium, packages, postgres, rabbitmq
from infra.lab.errors import UnknownEngine
from infra.lab.kafka import engine as kafka
from infra.lab.openstack import engine as openstack
from infra.lab.openstack import guest
from infra.lab.state import make_engine_folder
from infra.lab.status import Engine, Status

ENGINES: dict[str, Engine] = {
    "postgres": postgres,
    "rabbitmq": rabbitmq,
    "chromium": chromium,
    "openstack": openstack,
    "kafka": kafka,
}


def up(
    names: Sequence[str],
    *,
    tell: Callable[[str], None],
    state: Path | None = None,
    full: bool = False,
    unified: bool = False,
    vm: bool = False,
    brokers: Literal[1, 3] | None = None,
) -> None:
    """Install what is missing for all of `names`, then start them in order; `tell` hears of each step.

    `full`, `unified`, `vm`: how OpenStack is started (`openstack.engine.up`); `brokers`: how many Kafka has
    (`kafka.engine.up`).
    """
    chosen = _chosen(names)
    needed = [name for engine in chosen.values() for name in engine.PACKAGES]
    wanted = packages.missing([*needed, *(guest.PACKAGES if vm else ())])
    if wanted and packages.obstacle() is None:
        log = make_engine_folder("packages", state) / "install.log"
        tell(f"installing {' '.join(wanted)} (log: {log})")
        packages.ensure(wanted, log=log)
    for name, engine in chosen.items():
        tell(f"{name}: starting")
        if engine is openstack:
            openstack.up(state, full=full, unified=unified, vm=vm)
        elif engine is kafka:
            kafka.up(state, brokers=brokers)
        else:
            engine.up(state)
        tell(f"{name}: {engine.status(state).state}")


def reset(state: Path | None = None) -> None:
    """Put OpenStack back to its first state: the only engine that has one of its own."""
    openstack.reset(state)


def down(names: Sequence[str] = (), *, state: Path | None = None) -> None:
    """End `names`, or all when there are none."""
    for engine in _chosen(names or list(ENGINES)).values():
        engine.down(state)


def status(names: Sequence[str] = (), *, state: Path | None = None) -> list[Status]:
    """How `names` are, or all when there are none."""
    return [engine.status(state) for engine in _chosen(names or list(ENGINES)).values()]


def _chosen(names: Sequence[str]) -> dict[str, Engine]:
    for name in names:
        if name not in ENGINES:
            raise UnknownEngine(what_zh="引擎", what_en="engine", key=name, known=", ".join(ENGINES))
    return {name: ENGINES[name] for name in names}
