"""Metrics for Prometheus: what the records say, to any number of exporters, and no published value."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, create_engine

from exchange.batch import Change
from exchange.service.messages import seal_messages
from exchange.service.positions import acknowledge
from infra.database import transaction
from metrics.exporter import registry_of
from tests.service.desk import Desk, upserts
from tests.service.provider import open_provider

DOCUMENTED = Path(__file__).parents[2] / "docs" / "metrics.md"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(params=["embedded", "kafka"])
def desk(request: pytest.FixtureRequest, database: Engine, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    with open_provider(database, tmp_path, at, kind=request.param) as provider:
        yield Desk(provider)


class Scrapes:
    """One exporter, which is scraped again and again."""

    def __init__(self, engine: Engine) -> None:
        self.registry = registry_of(engine)

    def __call__(self) -> Samples:
        text = generate_latest(self.registry).decode()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


def of(samples: Samples, name: str, **labels: str) -> float | None:
    """The only sample of that name whose labels hold these."""
    found = [
        v for (n, told), v in samples.items() if n == f"siji_{name}" and labels.items() <= dict(told).items()
    ]
    assert len(found) <= 1
    return found[0] if found else None


def confirm(desk: Desk, cursor: str) -> None:
    with transaction(desk.engine) as session:
        acknowledge(
            session,
            subscription_id=desk.subscription_id,
            system_id=desk.place.subscriber_id,
            cursor=cursor,
            at=desk.at,
        )


def test_throughput_quarantine_freshness_and_lag(desk: Desk) -> None:
    desk.catalogue(partitions=4)
    subscription = str(desk.subscribe("id", "name"))
    scrape = Scrapes(desk.engine)
    before = scrape()
    assert of(before, "up") == 1
    assert of(before, "exchange_batches_total") == 0
    assert of(before, "exchange_lag_offsets", subscription=subscription) == 0
    desk.publish(*upserts("1", "2", "3"), Change({"id": 4, "name": "bad"}))
    first = scrape()
    counts = {
        outcome: of(first, "exchange_records_total", outcome=outcome) for outcome in ("upsert", "quarantined")
    }
    assert counts == {"upsert": 3, "quarantined": 1}
    assert of(first, "exchange_published_timestamp_seconds") == desk.at.timestamp()
    lag = of(first, "exchange_lag_offsets", subscription=subscription)
    assert lag is not None
    assert lag >= 3
    page = desk.pull()
    pulled = scrape()
    assert of(pulled, "exchange_delivered_records_total", subscription=subscription) == 3
    assert of(pulled, "exchange_lag_offsets", subscription=subscription) == lag
    confirm(desk, page.cursor)
    assert of(scrape(), "exchange_lag_offsets", subscription=subscription) == 0


def test_ends_are_read_on_over_what_is_sealed_and_what_is_not(desk: Desk) -> None:
    desk.catalogue(partitions=2)
    desk.subscribe("id", "name")
    scrape = Scrapes(desk.engine)
    desk.publish(*upserts("1", "2"))
    seal_messages(desk.engine, at=desk.at)
    one = of(scrape(), "exchange_lag_offsets")
    desk.publish(*upserts("3", "4", "5"))
    unsealed = of(scrape(), "exchange_lag_offsets")
    assert (
        of(scrape(), "unsealed_entries", log="messages"),
        of(scrape(), "sealed_entries_total", log="messages"),
    ) == (1, 1)
    seal_messages(desk.engine, at=desk.at)
    for exporter in (scrape, Scrapes(desk.engine)):
        assert of(exporter(), "exchange_lag_offsets") == unsealed
    assert one is not None
    assert unsealed is not None
    assert unsealed >= one + 3


def test_of_a_dataset_that_is_replaced_only_the_newest_content_is_ahead(desk: Desk) -> None:
    desk.catalogue(update_mode="full")
    desk.subscribe("id", "name")
    scrape = Scrapes(desk.engine)
    desk.publish(*upserts("1", "2", "3"))
    confirm(desk, desk.pull(limit=2).cursor)
    assert of(scrape(), "exchange_lag_offsets") == 1
    desk.publish(*upserts("1", "2"))
    assert of(scrape(), "exchange_lag_offsets") == 2
    desk.publish(Change({"id": 7}))  # all bad: it replaces nothing
    assert of(scrape(), "exchange_lag_offsets") == 2
    cursor = desk.pull(desk.pull().cursor).cursor
    confirm(desk, cursor)
    assert of(scrape(), "exchange_lag_offsets") == 0


def test_records_that_cannot_be_reached_are_told_and_come_back(tmp_path: Path, database: Engine) -> None:
    away = create_engine(f"sqlite:///{tmp_path}/none/none.sqlite")
    told = Scrapes(away)()
    assert {name for name, _ in told} == {"siji_up", "siji_build_info"}
    assert of(told, "up") == 0
    assert of(Scrapes(database)(), "up") == 1


def test_every_family_is_documented(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    families = {family.name for family in registry_of(desk.engine).collect()}
    text = DOCUMENTED.read_text(encoding="utf-8")
    assert families
    assert {name for name in families if f"`{name}" not in text} == set()
