"""The lab's Kafka as `siji lab` and the tests know it: start, end, kill, how it is, how to reach it."""

import signal
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from infra.lab import packages, processes
from infra.lab.errors import NotUp, OtherNumberOfBrokers
from infra.lab.kafka import asking, install
from infra.lab.kafka.place import ADMINISTRATOR, NAME, Place
from infra.lab.kafka.server import Servers
from infra.lab.record import Record, children_of, resident_kib
from infra.lab.state import locked, make_engine_folder
from infra.lab.status import State, Status

PACKAGES: tuple[str, ...] = ("openjdk-17-jre-headless", "maven")
ACCOUNT = "siji-lab"
START_WITHIN_S = 300
STOP_WITHIN_S = 8
"""The last of three waits for a majority that is gone; what it acknowledged is on all of them."""


@dataclass(frozen=True)
class Access:
    """What a client has to know to be the administrator of the lab's Kafka (SASL_SSL, SCRAM-SHA-512)."""

    bootstrap: str
    authority: Path
    user: str
    password: str = field(repr=False)


def up(state: Path | None = None, *, brokers: Literal[1, 3] | None = None) -> None:
    """Install it if missing, make it at the first call, start the brokers that do not run; return when each
    answers its administrator and all of them work.

    `brokers`: how many it has; None: as it was made, or one. `OtherNumberOfBrokers` if it was made otherwise.
    """
    folder = make_engine_folder(NAME, state)
    with locked(folder / "lock"):
        place = _place(state, brokers)
        servers = _servers(place)
        running = [broker for broker in place.numbers if processes.alive(place.record(broker))]
        if not running:
            processes.end_orphans(place.data, "java")
            place.refresh_ports()
        servers.make()
        for broker in set(place.numbers) - set(running):
            servers.start(broker)
        for broker in place.numbers:
            _bring_up(servers, broker, among=place.numbers)


def start(broker: int, state: Path | None = None) -> None:
    """Start that broker alone, after a `kill`, and return when it answers and works.

    With the others it must be a majority; `NotUp` if the lab's Kafka was never made.
    """
    place = _made(state)
    with locked(place.folder / "lock"):
        _bring_up(_servers(place), broker, among=[broker])


def down(state: Path | None = None) -> None:
    """End all brokers in good order; their data stays. Nothing happens if none runs."""
    place = Place.of(state)
    if place.folder.exists():
        with locked(place.folder / "lock"):
            _at_once(
                lambda record: processes.stop(record, politely=signal.SIGTERM, within_s=STOP_WITHIN_S), place
            )
            processes.end_orphans(place.data, "java")


def kill(state: Path | None = None, *, broker: int | None = None) -> None:
    """End that broker at once, or all, as a power cut would; `up` and `start` find what was acknowledged."""
    place = Place.of(state)
    if broker is not None:
        processes.kill(place.record(broker))
    else:
        _at_once(processes.kill, place)
        processes.end_orphans(place.data, "java")


def address(state: Path | None = None) -> str:
    """Its bootstrap servers, with a comma between; `NotUp` if no broker runs."""
    return access(state).bootstrap


def access(state: Path | None = None) -> Access:
    """How the administrator signs in; `NotUp` if no broker runs."""
    place = _made(state)
    if not any(processes.alive(place.record(broker)) for broker in place.numbers):
        raise NotUp(engine=NAME, folder=str(place.folder))
    return Access(place.bootstrap, place.authority, ADMINISTRATOR, place.password)


def tool(main: str, *arguments: str, state: Path | None = None, within_s: float = 120) -> str:
    """What a Java program of Kafka's jars (`main`: its class) prints, run as the brokers' account."""
    return _servers(_made(state)).run(main, *arguments, within_s=within_s)


def status(state: Path | None = None) -> Status:
    """How it is, changing nothing."""
    place = Place.of(state)
    records = [Record.read(place.record(broker)) for broker in place.numbers]
    running = [record.pid for record in records if record is not None and record.alive()]
    now: State = "down"
    if running:
        all_work = all(asking.work(place, broker, place.numbers) for broker in place.numbers)
        now = "up" if all_work else "starting"
    elif not install.usable():
        now = "absent"
    return Status(
        name=NAME,
        state=now,
        address=place.bootstrap if running else "",
        folder=place.data if place.data.exists() else None,
        memory_kib=resident_kib([pid for one in running for pid in children_of(one)]) if running else None,
        user=ADMINISTRATOR if running else "",
        password=place.password_file if running else None,
    )


def _place(state: Path | None, brokers: Literal[1, 3] | None) -> Place:
    """With its number of brokers kept from now on."""
    there = Place.of(state)
    if there.brokers and brokers not in (None, there.brokers):
        raise OtherNumberOfBrokers(folder=str(there.folder), there=there.brokers, asked=brokers)
    place = Place(there.folder, there.brokers or brokers or 1)
    place.keep()
    return place


def _made(state: Path | None) -> Place:
    place = Place.of(state)
    if not place.brokers:
        raise NotUp(engine=NAME, folder=str(place.folder))
    return place


def _servers(place: Place) -> Servers:
    """With jars that were checked, and what is missing installed."""
    log = place.folder / "install.log"
    packages.ensure(PACKAGES, log=log, usable=install.usable())
    who = processes.account(ACCOUNT)
    return Servers(place, who, install.java(who), install.ensure(log))


def _bring_up(servers: Servers, broker: int, *, among: Collection[int]) -> None:
    """Return when `among` work and `broker` answers; it is started unless it runs."""
    place = servers.place
    processes.bring_up(
        lambda: servers.start(broker),
        lambda: asking.work(place, broker, among),
        engine=f"{NAME} ({broker})",
        record=place.record(broker),
        log=place.log(broker),
        within_s=START_WITHIN_S,
    )


def _at_once(act: Callable[[Path], None], place: Place) -> None:
    with ThreadPoolExecutor(max(1, place.brokers)) as pool:
        list(pool.map(act, map(place.record, place.numbers)))
