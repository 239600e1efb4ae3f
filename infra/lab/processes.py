"""Starts and ends the lab's servers, as unprivileged users, and only those that it started itself.

What a server needs to be told lives in its engine's file.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.lab.errors import CommandFailed, DidNotStart
from infra.lab.packages import end_of
from infra.lab.record import Record, running_in

DEDICATED_ACCOUNT = "siji-lab"
POLL_S = 0.02


@dataclass(frozen=True)
class Account:
    """Whom a server runs as."""

    uid: int
    gid: int


def account(name: str) -> Account:
    """`name` when we are root (where the machine has none, an account made for the lab); else ourselves."""
    if os.geteuid() != 0:
        return myself()
    for candidate in (name, DEDICATED_ACCOUNT):
        try:
            found = pwd.getpwnam(candidate)
        except KeyError:
            continue
        return Account(found.pw_uid, found.pw_gid)
    subprocess.run(
        [
            "/usr/sbin/useradd",
            "--system",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            DEDICATED_ACCOUNT,
        ],
        check=True,
    )
    made = pwd.getpwnam(DEDICATED_ACCOUNT)
    return Account(made.pw_uid, made.pw_gid)


def myself() -> Account:
    """Whom we run as."""
    return Account(os.geteuid(), os.getegid())


def can_run(command: Sequence[str | Path], *, who: Account) -> bool:
    """Whether `who` can run the command to a good end."""
    try:
        run(command, who=who, cwd=Path("/"), environment={})
    except (CommandFailed, OSError):
        return False
    return True


def give(path: Path, owner: Account, *, mode: int) -> None:
    """Make `path` the account's own, with `mode`."""
    if os.geteuid() == 0:
        os.chown(path, owner.uid, owner.gid)
    path.chmod(mode)


def run(
    command: Sequence[str | Path],
    *,
    who: Account,
    cwd: Path,
    environment: Mapping[str, str],
    within_s: float = 120,
) -> str:
    """Run a preparing command to its end as `who` and return what it printed; `CommandFailed` if it fails."""
    words = [str(word) for word in command]
    root = os.geteuid() == 0
    done = subprocess.run(
        words,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=within_s,
        check=False,
        user=who.uid if root else None,
        group=who.gid if root else None,
        extra_groups=[] if root else None,
    )
    if done.returncode != 0:
        raise CommandFailed(
            command=Path(words[0]).name, status=done.returncode, tail=done.stdout.strip()[-2000:]
        )
    return done.stdout


def start(
    command: Sequence[str | Path],
    *,
    who: Account,
    record: Path,
    log: Path,
    cwd: Path,
    environment: Mapping[str, str],
) -> None:
    """Start a server in the background as `who`; `record` becomes its pid file, `log` takes what it prints.

    The log of the start before is kept beside it with the ending .before.
    """
    if log.exists():
        shutil.move(log, log.with_suffix(log.suffix + ".before"))
    plan = {
        "command": [str(word) for word in command],
        "uid": who.uid,
        "gid": who.gid,
        "record": str(record),
        "log": str(log),
        "cwd": str(cwd),
        "environment": dict(environment),
    }
    subprocess.run([sys.executable, "-m", "infra.lab.launch", json.dumps(plan)], check=True)


def alive(record: Path) -> bool:
    """Whether the server of this pid file runs."""
    found = Record.read(record)
    return found is not None and found.alive()


def bring_up(
    start: Callable[[], None],
    ready: Callable[[], bool],
    *,
    engine: str,
    record: Path,
    log: Path,
    within_s: float,
) -> None:
    """Return when the server is `ready()`: started unless it runs, and anew if it was found dying."""
    found_running = alive(record)
    if not found_running:
        start()
    try:
        wait_ready(ready, engine=engine, record=record, log=log, within_s=within_s)
    except DidNotStart:
        if not found_running or alive(record):
            raise
        start()
        wait_ready(ready, engine=engine, record=record, log=log, within_s=within_s)


def wait_ready(ready: Callable[[], bool], *, engine: str, record: Path, log: Path, within_s: float) -> None:
    """Return as soon as `ready()`; `DidNotStart` if the server ends before, or after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not ready():
        running = alive(record)
        if not running or time.monotonic() > deadline:
            state = "still starting" if running else "it ended"
            raise DidNotStart(engine=engine, seconds=within_s, state=state, log=str(log), tail=end_of(log))
        time.sleep(POLL_S)


def stop(record: Path, *, politely: signal.Signals, within_s: float) -> None:
    """End the server of this pid file: first `politely`, after `within_s` seconds by force."""
    for sent, patience_s in ((politely, within_s), (signal.SIGKILL, within_s)):
        if _end(record, sent, patience_s):
            break
    record.unlink(missing_ok=True)


def kill(record: Path) -> None:
    """End the server of this pid file at once, as a power cut would; the pid file stays behind, stale."""
    _end(record, signal.SIGKILL, within_s=10)


def end_orphans(folder: Path, *programs: str, within_s: float = 10) -> bool:
    """End what a killed server or caller left running: processes of these programs that work in `folder`.

    Whether none is left.
    """
    deadline = time.monotonic() + within_s
    while (orphans := running_in(folder, programs)) and time.monotonic() < deadline:
        for pid in orphans:
            _send(pid, signal.SIGKILL)
        time.sleep(POLL_S)
    return not orphans


def _end(record: Path, sent: signal.Signals, within_s: float) -> bool:
    """Send the signal and wait; whether the process is gone."""
    found = Record.read(record)
    if found is None or not found.alive():
        return True
    _send(found.pid, sent)
    deadline = time.monotonic() + within_s
    while found.alive() and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return not found.alive()


def _send(pid: int, sent: signal.Signals) -> None:
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return
