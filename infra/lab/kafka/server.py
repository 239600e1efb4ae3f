"""Makes the brokers' first state and starts their Java, as an unprivileged account."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from infra.lab import processes
from infra.lab.kafka import certificates
from infra.lab.kafka.configuration import LOG, java_options, properties
from infra.lab.kafka.install import QUIETLY
from infra.lab.kafka.place import ADMINISTRATOR, Place

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Servers:
    """The brokers of one place: whom they run as, on which Java, from which jars."""

    place: Place
    who: processes.Account
    java: Path
    jars: Path

    def make(self) -> None:
        """Certificates, and the logs of brokers that have none; an interrupted attempt is begun again."""
        certificates.ensure(self.place.certificates, self.who)
        self.place.data.mkdir(exist_ok=True)
        unmade = [broker for broker in self.place.numbers if not self._log(broker).exists()]
        if unmade:
            scram = f"SCRAM-SHA-512=[name={ADMINISTRATOR},password={self.place.password}]"
            words = ["kafka.tools.StorageTool", "format", "-t", self.place.cluster, "--add-scram", scram]
            with ThreadPoolExecutor(len(unmade)) as pool:
                list(pool.map(lambda broker: self._format(broker, words), unmade))

    def start(self, broker: int) -> None:
        """In the background, with its configuration written anew."""
        home = self.place.home(broker)
        processes.end_orphans(home, "java")
        shutil.rmtree(home / "temporary", ignore_errors=True)
        self._own(home / "temporary")
        self._write(home / "broker.properties", properties(self.place, broker, self._log(broker)))
        self._write(home / "log4j2.properties", LOG)
        processes.start(
            [*self._java(java_options(self.place, broker)), "kafka.Kafka", home / "broker.properties"],
            who=self.who,
            record=self.place.record(broker),
            log=self.place.log(broker),
            cwd=home,
            environment=ENVIRONMENT,
        )

    def run(self, main: str, *arguments: str, within_s: float) -> str:
        """What that program prints; `CommandFailed`."""
        home = self.place.folder / "tools"
        self._own(home)
        return self._run(home, [main, *arguments], within_s)

    def _format(self, broker: int, words: Sequence[str]) -> None:
        """Beside the final place, with the administrator's password in a file: others see command lines."""
        home = self.place.home(broker)
        making = home / "making"
        self._own(home)
        shutil.rmtree(making, ignore_errors=True)
        self._own(making)
        self._write(making / "broker.properties", properties(self.place, broker, making / "log"))
        told = [*words, "-c", str(making / "broker.properties")]
        self._write(making / "arguments", "".join(f'"{word}"\n' for word in told))
        self._run(making, [f"@{making / 'arguments'}"], 120)
        (making / "log").rename(self._log(broker))
        shutil.rmtree(making)

    def _run(self, home: Path, words: Sequence[str], within_s: float) -> str:
        options = [*QUIETLY, "-Xmx256m", f"-Djava.io.tmpdir={home}", f"-Duser.home={home}"]
        return processes.run(
            [*self._java(options), *words],
            who=self.who,
            cwd=home,
            environment=ENVIRONMENT,
            within_s=within_s,
        )

    def _java(self, options: Sequence[str]) -> list[str | Path]:
        """Up to the class that is run."""
        return [self.java, *options, "-cp", f"{self.jars}/*"]

    def _log(self, broker: int) -> Path:
        return self.place.home(broker) / "log"

    def _own(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        processes.give(folder, self.who, mode=0o700)

    def _write(self, file: Path, text: str) -> None:
        unfinished = file.with_suffix(".new")
        unfinished.write_text(text)
        processes.give(unfinished, self.who, mode=0o600)
        unfinished.replace(file)
