"""The lab's Chromium for tests of pages: installed from Debian where missing; nothing of it keeps running."""

import shutil
import subprocess
from pathlib import Path

from infra.lab import packages
from infra.lab.errors import CommandFailed, NotUp
from infra.lab.state import engine_folder, locked, make_engine_folder
from infra.lab.status import Status

NAME = "chromium"
PACKAGES: tuple[str, ...] = ("chromium", "chromium-driver", "fonts-noto-cjk")
BROWSER = "chromium"
DRIVER = "chromedriver"


def up(state: Path | None = None) -> None:
    """Install Chromium, its driver and Chinese fonts if missing; the browser must tell its version."""
    folder = make_engine_folder(NAME, state)
    with locked(folder / "lock"):
        packages.ensure(PACKAGES, log=folder / "install.log", usable=_version() is not None)
    if _version() is None:
        raise CommandFailed(command=f"{BROWSER} --version", status=-1, tail="")


def down(state: Path | None = None) -> None:
    """Nothing keeps running, so nothing ends."""


def programs() -> tuple[Path, Path]:
    """Where the browser and its driver are; `NotUp` if they are not installed."""
    browser, driver = shutil.which(BROWSER), shutil.which(DRIVER)
    if browser is None or driver is None:
        raise NotUp(engine=NAME, folder=str(engine_folder(NAME, None)))
    return Path(browser), Path(driver)


def status(state: Path | None = None) -> Status:
    """Installed with its version, or absent."""
    version = _version()
    return Status(
        name=NAME,
        state="absent" if version is None else "installed",
        address=version or "",
        folder=None,
        memory_kib=None,
    )


def _version() -> str | None:
    browser = shutil.which(BROWSER)
    if browser is None or shutil.which(DRIVER) is None:
        return None
    answer = subprocess.run([browser, "--version"], capture_output=True, text=True, timeout=60, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else None
