"""The lab's OpenStack as `siji lab` knows it: start, end, how it is, and back to its first state.

Lite: six APIs, Nova and Cinder each one process, no broker. Full: every service a process, over RabbitMQ.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from infra.lab import packages, processes, rabbitmq
from infra.lab.errors import NotUp
from infra.lab.openstack import ending, guest, guests, initial, install
from infra.lab.openstack.configuration import configure, make_folders
from infra.lab.openstack.place import NAME, Place
from infra.lab.openstack.services import (
    MARIADB,
    MEMCACHED,
    PATHS,
    PORTS,
    USERS,
    Server,
    apis,
    stores,
    workers,
)
from infra.lab.openstack.sizes import CITY, Sizes
from infra.lab.record import Record, children_of, resident_kib
from infra.lab.state import CHECKOUT, locked, make_engine_folder
from infra.lab.status import State, Status

PACKAGES: tuple[str, ...] = ("mariadb-server-core", "memcached")
ACCOUNT = "siji-lab"
START_WITHIN_S = 600


def up(
    state: Path | None = None,
    *,
    full: bool = False,
    sizes: Sizes = CITY,
    unified: bool = False,
    vm: bool = False,
) -> None:
    """Install it if missing, make its state at the first call, start what does not run; return when the
    services behind the APIs have reported too.

    `unified`: Nova takes its limits from Keystone, which has its defaults registered; Nova alone is started
    anew for that. `vm`: with a host of real guests, in full mode; `NoGuests` where the machine cannot.
    """
    folder = make_engine_folder(NAME, state)
    with locked(folder / "lock"):
        packages.ensure(PACKAGES, log=folder / "install.log", usable=MARIADB.exists() and MEMCACHED.exists())
        if full or vm:
            rabbitmq.up(state)
        place, before = Place(folder, state, full or vm, sizes, unified, vm), Place.of(state)
        who = processes.account(ACCOUNT)
        install.ensure(place, who)
        if vm:
            guest.ensure(place, who)
        ending.what_changes(before, place)
        place.keep()
        if not place.golden.exists():
            _make(replace(place, unified=False, vm=False), who)
        _start(place, who)


def down(state: Path | None = None) -> None:
    """End all of it; its state stays. Nothing happens if it does not run."""
    place = Place.of(state)
    if place.folder.exists():
        with locked(place.folder / "lock"):
            ending.whole(place)


def reset(state: Path | None = None) -> None:
    """Put the state back to what it was when it was made, and start as before. `NotUp` if there is none."""
    place = Place.of(state)
    if not place.golden.exists():
        raise NotUp(engine=NAME, folder=str(place.folder))
    with locked(place.folder / "lock"):
        ending.whole(place)
        _copy(place.golden, place.data)
    up(state, full=place.full, sizes=place.sizes, unified=place.unified, vm=place.vm)


def kill(server: str, state: Path | None = None) -> None:
    """End one server at once, by its name in `services`; `up` starts it again."""
    file = Place.of(state).record(server)
    record = Record.read(file)
    family = children_of(record.pid) if record is not None and record.alive() else []
    processes.kill(file)
    for worker in family[1:]:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def clouds(state: Path | None = None) -> Path:
    """The clouds.yaml whose cloud `lab` is the administrator's; `NotUp` if Keystone does not run."""
    place = Place.of(state)
    if not processes.alive(place.record("keystone")):
        raise NotUp(engine=NAME, folder=str(place.folder))
    return place.clouds


def status(state: Path | None = None) -> Status:
    """How it is, changing nothing."""
    place = Place.of(state)
    records = [Record.read(file) for file in place.folder.glob("*.pid.json")]
    running = [record.pid for record in records if record is not None and record.alive()]
    now: State = "down"
    if running:
        servers = _servers(place)
        ready = all(processes.alive(place.record(one.name)) and one.ready() for one in servers)
        now = "up" if ready else "starting"
    elif not (MARIADB.exists() and MEMCACHED.exists() and place.venv.exists()):
        now = "absent"
    return Status(
        name=NAME,
        state=now,
        address=place.url("keystone", "/v3") if running else "",
        folder=place.data if place.data.exists() else None,
        memory_kib=resident_kib([pid for one in running for pid in children_of(one)]) if running else None,
        user="admin" if running else "",
        password=place.folder / "secrets" / "admin" if running else None,
    )


def _servers(place: Place) -> list[Server]:
    """All of them."""
    return [*_below(place), *apis(place), *_above(place)]


