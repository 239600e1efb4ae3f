"""A writing process for test_kafka_log.py: appends records to a topic, and stops where it is told.

python -m tests.contract.kafka_writer TOPIC MARKER COUNT POINT. It writes the marker that it uses (a new one
for '-'), then 'sent' once the records and the receipt are stored and nothing is committed. At POINT 'wait' it
commits when it is given a line; its last line is what became of it.
"""

import sys

from exchange.broker.driver import BrokerConflict, NewRecord
from exchange.broker.kafka.writer import Writer
from tests.brokers import open_kafka


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(topic: str, marker: str, count: str, point: str) -> None:
    """Append once."""
    log = open_kafka()
    commit = Writer._commit

    def slow(writer: Writer) -> None:
        say("sent")
        if point == "wait":
            sys.stdin.readline()
        commit(writer)

    Writer._commit = slow  # type: ignore[assignment,method-assign]
    made = log.new_marker(topic) if marker == "-" else marker
    say(made)
    try:
        records = [NewRecord(0, b"%d" % n, b"v") for n in range(int(count))]
        spans = log.append(topic, marker=made, records=records)
        say(str(sum(span.count for span in spans.values())))
    except BrokerConflict:
        say("conflict")
    log.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
