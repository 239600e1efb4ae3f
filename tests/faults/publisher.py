"""A publishing process for test_publish_kill.py: says 'ready', waits for a line, publishes.

python -m tests.faults.publisher URL KIND FOLDER DATASET PUBLISHER KEY COUNT POINT; at POINT it kills itself.
KIND and FOLDER are those of tests/brokers.py.
"""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from exchange.batch import Change
from exchange.queries import get_dataset
from exchange.service.publish import publish_batch
from infra.database import open_database, reading
from tests.brokers import open_log

AT = datetime(2026, 3, 2, 1, tzinfo=UTC)


def let_it_die(log: Any, point: str) -> None:
    """From now on this process dies before or after an append, if `point` says so."""
    append = log.append

    def dying(*args: Any, **named: Any) -> Any:
        die(point == "claimed")
        spans = append(*args, **named)
        die(point == "appended")
        return spans

    log.append = dying


def changes(count: int) -> list[Change]:
    """Records of `count` keys, the last one bad."""
    good = [Change({"id": f"{n}", "name": f"𠮷{n % 7}"}) for n in range(count)]
    return [*good, Change({"id": "13060219900307007X", "nobody": "knows"})]


def die(now: bool) -> None:
    """SIGKILL to oneself."""
    if now:
        os.kill(os.getpid(), signal.SIGKILL)


def main(
    url: str, kind: str, folder: str, dataset_id: str, publisher_id: str, key: str, count: str, point: str
) -> None:
    """Publish once."""
    engine, broker = open_database(url), open_log(kind, Path(folder))
    let_it_die(broker, point)
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
        now=lambda: AT,
    )
    die(point == "settled")
    sys.stdout.write(f"{receipt.id} {receipt.digest}\n")
    sys.stdout.flush()
    broker.close()
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
