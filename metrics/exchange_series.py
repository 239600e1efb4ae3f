"""The data exchange for Prometheus: throughput, quarantine, freshness and lag of datasets and subscriptions.

Everything is counted from the records, so that any number of exporters say the same and none counts twice.
Labels are codes and numbers of the catalogue; nothing of what was published is in them.
"""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from exchange.models import Batch, Dataset, Delivery, Position, Subscription
from exchange.place import BEGINNING, read_place
from identity.models import System
from metrics.log_ends import LogEnd, LogEnds
from metrics.series import counter, gauge, seconds

DATASET = ("dataset",)
SUBSCRIBER = ("dataset", "subscription", "system")
OUTCOMES = ("upsert", "delete", "quarantined")
READS = ("active", "paused")


def exchange_series(session: Session, log_ends: LogEnds) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
    """Of every dataset in the catalogue and every subscription that is active or paused."""
    yield from _published(session)
    yield from _delivered(session)
    yield from _lag(session, log_ends)


def _published(session: Session) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
    is_settled = (Batch.dataset_id == Dataset.id) & (Batch.state == "settled")
    query = (
        select(
            Dataset.code,
            func.count(Batch.id),
            func.coalesce(func.sum(Batch.upserts), 0),
            func.coalesce(func.sum(Batch.deletes), 0),
            func.coalesce(func.sum(Batch.quarantined), 0),
            func.max(Batch.settled_at),
        )
        .outerjoin(Batch, is_settled)
        .group_by(Dataset.code)
        .order_by(Dataset.code)
    )
    rows = session.execute(query).all()
    yield counter("exchange_batches", "Batches settled", DATASET, [((r[0],), r[1]) for r in rows])
    records = [
        ((code, outcome), n)
        for code, _, *counts, _ in rows
        for outcome, n in zip(OUTCOMES, counts, strict=True)
    ]
    yield counter(
        "exchange_records",
        "Records received: stored as upsert or delete, or kept in quarantine",
        ("dataset", "outcome"),
        records,
    )
    yield gauge(
        "exchange_published_timestamp_seconds",
        "When a batch was last settled (0: never): how fresh the dataset is",
        DATASET,
        [((r[0],), seconds(r[-1])) for r in rows],
    )


def _delivered(session: Session) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
    is_of_it = Delivery.subscription_id == Subscription.id
    query = (
        select(
            *_subscriber(),
            func.count(Delivery.id),
            func.coalesce(func.sum(Delivery.count), 0),
            func.max(Delivery.at),
        )
        .join(Dataset, Dataset.id == Subscription.dataset_id)
        .join(System, System.id == Subscription.system_id)
        .outerjoin(Delivery, is_of_it)
        .where(Subscription.state.in_(READS))
        .group_by(*_subscriber())
        .order_by(Subscription.id)
    )
    rows = [
        ((code, str(number), system), deliveries, records, at)
        for code, number, system, deliveries, records, at in session.execute(query)
    ]
    yield counter("exchange_deliveries", "Deliveries", SUBSCRIBER, [(who, n) for who, n, _, _ in rows])
    yield counter(
        "exchange_delivered_records", "Records delivered", SUBSCRIBER, [(who, n) for who, _, n, _ in rows]
    )
    yield gauge(
        "exchange_delivered_timestamp_seconds",
        "When the subscriber was last delivered something (0: never)",
        SUBSCRIBER,
        [(who, seconds(at)) for who, _, _, at in rows],
    )


def _lag(session: Session, log_ends: LogEnds) -> Iterator[GaugeMetricFamily]:
    ends = log_ends.read(session)
    query = (
        select(*_subscriber(), Subscription.dataset_id, Position.content, Position.acknowledged_at)
        .join(Dataset, Dataset.id == Subscription.dataset_id)
        .join(System, System.id == Subscription.system_id)
        .outerjoin(Position, Position.subscription_id == Subscription.id)
        .where(Subscription.state.in_(READS))
        .order_by(Subscription.id)
    )
    lags, acknowledged = [], []
    for code, number, system, dataset_id, content, at in session.execute(query):
        place = BEGINNING if content is None else read_place(content)
        who = (code, str(number), system)
        lags.append((who, ends.get(dataset_id, LogEnd()).beyond(place)))
        acknowledged.append((who, seconds(at)))
    yield gauge(
        "exchange_lag_offsets",
        "Offsets of the dataset's log that the subscriber has not said it has",
        SUBSCRIBER,
        lags,
    )
    yield gauge(
        "exchange_acknowledged_timestamp_seconds",
        "When the subscriber last said that it has something (0: never)",
        SUBSCRIBER,
        acknowledged,
    )


def _subscriber() -> tuple[ColumnElement[str], ColumnElement[int], ColumnElement[str]]:
    return Dataset.code.expression, Subscription.id.expression, System.code.expression
