"""The pid file of a server: its pid, and what tells it from a later process that got the same pid.

Reads /proc (Linux). Starting and ending live in processes.py.
"""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Record:
    """A process, identified beyond doubt."""

    pid: int
    started_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "Record":
        """The record of a process that is there; `ProcessLookupError` if it is not."""
        stat = _stat(pid)
        if stat is None:
            raise ProcessLookupError(pid)
        return cls(pid=pid, started_ticks=int(stat[19]), boot_id=BOOT_ID.read_text().strip())

    @classmethod
    def read(cls, file: Path) -> "Record | None":
        """The record in `file`; None if there is none, or what is there is no record."""
        try:
            return cls(**json.loads(file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, file: str | Path) -> None:
        """Put it in `file`, whole or not at all."""
        unfinished = Path(f"{file}.new")
        unfinished.write_text(json.dumps(asdict(self)))
        unfinished.replace(file)

    def alive(self) -> bool:
        """Whether this very process still runs; one that only waits to be reaped does not."""
        stat = _stat(self.pid)
        if stat is None or stat[0] in "ZX":
            return False
        return int(stat[19]) == self.started_ticks and BOOT_ID.read_text().strip() == self.boot_id


def children_of(pid: int) -> list[int]:
    """`pid` and all its descendants."""
    parents = {
        int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()
    }
    family = [pid]
    for member in family:
        family += [child for child, stat in parents.items() if stat is not None and int(stat[1]) == member]
    return family


def resident_kib(pids: list[int]) -> int:
    """Their resident memory in KiB; pages they share count once, where the kernel lets us see."""
    return sum(_memory_kib(pid) for pid in pids)


def running_in(folder: Path, programs: Collection[str]) -> list[int]:
    """The processes of the executables `programs` (file names) that work in `folder` or below it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                here = (entry / "cwd").readlink().is_relative_to(folder)
                if here and (entry / "exe").readlink().name in programs:
                    found.append(int(entry.name))
            except OSError:  # gone meanwhile, or another user's
                continue
    return found


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third on: 0 state, 1 parent, 19 start time in ticks since boot."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _memory_kib(pid: int) -> int:
    for file, field in ((f"/proc/{pid}/smaps_rollup", "Pss:"), (f"/proc/{pid}/status", "VmRSS:")):
        try:
            lines = Path(file).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(field):
                return int(line.split()[1])
    return 0
