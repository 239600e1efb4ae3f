"""Where the lab keeps its files: the folder of this checkout, locks, ports, secrets.

Nothing here knows an engine.
"""

import fcntl
import hashlib
import os
import random
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from infra.lab.errors import FolderRefused

CHECKOUT = Path(__file__).resolve().parents[2]
NOBODY = 65534
PORTS = range(20_000, 32_000)
"""Below Linux's ephemeral ports, so that no outgoing connection takes a server's port while it is down."""


@cache
def default_folder() -> Path:
    """The lab of this checkout: `.lab/` in it, or, where unprivileged servers cannot reach that, below the
    system's temporary directory under a name derived from the checkout's path.
    """
    if _reachable(CHECKOUT):
        return CHECKOUT / ".lab"
    digest = hashlib.sha256(bytes(CHECKOUT)).hexdigest()
    return Path(tempfile.gettempdir()) / f"siji-lab-{digest[:12]}"


def engine_folder(engine: str, state: Path | None) -> Path:
    """The folder of `engine` in `state` (default: this checkout's lab); it need not exist."""
    return (state or default_folder()) / engine


def make_engine_folder(engine: str, state: Path | None) -> Path:
    """The same, made if absent, open to the servers' accounts; `FolderRefused` if it is another user's."""
    root = state or default_folder()
    for folder in (root, root / engine):
        if not folder.exists():
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            folder.chmod(0o755)
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            raise FolderRefused(folder=str(folder))
    return root / engine


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Let one caller at a time pass here; the others wait. The lock ends with its process."""
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def kept_port(file: Path) -> int | None:
    """The port kept in `file`, or None."""
    return int(file.read_text()) if file.exists() else None


def free_port(file: Path, *, patience_s: float = 0) -> int:
    """The loopback port kept in `file`, or a new one kept there if none is or another program took it.

    `patience_s`: how long it may be held by one that is ending.
    """
    port, deadline = kept_port(file), time.monotonic() + patience_s
    while port is not None and not _bindable(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    if port is None or not _bindable(port):
        port = next(candidate for candidate in random.sample(PORTS, len(PORTS)) if _bindable(candidate))
        file.write_text(str(port))
    return port


def kept_secret(file: Path) -> str:
    """The secret kept in `file` (mode 0600), generated at the first call."""
    if not file.exists():
        unfinished = file.with_suffix(".new")
        unfinished.touch(mode=0o600)
        unfinished.write_text(secrets.token_urlsafe(24))
        unfinished.replace(file)
    return file.read_text()


def kept_name(file: Path) -> str:
    """Twelve hexadecimal digits, drawn at the first call and kept with `file`: for a name of one's own."""
    return hashlib.sha256(kept_secret(file).encode()).hexdigest()[:12]


def _reachable(folder: Path) -> bool:
    """Whether an unprivileged account can enter `folder`; trivially so when we are not root."""
    if os.geteuid() != 0:
        return True
    as_nobody = subprocess.run(
        ["/usr/bin/test", "-x", folder], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", check=False
    )
    return as_nobody.returncode == 0


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
