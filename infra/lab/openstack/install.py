"""Installs the control plane's libraries into a venv of their own, once for all labs of the checkout."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from infra.lab import processes
from infra.lab.errors import InstallFailed, NoPython
from infra.lab.openstack.place import Place
from infra.lab.packages import end_of
from infra.lab.state import locked

LOCK = Path(__file__).parent / "requirements.lock"
PYTHONS = (Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}", Path("/usr/bin/python3"))
INSTALL = ("install", "-q", "--no-deps", "--require-hashes", "--no-warn-script-location")
OLDEST = (3, 11)


def ensure(place: Place, who: processes.Account) -> None:
    """As the lock file says, with a Python that `who` can run; does nothing if it is there.

    `NoPython`, `InstallFailed`.
    """
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    stamp = place.venv / "installed"
    with locked(place.venv.with_suffix(".lock")):
        if stamp.exists() and stamp.read_text() == wanted:
            return
        shutil.rmtree(place.venv, ignore_errors=True)
        log = place.folder / "install.log"
        with log.open("a") as output:
            steps: list[list[str | Path]] = [
                [_python_of(who), "-m", "venv", "--without-pip", place.venv],
                [sys.executable, "-m", "pip", "--python", place.python, *INSTALL, "-r", LOCK],
            ]
            for command in steps:
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
                )
                if done.returncode != 0:
                    raise InstallFailed(packages="OpenStack", log=str(log), tail=end_of(log))
        stamp.write_text(wanted)


def _python_of(who: processes.Account) -> Path:
    """The first Python that the account may run: one in root's home is closed to it."""
    question = f"import sys, venv; sys.exit(sys.version_info < {OLDEST})"
    for python in PYTHONS:
        if python.exists() and processes.can_run([python, "-c", question], who=who):
            return python
    raise NoPython(tried="、".join(str(python) for python in PYTHONS))
