"""What a real guest of the lab boots: Debian's kernel and one program, which says whose guest it is.

Made once for all labs of the checkout, with noVNC's pages and Debian's Python binding of libvirt beside it.
"""

import gzip
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from infra.lab import packages, processes
from infra.lab.errors import CommandFailed, InstallFailed, NoGuests
from infra.lab.openstack.place import Place
from infra.lab.state import default_folder, locked

PACKAGES = (
    "qemu-system-x86",
    "qemu-utils",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "python3-libvirt",
    "busybox-static",
)
LIBVIRTD = Path("/usr/sbin/libvirtd")
QEMU = Path("/usr/bin/qemu-system-x86_64")
BUSYBOX = Path("/bin/busybox")
BINDING = Path("/usr/lib/python3/dist-packages")
MACHINE = "x86_64"
KERNEL = "linux-image-cloud-amd64"
SAYS = "siji lab guest"
"""How the line begins that a guest writes on its console; its id in Nova follows."""
INIT = f"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
id=$(/bin/busybox cat /sys/class/dmi/id/product_uuid)
for screen in /dev/tty0 /dev/ttyS0; do
    echo "{SAYS} $id, Linux $(/bin/busybox uname -r)" > $screen
done
while true; do /bin/busybox sleep 60; done
"""


def folder() -> Path:
    """Where all of it lies."""
    return default_folder() / "openstack-guest"


def kernel() -> Path:
    """Debian's, for machines of clouds."""
    return folder() / "vmlinuz"


def first_disk() -> Path:
    """The kernel's first root file system, with nothing after it."""
    return folder() / "initrd.gz"


def pages() -> Path:
    """noVNC, which shows a guest's screen in a browser."""
    return folder() / "unpacked" / "usr" / "share" / "novnc"


def binding() -> Path:
    """The folder with libvirt's binding and nothing else of Debian's Python."""
    return folder() / "python"


def ensure(place: Place, who: processes.Account) -> None:
    """Install and make what is missing; `NoGuests` where the machine or its Python cannot."""
    if platform.machine() != MACHINE:
        raise NoGuests(
            reason_zh=f"本机处理器为 {platform.machine()}，而客户机内核为 {MACHINE}",
            reason_en=f"its processor is {platform.machine()}, and the guest's kernel is of {MACHINE}",
        )
    log = place.folder / "install.log"
    packages.ensure(PACKAGES, log=log, usable=LIBVIRTD.exists() and QEMU.exists() and BUSYBOX.exists())
    with locked(folder().with_suffix(".lock")):
        if not first_disk().exists():
            _make(log)
    _check_binding(place, who)


def _make(log: Path) -> None:
    """The first disk comes last: it says that all is there."""
    shutil.rmtree(folder(), ignore_errors=True)
    binding().mkdir(parents=True)
    for file in BINDING.glob("libvirt*"):
        if file.is_file():
            (binding() / file.name).symlink_to(file)
    kernels = packages.dependencies(KERNEL) or [KERNEL]
    packages.unpack([*kernels, "novnc"], folder() / "unpacked", log=log)
    found = next((folder() / "unpacked" / "boot").glob("vmlinuz-*"), None)
    if found is None:
        raise InstallFailed(packages=KERNEL, log=str(log), tail=packages.end_of(log))
    shutil.copy(found, kernel())
    for heavy in ("boot", "lib"):
        shutil.rmtree(folder() / "unpacked" / heavy, ignore_errors=True)
    files = {"bin/busybox": BUSYBOX.read_bytes(), "init": INIT.encode()}
    making = first_disk().with_suffix(".new")
    making.write_bytes(gzip.compress(archive(("bin", "proc", "sys", "dev"), files)))
    making.rename(first_disk())


def archive(folders: tuple[str, ...], programs: Mapping[str, bytes]) -> bytes:
    """A cpio archive in the form that Linux unpacks (“newc”), by names from its root on."""
    entries = [(name, 0o040755, b"") for name in folders]
    entries += [(name, 0o100755, data) for name, data in programs.items()]
    return b"".join(_entry(*one, number) for number, one in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1))


def _entry(name: str, mode: int, data: bytes, number: int) -> bytes:
    named = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(named), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + named
    return _padded(head) + _padded(data)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)


def _check_binding(place: Place, who: processes.Account) -> None:
    """Debian makes it for its own Python: the control plane's may be another."""
    question: list[str | Path] = [place.python, "-c", "import libvirt"]
    try:
        processes.run(question, who=who, cwd=Path("/"), environment={"PYTHONPATH": str(binding())})
    except CommandFailed as failure:
        said = failure.facts["tail"]
        raise NoGuests(
            reason_zh=f"OpenStack 的 Python 无法使用软件包 python3-libvirt：{said}",
            reason_en=f"OpenStack's Python cannot use the package python3-libvirt: {said}",
        ) from failure
