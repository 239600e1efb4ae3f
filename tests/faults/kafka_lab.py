"""A Kafka of the fault tests' own: the shared one may not be killed."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Literal

from infra.lab import engines
from infra.lab.kafka import engine


@contextmanager
def own_kafka(brokers: Literal[1, 3]) -> Iterator[Path]:
    """The state folder of a lab with that many brokers, which are up; all ends behind it."""
    folder = Path(tempfile.mkdtemp(prefix="siji-lab-kafka-"))
    folder.chmod(0o755)  # the brokers' account is another one
    try:
        engine.up(folder, brokers=brokers)
        yield folder
    finally:
        engines.down(state=folder)
        rmtree(folder)
