"""Installs Debian packages where they are missing, without starting or configuring any system service.

Nothing here knows what the packages are for, but that PostgreSQL's would make a default cluster.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from infra.lab.errors import InstallFailed, PackagesMissing
from infra.lab.state import locked

MACHINE_LOCK = Path("/run/siji-lab-install.lock")
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_SAVED = Path("/usr/sbin/policy-rc.d.before-siji-lab")
POLICY_TEXT = "#!/bin/sh\n# siji lab: no service starts while packages are installed\nexit 101\n"
NO_DEFAULT_CLUSTER = Path("/etc/postgresql-common/createcluster.d/siji-lab.conf")
NO_DEBIAN = "本机不是 Debian 系统，无法自动安装", "this is no Debian system, where it could install them"
ATTEMPTS = 3


def missing(names: Sequence[str]) -> list[str]:
    """Those of `names` that are not completely installed, in order; all of them where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return list(names)
    answer = subprocess.run(
        ["/usr/bin/dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    installed = {line.split()[0] for line in answer.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def ensure(names: Sequence[str], *, log: Path, usable: bool = False) -> None:
    """Install those of `names` that are missing; `log` receives what apt says.

    Where installing is impossible, programs that came by another way will do if they are `usable`;
    else `PackagesMissing`. An installation that was interrupted before is completed first.
    """
    if os.geteuid() == 0:
        _put_back_leftovers()
    wanted = missing(names)
    if not wanted:
        return
    hindrance = obstacle()
    if hindrance is None:
        with locked(MACHINE_LOCK):
            if left_by_others := missing(wanted):
                with _quiet_services():
                    _install(left_by_others, log)
    elif not usable:
        reason_zh, reason_en = hindrance
        raise PackagesMissing(packages=" ".join(wanted), reason_zh=reason_zh, reason_en=reason_en)


def unpack(names: Sequence[str], folder: Path, *, log: Path) -> None:
    """Put what the packages hold below `folder` and install nothing; whoever we are may. `log` as above.

    `PackagesMissing` where there is no apt-get, `InstallFailed`.
    """
    if shutil.which("apt-get") is None:
        reason_zh, reason_en = NO_DEBIAN
        raise PackagesMissing(packages=" ".join(names), reason_zh=reason_zh, reason_en=reason_en)
    folder.mkdir(parents=True)
    with log.open("a") as output:
        done = _run(_apt("download", *names), output, cwd=folder)
        if not done and os.geteuid() == 0:  # its lists may be old
            done = _run(_apt("update"), output) and _run(_apt("download", *names), output, cwd=folder)
        files = list(folder.glob("*.deb"))
        done = done and all(
            _run(["/usr/bin/dpkg-deb", "-x", str(file), str(folder)], output) for file in files
        )
    if not done:
        raise InstallFailed(packages=" ".join(names), log=str(log), tail=end_of(log))
    for file in files:
        file.unlink()


def dependencies(name: str) -> list[str]:
    """What a package depends on; empty where apt does not know it."""
    if shutil.which("apt-cache") is None:
        return []
    told = subprocess.run(
        ["/usr/bin/apt-cache", "depends", name], capture_output=True, text=True, check=False
    )
    lines = [line.split() for line in told.stdout.splitlines()]
    return [words[1] for words in lines if words[0] == "Depends:"]


def end_of(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message; empty if there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def obstacle() -> tuple[str, str] | None:
    """Why nothing can be installed here, in Chinese and English, or None."""
    if shutil.which("apt-get") is None:
        return NO_DEBIAN
    if os.geteuid() != 0:
        return "当前用户不是 root，无法自动安装", "only root may install them"
    return None


def _install(names: Sequence[str], log: Path) -> None:
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(5)
        with log.open("a") as output:
            _run(["/usr/bin/dpkg", "--configure", "-a"], output)
            _run(_apt("update"), output)
            done = _run(_apt("install", "--yes", "--no-install-recommends", *names), output)
        if done and not missing(names):
            return
    raise InstallFailed(packages=" ".join(names), log=str(log), tail=end_of(log))


def _apt(*arguments: str) -> list[str]:
    options = ("DPkg::Lock::Timeout=600", "Dpkg::Options::=--force-confold", "Acquire::Retries=3")
    return ["/usr/bin/apt-get", *(part for option in options for part in ("-o", option)), *arguments]


def _run(command: Sequence[str], output: IO[str], *, cwd: Path | None = None) -> bool:
    """Run with the caller's environment (proxies, say) and no questions; whether it succeeded."""
    quietly = ["/usr/bin/env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", *command]
    done = subprocess.run(
        quietly, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
    )
    return done.returncode == 0


@contextmanager
def _quiet_services() -> Iterator[None]:
    """No service starts and no default cluster while the block runs; then everything as it was before."""
    _restore()
    NO_DEFAULT_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NO_DEFAULT_CLUSTER.write_text("create_main_cluster = false\n")
    if os.path.lexists(POLICY):
        POLICY.rename(POLICY_SAVED)
    unfinished = POLICY.with_suffix(".siji-lab-new")
    unfinished.write_text(POLICY_TEXT)
    unfinished.chmod(0o755)
    unfinished.replace(POLICY)
    try:
        yield
    finally:
        _restore()


def _put_back_leftovers() -> None:
    """An installation killed between its last package and its end leaves our files: remove them now."""
    if os.path.lexists(POLICY_SAVED) or NO_DEFAULT_CLUSTER.exists():
        with locked(MACHINE_LOCK):
            _restore()


def _restore() -> None:
    if os.path.lexists(POLICY_SAVED):
        POLICY_SAVED.replace(POLICY)
    elif POLICY.is_file() and POLICY.read_text() == POLICY_TEXT:
        POLICY.unlink()
    NO_DEFAULT_CLUSTER.unlink(missing_ok=True)
