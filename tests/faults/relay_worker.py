"""A relaying process for test_relay_kill.py: says 'ready', then relays until it is killed.

python -m tests.faults.relay_worker URL KIND FOLDER SUBSCRIPTION POINT; at POINT it kills itself. KIND and
FOLDER are those of tests/brokers.py.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exchange.broker.driver import BrokerConflict, BrokerRetryable
from exchange.service import relaying
from exchange.service.relaying import Relayer
from infra.database import Busy, open_database
from tests.brokers import open_log
from tests.faults.publisher import die, let_it_die

LEASE = timedelta(seconds=1)
"""Shorter than an append may take: workers do race."""


def let_it_die_settled(point: str) -> None:
    """From now on this process dies behind the transaction that settles a run, if `point` says so."""
    store = relaying.Relayer._store

    def dying(*args: Any) -> Any:
        step = store(*args)
        die(point == "settled")
        return step

    relaying.Relayer._store = dying  # type: ignore[assignment,method-assign]


def main(url: str, kind: str, folder: str, subscription_id: str, point: str) -> None:
    """Relay on and on."""
    engine, broker = open_database(url), open_log(kind, Path(folder))
    let_it_die(broker, point)
    let_it_die_settled(point)
    relayer = Relayer(engine, broker, lambda: datetime.now(UTC), lease=LEASE, records=150)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        try:
            relayer.relay(int(subscription_id))
        except (BrokerRetryable, BrokerConflict, Busy) as error:
            sys.stderr.write(f"{error}\n")
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
