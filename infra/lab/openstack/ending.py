"""How the lab's OpenStack ends, whole or in part: what it started itself, and nothing else."""

import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from infra.lab import processes
from infra.lab.openstack import guests
from infra.lab.openstack.place import Place
from infra.lab.openstack.services import MARIADB, MEMCACHED

STOP_WITHIN_S = 8
"""In lite mode threads of Nova and Cinder outlive SIGTERM; what they know is in the database."""


def what_changes(before: Place, place: Place) -> None:
    """Nova alone where only its limits change, the host of real guests alone where only that goes."""
    if replace(before, unified=place.unified, vm=place.vm) != place:
        whole(place)
        return
    if before.unified != place.unified:
        _end_all(list(place.folder.glob("nova*.pid.json")))
    if not place.vm:
        _end_all([place.record(name) for name in guests.SERVERS])
        guests.end_guests(place)


def whole(place: Place) -> None:
    """APIs and workers first, all at once, then the stores."""
    below = [place.record(name) for name in ("mariadb", "memcached")]
    _end_all([file for file in place.folder.glob("*.pid.json") if file not in below])
    for file in below:
        _end(file)
    guests.end_guests(place)
    orphans(place)


def _end_all(records: Sequence[Path]) -> None:
    with ThreadPoolExecutor(len(records) or 1) as pool:
        list(pool.map(_end, records))


def _end(record: Path) -> None:
    processes.stop(record, politely=signal.SIGTERM, within_s=STOP_WITHIN_S)


def orphans(place: Place) -> None:
    """What was started by a lab whose records are gone."""
    for folder in (place.run, place.data):
        processes.end_orphans(folder, place.python.resolve().name, MARIADB.name, MEMCACHED.name)
