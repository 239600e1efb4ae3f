"""The compute host of the lab whose guests are real: libvirt and QEMU, all of it as the lab's account.

libvirtd runs as a session of that account: nothing is configured on the machine for it or runs as root.
"""

import os
import shutil
import signal
import socket
import stat
import uuid
from contextlib import suppress
from pathlib import Path

from infra.lab import processes
from infra.lab.errors import FolderRefused
from infra.lab.openstack import guest
from infra.lab.openstack.place import Place
from infra.lab.openstack.services import CONTROL, Server, listens

SERVERS = ("libvirtd", "nova-guests", "novnc")
SETTINGS = """stdio_handler = "file"
security_driver = "none"
cgroup_controllers = []
namespaces = []
"""
"""QEMU's, to libvirt: without the daemon of logs, and without what only root may."""


def below(place: Place) -> list[Server]:
    """What has to answer before Nova's service is started."""
    if not place.vm:
        return []
    command: list[str | Path] = [guest.LIBVIRTD, "--config", place.etc / "guests" / "libvirtd.conf"]
    return [Server("libvirtd", command, _environment(place), lambda: _answers(place))]


def above(place: Place) -> list[Server]:
    """Nova's service, and the proxy that browsers see guests' screens through."""
    if not place.vm:
        return []
    nova = place.etc / "guests" / "nova.conf"
    compute: list[str | Path] = [place.python, CONTROL / "first.py", "nova_threads", "nova_guests"]
    proxy: list[str | Path] = [place.python, place.venv / "bin" / "nova-novncproxy"]
    proxy += ["--web", guest.pages()]
    environment = _environment(place)
    return [
        Server("nova-guests", [*compute, "--config-file", nova], environment, lambda: True),
        Server("novnc", [*proxy, "--config-file", nova], environment, lambda: listens(place, "novnc")),
    ]


def prepare(place: Place, who: processes.Account) -> None:
    """Folders and libvirt's settings, before the first of the servers starts."""
    for folder in (place.data / "guests", place.data / "guests" / "instances"):
        folder.mkdir(exist_ok=True)
    identity = place.data / "guests" / "compute_id"
    if not identity.exists():
        identity.write_text(str(uuid.uuid4()))
    (place.etc / "guests" / "libvirtd.conf").write_text(
        f'host_uuid = "{identity.read_text()}"\nlog_outputs = "3:stderr"\n'
    )
    _make_sockets(place.sockets, who)
    (place.sockets / "config" / "libvirt" / "qemu.conf").write_text(SETTINGS)


def admitted(place: Place) -> Path:
    """A file that is there once Nova's cell and Placement know the host."""
    return place.data / "guests" / "admitted"


def end_guests(place: Place) -> None:
    """End QEMU's processes, which outlive libvirtd; Nova makes them anew with its service."""
    for file in (place.sockets / "run" / "libvirt" / "qemu" / "run").glob("*.pid"):
        with suppress(OSError, ValueError):  # it ended meanwhile
            pid = int(file.read_text())
            if Path(f"/proc/{pid}/exe").readlink() == guest.QEMU:
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(place.sockets, ignore_errors=True)


def _answers(place: Place) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(place.sockets / "run" / "libvirt" / "libvirt-sock")) == 0


def _make_sockets(root: Path, who: processes.Account) -> None:
    """In the system's temporary folder, so that whose it is has to be seen to."""
    with suppress(FileExistsError):
        root.mkdir(mode=0o700)
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (who.uid, os.geteuid()):
        raise FolderRefused(folder=str(root))
    for name in ("run", "config", "config/libvirt", "cache", "data"):
        (root / name).mkdir(exist_ok=True)
    for path in (root, *(root / name for name in ("run", "config", "config/libvirt", "cache", "data"))):
        processes.give(path, who, mode=0o700)


def _environment(place: Place) -> dict[str, str]:
    shared = place.environment()
    return {
        **shared,
        "PYTHONPATH": f"{shared['PYTHONPATH']}:{guest.binding()}",
        "XDG_RUNTIME_DIR": str(place.sockets / "run"),
        "XDG_CONFIG_HOME": str(place.sockets / "config"),
        "XDG_CACHE_HOME": str(place.sockets / "cache"),
        "XDG_DATA_HOME": str(place.sockets / "data"),
    }