def _below(place: Place) -> list[Server]:
    return [*stores(place), *guests.below(place)]


def _above(place: Place) -> list[Server]:
    return [*workers(place), *guests.above(place)]


def _make(place: Place, who: processes.Account) -> None:
    """The state of a new cloud and a copy of it; an interrupted attempt is begun again."""
    ending.whole(place)
    shutil.rmtree(place.data, ignore_errors=True)
    _prepare(place, who)
    make_folders(place)
    _hand_over(place, who)
    initial.make_database(place, who)
    _run(place, stores(place), who)
    initial.make_schemas(place, who)
    _run_all(place, who)
    _catalogue(place, "lasting", str(place.sizes.public_addresses))
    initial.admit_computes(place, who)
    ending.whole(place)
    _copy(place.data, place.golden)


def _start(place: Place, who: processes.Account) -> None:
    complete = not place.vm or guests.admitted(place).exists()
    if complete and all(processes.alive(place.record(one.name)) for one in _servers(place)):
        return
    _prepare(place, who)
    _run(place, _below(place), who)
    initial.follow_transport(place, who)
    _run_all(place, who)


def _run_all(place: Place, who: processes.Account) -> None:
    """Everything above the stores, until the services behind the APIs have reported since now."""
    begun = time.time()
    told = place.data / "told.json"
    told_now = json.dumps({name: place.url(name, PATHS.get(name, "")) for name in PORTS})
    keystone, *others = apis(place)
    if not told.exists() or told.read_text() != told_now:
        _run(place, [keystone], who)
        passwords = {name: place.secret(name) for name in USERS}
        urls = {name: place.url(name, path) for name, path in PATHS.items()}
        plan = place.folder / "secrets" / "plan.json"
        plan.touch(mode=0o600)
        plan.write_text(json.dumps({"users": passwords, "urls": urls}))
        _catalogue(place, "services", str(plan))
        plan.unlink()
        told.write_text(told_now)
    if place.unified:
        _run(place, [keystone], who)
        _catalogue(place, "limits")
    _run(place, [keystone, *others, *_above(place)], who)
    _catalogue(place, "ready", str(place.sizes.computes + place.vm), str(begun))
    if place.vm and not guests.admitted(place).exists():
        initial.admit_computes(place, who)
        _catalogue(place, "guests", str(guest.kernel()), str(guest.first_disk()))
        guests.admitted(place).touch()


def _prepare(place: Place, who: processes.Account) -> None:
    """Ports, configuration and folders; what runs keeps its port."""
    for name in PORTS:
        if not processes.alive(place.record(name)):
            place.refresh_port(name)
    configure(place)
    initial.write_databases(place)
    if place.vm:
        guests.prepare(place, who)
    _hand_over(place, who)


def _hand_over(place: Place, who: processes.Account) -> None:
    """Make the servers' folders the account's own, all through; passwords are for nobody else."""
    for root in (place.etc, place.run, place.logs, place.data):
        for path in (root, *root.rglob("*")):
            if not path.is_symlink():
                processes.give(path, who, mode=0o700 if path.is_dir() else 0o600)


def _run(place: Place, servers: Sequence[Server], who: processes.Account) -> None:
    """Start those that do not run, all at once, and wait for each."""
    if not any(processes.alive(file) for file in place.folder.glob("*.pid.json")):
        ending.orphans(place)
    for one in servers:
        if not processes.alive(place.record(one.name)):
            processes.start(
                one.command,
                who=who,
                record=place.record(one.name),
                log=place.logs / f"{one.name}.log",
                cwd=place.run,
                environment=one.environment,
            )
    for one in servers:
        processes.wait_ready(
            one.ready,
            engine=f"{NAME} ({one.name})",
            record=place.record(one.name),
            log=place.logs / f"{one.name}.log",
            within_s=START_WITHIN_S,
        )


def _copy(source: Path, target: Path) -> None:
    """Whole or not at all, in place of what is there; nobody else reads the keys in it meanwhile."""
    copying = target.with_suffix(".copying")
    shutil.rmtree(copying, ignore_errors=True)
    copying.mkdir(mode=0o700)
    shutil.copytree(source, copying, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    copying.rename(target)


def _catalogue(place: Place, *words: str) -> None:
    processes.run(
        [sys.executable, "-m", "infra.lab.openstack.catalogue", str(place.clouds), *words],
        who=processes.myself(),
        cwd=CHECKOUT,
        environment=place.environment() | {"PYTHONPATH": str(CHECKOUT)},
        within_s=START_WITHIN_S,
    )
