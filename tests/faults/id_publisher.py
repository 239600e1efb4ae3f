"""A publishing process for test_ids_kill.py: as publisher.py, of records by number.

python -m tests.faults.id_publisher URL KIND FOLDER DATASET PUBLISHER KEY NUMBERS POINT
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from exchange.batch import Change
from exchange.queries import get_dataset
from exchange.service.publish import publish_batch
from infra.database import open_database, reading
from tests.brokers import open_log
from tests.faults.publisher import AT, die, let_it_die


def numbered(numbers: Iterable[int]) -> list[Change]:
    """A record of each number, which is its id."""
    return [Change({"id": f"{n}", "name": f"𠮷{n % 7}"}, id=f"{n}") for n in numbers]


def main(
    url: str, kind: str, folder: str, dataset_id: str, publisher_id: str, key: str, numbers: str, point: str
) -> None:
    """Publish once."""
    engine, broker = open_database(url), open_log(kind, Path(folder))
    let_it_die(broker, point)
    with reading(engine) as session:
        broker.partitions(get_dataset(session, dataset_id=int(dataset_id)).topic)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    publish_batch(
        engine,
        broker,
        dataset_id=int(dataset_id),
        publisher_id=int(publisher_id),
        key=key,
        changes=numbered(json.loads(numbers)),
        at=AT,
        now=lambda: AT,
    )
    die(point == "settled")
    broker.close()
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
