"""Ranges of a log that hands out nothing for a while, as Kafka's does behind a transaction that is open."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from exchange.broker.driver import BrokerRetryable, Slice
from exchange.queries import get_dataset
from exchange.service import ranges
from exchange.service.ranges import read_range
from infra.database import reading
from tests.service.desk import Desk, upserts
from tests.service.provider import open_provider


@pytest.fixture
def desk(database: Engine, tmp_path: Path, at: datetime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(ranges, "PAUSE_S", 0)
    with open_provider(database, tmp_path, at) as provider:
        made = Desk(provider)
        made.catalogue()
        made.publish(*upserts("1", "2", "3"))
        yield made


def held(desk: Desk, monkeypatch: pytest.MonkeyPatch, *, after: int, times: int) -> str:
    """The topic of a log that gives nothing from the offset `after` on, so many times."""
    read, left = desk.log.read, [times]

    def slowly(topic: str, *, partition: int, offset: int, limit: int) -> Slice:
        if offset >= after and left[0]:
            left[0] -= 1
            return Slice((), offset)
        given: Slice = read(
            topic, partition=partition, offset=offset, limit=min(limit, max(1, after - offset))
        )
        return given

    monkeypatch.setattr(desk.log, "read", slowly)
    with reading(desk.engine) as session:
        return get_dataset(session, dataset_id=desk.dataset_id).topic


def test_it_is_asked_again_until_all_is_there(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = held(desk, monkeypatch, after=1, times=ranges.TRIES - 1)
    assert [one.offset for one in read_range(desk.log, topic, 0, 0, 2)] == [0, 1, 2]


def test_what_does_not_come_is_no_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = held(desk, monkeypatch, after=1, times=10**6)
    with pytest.raises(BrokerRetryable, match="not all of it was read"):
        list(read_range(desk.log, topic, 0, 0, 2))
    assert [one.offset for one in read_range(desk.log, topic, 0, 0, 2, may_end=True)] == [0]
