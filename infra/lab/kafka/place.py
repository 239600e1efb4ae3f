"""Where the lab's Kafka keeps its files, where its brokers answer, and its secrets. It starts nothing."""

import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from infra.lab.state import engine_folder, free_port, kept_port, kept_secret

NAME = "kafka"
HOST = "127.0.0.1"
ADMINISTRATOR = "admin"
LISTENERS = ("client", "controller", "brokers")
"""Of each broker: for clients, for the controllers' quorum, for the brokers among themselves."""


@dataclass(frozen=True)
class Place:
    """The folder of one Kafka and how many brokers it was made with, numbered from 1; 0: not made yet."""

    folder: Path
    brokers: int

    @classmethod
    def of(cls, state: Path | None) -> "Place":
        """The Kafka of that lab."""
        folder = engine_folder(NAME, state)
        kept = folder / "brokers"
        return cls(folder, int(kept.read_text()) if kept.exists() else 0)

    def keep(self) -> None:
        """Let `of` know the number of brokers from now on."""
        unfinished = self.folder / "brokers.new"
        unfinished.write_text(str(self.brokers))
        unfinished.replace(self.folder / "brokers")

    @property
    def numbers(self) -> range:
        """The brokers' numbers."""
        return range(1, self.brokers + 1)

    @property
    def data(self) -> Path:
        """What all brokers keep."""
        return self.folder / "data"

    def home(self, broker: int) -> Path:
        """Where a broker works; everything it writes lies in it."""
        return self.data / f"broker-{broker}"

    def log(self, broker: int) -> Path:
        """What a broker prints."""
        return self.folder / f"broker-{broker}.log"

    def record(self, broker: int) -> Path:
        """The pid file of a broker."""
        return self.folder / f"broker-{broker}.pid.json"

    @property
    def certificates(self) -> Path:
        """The folder of the certificates."""
        return self.folder / "certificates"

    @property
    def authority(self) -> Path:
        """The certificate of the lab's own authority: what a client has to trust."""
        return self.certificates / "ca.pem"

    @property
    def password_file(self) -> Path:
        """Of the administrator."""
        return self.folder / "password"

    @property
    def password(self) -> str:
        """Of the administrator, made at the first call."""
        return kept_secret(self.password_file)

    @property
    def cluster(self) -> str:
        """The cluster's id, made at the first call: a UUID as Kafka writes it, with no dash first."""
        file = self.folder / "cluster"
        if not file.exists():
            unfinished = self.folder / "cluster.new"
            begins_with_a_letter = uuid.uuid4().int & ~(1 << 127)
            number = begins_with_a_letter.to_bytes(16)
            unfinished.write_text(urlsafe_b64encode(number).decode().rstrip("="))
            unfinished.replace(file)
        return file.read_text()

    @property
    def bootstrap(self) -> str:
        """Where clients find the brokers."""
        return ",".join(self.address(broker, "client") for broker in self.numbers)

    def address(self, broker: int, listener: str) -> str:
        """Where a broker listens; its ports are chosen by `refresh_ports`."""
        return f"{HOST}:{kept_port(self._port_file(broker, listener))}"

    def refresh_ports(self) -> None:
        """Choose ports, and others where somebody took them while no broker ran."""
        (self.folder / "ports").mkdir(exist_ok=True)
        for broker in self.numbers:
            for listener in LISTENERS:
                free_port(self._port_file(broker, listener))

    def _port_file(self, broker: int, listener: str) -> Path:
        return self.folder / "ports" / f"{broker}-{listener}"
