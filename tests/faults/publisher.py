"""A publishing process for test_publish_kill.py: says 'ready', waits for a line, publishes.

python -m tests.faults.publisher URL LOG DATASET PUBLISHER KEY COUNT POINT; at POINT it kills itself.
"""

import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from exchange.batch import Change
from exchange.broker.driver import NewRecord, Span
from exchange.broker.embedded import EmbeddedLog
from exchange.queries import get_dataset
from exchange.service.publish import publish_batch
from infra.database import open_database, reading

AT = datetime(2026, 3, 2, 1, tzinfo=UTC)


class KilledLog(EmbeddedLog):
    """The embedded log in a process that dies before or after an append."""

    point = ""

    def append(self, topic: str, *, marker: str, records: Sequence[NewRecord]) -> dict[int, Span]:
        """Append, and die where told."""
        die(self.point == "claimed")
        spans = super().append(topic, marker=marker, records=records)
        die(self.point == "appended")
        return spans


def changes(count: int) -> list[Change]:
    """Records of `count` keys, the last one bad."""
    good = [Change({"id": f"{n}", "name": f"𠮷{n % 7}"}) for n in range(count)]
    return [*good, Change({"id": "13060219900307007X", "nobody": "knows"})]


def die(now: bool) -> None:
    """SIGKILL to oneself."""
    if now:
        os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, log: str, dataset_id: str, publisher_id: str, key: str, count: str, point: str) -> None:
    """Publish once."""
    engine, broker = open_database(url), KilledLog(Path(log))
    broker.point = point
    batch = changes(int(count))
    with reading(engine) as session:  # so that the time that can be killed in is that of the publishing
        broker.partitions(get_dataset(session, dataset_id=int(dataset_id)).topic)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    receipt = publish_batch(
        engine,
        broker,
        dataset_id=int(dataset_id),
        publisher_id=int(publisher_id),
        key=key,
        changes=batch,
        at=AT,
    )
    die(point == "settled")
    sys.stdout.write(f"{receipt.id} {receipt.digest}\n")
    sys.stdout.flush()
    broker.close()
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
