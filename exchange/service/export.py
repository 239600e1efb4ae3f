"""Exporting what a subscription shows as a file: the latest record of each key, as a fresh reader has it.

The log is read whole, the delivery recorded, then the file handed out; meanwhile the subscription is looked
at again and again, and once it gives nothing any more the file breaks off.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from exchange.broker.driver import Broker
from exchange.digest import chain_by_partition, combine, read_canonical
from exchange.errors import ExportChanged, ExportTooLarge, ExportUnfit
from exchange.files import (
    PIECE_BYTES,
    XLSX_MOST_ROWS,
    Format,
    Unfit,
    columns_of,
    write_csv,
    write_ndjson,
    write_parquet,
    write_xlsx,
)
from exchange.models import Batch, Subscription
from exchange.place import BEGINNING, Place
from exchange.queries import get_dataset
from exchange.service.entitled import entitled
from exchange.service.latest import Latest, keeping_latest
from exchange.service.outcomes import DONE, UNCONFIRMED, end_delivery
from exchange.service.pages import generation_of, read_page, record_whole
from exchange.service.shown import View, view_of
from exchange.version_queries import known_items
from infra.clock import Clock
from infra.database import reading, transaction

PAGE = 5_000
LOOKS_EVERY_S = 1.0


@dataclass(frozen=True)
class Export:
    """A file to hand out in pieces; `count` and `digest` are of its rows, in the order of the file.

    Whoever does not read the pieces to their end closes it.
    """

    dataset: str
    delivery_id: int
    count: int
    digest: str
    pieces: Iterator[bytes]
    _stack: ExitStack

    def close(self) -> None:
        """Give back what it holds."""
        self._stack.close()


class _Watch:
    """Looks at most once a second whether the subscription still shows what it did."""

    def __init__(self, engine: Engine, clock: Clock, subscription: Subscription) -> None:
        self._engine, self._clock, self._subscription = engine, clock, subscription
        self._looked_at_s = time.monotonic()

    def look(self) -> None:
        """Raises NotEntitled, ExportChanged."""
        if time.monotonic() - self._looked_at_s < LOOKS_EVERY_S:
            return
        own = self._subscription
        with reading(self._engine) as session:
            now = entitled(session, subscription_id=own.id, system_id=own.system_id, at=self._clock.now())
            if now.revision != own.revision:
                raise ExportChanged(subscription=own.id)
        self._looked_at_s = time.monotonic()


class _Ending:
    """Notes how the handing out of a file ended."""

    def __init__(self, engine: Engine, delivery_id: int) -> None:
        self._engine, self._delivery_id = engine, delivery_id
        self.outcome = UNCONFIRMED

    def note(self) -> None:
        with transaction(self._engine) as session:
            end_delivery(session, self._delivery_id, self.outcome)


def export(
    engine: Engine,
    broker: Broker,
    *,
    subscription_id: int,
    system_id: int,
    actor: str,
    clock: Clock,
    form: Format,
) -> Export:
    """The file of what the subscription shows now, recorded as delivered.

    Raises NotFound, NotEntitled, ExportChanged, ExportTooLarge, ExportUnfit and the broker's failures; the
    first three also while its pieces are taken.
    """
    with reading(engine) as session:
        subscription = entitled(session, subscription_id=subscription_id, system_id=system_id, at=clock.now())
        view = view_of(session, subscription, None)
        dataset = get_dataset(session, dataset_id=subscription.dataset_id)
        batch = generation_of(session, dataset.id, BEGINNING) if view.full else None
        known = known_items(session, dataset)
        session.expunge_all()
    columns = columns_of([known[name] for name in view.lens.items], view.lens.masks)
    watch = _Watch(engine, clock, subscription)
    with ExitStack() as stack:
        latest = stack.enter_context(keeping_latest())
        after = _fold(broker, view, batch, latest, watch)
        count = len(latest)
        if form == "xlsx" and count > XLSX_MOST_ROWS:
            raise ExportTooLarge(subscription=subscription_id, count=count, limit=XLSX_MOST_ROWS)
        rows = (read_canonical(content) for content in _watched(latest.contents(), watch))
        match form:
            case "csv":
                pieces = write_csv(columns, rows)
            case "ndjson":
                pieces = write_ndjson(rows)
            case _:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="siji-export-"))
                file = Path(folder) / f"records.{form}"
                try:
                    (write_xlsx if form == "xlsx" else write_parquet)(columns, rows, file)
                except Unfit as error:
                    raise ExportUnfit(subscription=subscription_id, item=error.item) from error
                pieces = _read(file)
        digests = chain_by_partition(latest.digests())
        with transaction(engine) as session:
            now = entitled(session, subscription_id=subscription_id, system_id=system_id, at=clock.now())
            if now.revision != subscription.revision:
                raise ExportChanged(subscription=subscription_id)
            delivery_id = record_whole(
                session,
                view,
                now,
                after=after,
                spans=(batch.spans or {}) if batch else {},
                count=count,
                digests=digests,
                actor=actor,
                at=clock.now(),
            )
        ending = _Ending(engine, delivery_id)
        stack.callback(ending.note)
        held = stack.pop_all()
    return Export(
        dataset=view.dataset,
        delivery_id=delivery_id,
        count=count,
        digest=combine(digests),
        pieces=_handed_out(pieces, watch, held, ending),
        _stack=held,
    )


def _fold(broker: Broker, view: View, batch: Batch | None, latest: Latest, watch: _Watch) -> Place:
    """Keep the latest of everything there is; the place behind it."""
    place = BEGINNING
    if view.full and batch is None:
        return place
    while True:
        watch.look()
        read = read_page(broker, view, batch, place, limit=PAGE)
        for record in read.records:
            latest.take(record)
        place = read.after
        if read.complete:
            return place


def _watched(contents: Iterator[bytes], watch: _Watch) -> Iterator[bytes]:
    for content in contents:
        watch.look()
        yield content


def _handed_out(
    pieces: Iterator[bytes], watch: _Watch, held: ExitStack, ending: "_Ending"
) -> Iterator[bytes]:
    with held:
        for piece in pieces:
            watch.look()
            yield piece
        ending.outcome = DONE


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            yield piece
