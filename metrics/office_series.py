"""The approval hall and the chained logs for Prometheus: cases by item and state, what waits to be sealed."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from approval.models import Case, Item
from exchange.message_models import Message
from exchange.models import Batch, Delivery
from infra.journal.entries import JournalSeal, UnsealedEntry
from metrics.series import counter, gauge


def office_series(session: Session) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
    """Cases, and how far the journal and the message log are sealed."""
    cases = select(Item.code, Case.state, func.count()).join(Item, Item.id == Case.item_id)
    counted = session.execute(cases.group_by(Item.code, Case.state)).all()
    yield gauge(
        "cases",
        "Cases by item and state",
        ("item", "state"),
        [((item, state), n) for item, state, n in counted],
    )
    sealed = {"journal": JournalSeal.seq, "messages": Message.seq}
    yield counter(
        "sealed_entries",
        "Entries that the chain of a log has",
        ("log",),
        [((log,), session.scalar(select(func.max(seq))) or 0) for log, seq in sealed.items()],
    )
    waiting = {
        "journal": [select(func.count()).select_from(UnsealedEntry)],
        "messages": [
            select(func.count())
            .select_from(Batch)
            .where(Batch.message_seq.is_(None), Batch.state == "settled"),
            select(func.count()).select_from(Delivery).where(Delivery.message_seq.is_(None)),
        ],
    }
    yield gauge(
        "unsealed_entries",
        "Entries that wait for the chain of a log",
        ("log",),
        [((log,), sum(session.scalar(one) or 0 for one in queries)) for log, queries in waiting.items()],
    )
