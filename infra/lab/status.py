"""What `siji lab status` tells of an engine, and what every engine of the lab offers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

State = Literal["up", "down", "starting", "installed", "absent"]


@dataclass(frozen=True)
class Status:
    """One engine at one moment; `address` holds no password, `memory_kib` is None where nothing runs.

    `user` is whom it knows, `password` the file that holds theirs; empty and None where nobody signs in.
    """

    name: str
    state: State
    address: str
    folder: Path | None
    memory_kib: int | None
    user: str = ""
    password: Path | None = None


class Engine(Protocol):
    """A module of the lab; `state` is the lab's folder, None means this checkout's own."""

    @property
    def PACKAGES(self) -> tuple[str, ...]:
        """The Debian packages that it is made of."""

    def up(self, state: Path | None = None) -> None:
        """Install it if missing and start it if it does not run; return when it answers."""

    def down(self, state: Path | None = None) -> None:
        """End it in good order; its data stays."""

    def status(self, state: Path | None = None) -> Status:
        """How it is, changing nothing."""
