"""The relay: what a subscription shows of a dataset's log, written to the subscription's own topic, once.

A run is noted before it is appended: its marker, where it begins and ends, and its delivery, pending. After a
kill anywhere whoever goes on finds that run and settles it under the same marker, which the log stores once.
What was noted is appended as it was noted, or not at all: a run whose subscription shows something else by
now, or nothing, is decided by appending nothing under its marker, and read anew if it had not been stored.
No transaction is open while the log is called. One worker holds a relay at a time, to save work: two at the
same run end in one batch.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from exchange.broker.driver import Broker, NewRecord
from exchange.digest import combine
from exchange.errors import NotEntitled
from exchange.models import Batch, Delivery, Subscription
from exchange.place import Place, later, read_place
from exchange.queries import get_batch, get_subscription
from exchange.relay_models import Relay
from exchange.service.entitled import entitled
from exchange.service.outcomes import DONE, TOPIC
from exchange.service.pages import (
    Read,
    ends_generation,
    generation_of,
    read_again,
    read_page,
    record_delivery,
)
from exchange.service.relays import CLOCKS, NUDGE_LASTS_S, RIGHTS_TASK, get_relay, keep_subscription, nudge
from exchange.service.shown import View, view_of
from exchange.topic_records import ends_of_generation, topic_record
from infra.database import reading, transaction
from infra.jobs import enqueue

ACTOR = "installation"
LEASE = timedelta(seconds=10)
RUNS, RECORDS = 50, 2_000
BUDGET = timedelta(seconds=2)
"""At most so many runs at a call, of so many records each, and no new one after so long: others wait too."""

NOTHING = combine({})
"""The digest of no records."""

Step = Literal["stored", "on", "end", "lost"]


@dataclass(frozen=True)
class Relayer:
    """What a worker needs to relay. `now` is its clock."""

    engine: Engine
    broker: Broker
    now: Callable[[], datetime]
    lease: timedelta = LEASE
    records: int = RECORDS

    def relay(self, subscription_id: int, *, runs: int = RUNS) -> int:
        """Bring the subscription's topic up to date, in at most `runs` steps; how many stored something.

        What is left is for a nudge that this sends. Nothing happens while another worker holds the relay: it
        looks again before it ends. Raises NotFound and the broker's failures, after which a sweep goes on.
        """
        holder, began = secrets.token_hex(16), self.now()
        if not self._take(subscription_id, holder):
            return 0
        stored = 0
        try:
            self._make_topic(subscription_id)
            for _ in range(runs):
                step = self._step(subscription_id, holder)
                if step in ("end", "lost"):
                    return stored
                stored += step == "stored"
                if self.now() > began + BUDGET:
                    break
        finally:
            self._give_back(subscription_id, holder)
        with transaction(self.engine) as session:
            nudge(session, [subscription_id], at=self.now())
        return stored

    def _take(self, subscription_id: int, holder: str) -> bool:
        at = self.now()
        with transaction(self.engine) as session:
            relay = get_relay(session, subscription_id=subscription_id, lock=True)
            if relay.held_until_at is not None and relay.held_until_at > at:
                relay.nudges += 1
                return False
            relay.holder, relay.held_until_at, relay.nudged_at = holder, at + self.lease, None
        return True

    def _give_back(self, subscription_id: int, holder: str) -> None:
        with transaction(self.engine) as session:
            relay = get_relay(session, subscription_id=subscription_id, lock=True)
            if relay.holder == holder:
                relay.holder = relay.held_until_at = None

    def _make_topic(self, subscription_id: int) -> None:
        with reading(self.engine) as session:
            relay = get_relay(session, subscription_id=subscription_id)
            name, made = relay.name, relay.topic_made_at
            subscription = get_subscription(session, subscription_id=subscription_id)
            partitions = view_of(session, subscription, None).partitions
        if made is None:
            self.broker.create_topic(name, partitions=partitions)
            with transaction(self.engine) as session:
                get_relay(session, subscription_id=subscription_id, lock=True).topic_made_at = self.now()
                enqueue(session, RIGHTS_TASK, lasts_s=NUDGE_LASTS_S)

    def _step(self, subscription_id: int, holder: str) -> Step:
        """Settle the run that is open, else make one."""
        with reading(self.engine) as session:
            relay = get_relay(session, subscription_id=subscription_id)
            if relay.holder != holder:
                return "lost"
            run = _Run.of(session, relay)
            subscription = None if relay.ended_at else self._subscription(session, subscription_id)
            view = view_of(session, subscription, None) if subscription else None
            place = read_place(relay.content)
            batch = None
            if subscription and view and view.full:
                batch = _generation(session, subscription, run, place)
            session.expunge_all()
        if run is not None:
            return self._finish(run, view, batch, holder)
        if subscription is None or view is None:
            return "end"
        return self._run(subscription, view, batch, place, relay, holder)

    def _subscription(self, session: Session, subscription_id: int) -> Subscription | None:
        """The subscription, None if nothing may be delivered under it now."""
        found = get_subscription(session, subscription_id=subscription_id)
        try:
            return entitled(
                session, subscription_id=subscription_id, system_id=found.system_id, at=self.now()
            )
        except NotEntitled:
            return None

    def _run(
        self,
        subscription: Subscription,
        view: View,
        batch: Batch | None,
        place: Place,
        seen: Relay,
        holder: str,
    ) -> Step:
        """One run on from `place`."""
        began = self.now()
        read = read_page(self.broker, view, batch, place, limit=self.records)
        after = replace(read.after, rewinds=place.rewinds, delivery=place.delivery)
        ends = ends_generation(read, batch, place)
        if not read.records and not ends:
            reached_at = began if read.complete else None
            return self._pass_over(seen, place, after, reached_at=reached_at, holder=holder)
        marker = self.broker.new_marker(seen.name)
        with transaction(self.engine) as session:
            keep_subscription(session, subscription.id)  # before the relay, as those do who change it
            relay = get_relay(session, subscription_id=subscription.id, lock=True)
            if not self._holds(relay, holder) or relay.marker or read_place(relay.content) != place:
                return "lost"
            current = self._subscription(session, subscription.id)
            if current is None:
                return "end"
            if current.revision != subscription.revision:  # it may show something else by now
                return "on"
            delivery_id = record_delivery(session, read, view, current, actor=ACTOR, at=self.now(), way=TOPIC)
            relay.marker, relay.delivery_id = marker, delivery_id
            relay.before, relay.after = place.document(), after.document()
        run = _Run(subscription.id, seen.name, marker, delivery_id, read.digest, place, after)
        return self._store(run, _records(view, read, run, ends), holder)

    def _pass_over(
        self,
        seen: Relay,
        place: Place,
        after: Place,
        *,
        reached_at: datetime | None,
        holder: str,
    ) -> Step:
        """Nothing was shown: go on behind it. It is the end if there was no more, `reached_at` then, and
        nobody came since.
        """
        with transaction(self.engine) as session:
            relay = get_relay(session, subscription_id=seen.subscription_id, lock=True)
            if not self._holds(relay, holder) or read_place(relay.content) != place:
                return "lost"
            if after != place:
                relay.content = after.document()
            if reached_at is None or relay.nudges != seen.nudges:
                return "on"
            relay.reached_at = reached_at - CLOCKS
            relay.holder = relay.held_until_at = None
        return "end"

    def _finish(self, run: "_Run", view: View | None, batch: Batch | None, holder: str) -> Step:
        """Settle a run that another process left, or this one after a failure."""
        records: list[NewRecord] = []
        if view is not None:
            read = read_again(self.broker, view, batch, run.before, until=run.after)
            if read.digest == run.digest:
                records = _records(view, read, run, ends_generation(read, batch, run.before))
        return self._store(run, records, holder)

    def _store(self, run: "_Run", records: list[NewRecord], holder: str) -> Step:
        """Append the records under the run's marker, or learn what is there under it; then settle or drop."""
        spans = self.broker.append(run.topic, marker=run.marker, records=records)
        with transaction(self.engine) as session:
            relay = get_relay(session, subscription_id=run.subscription_id, lock=True)
            if relay.marker != run.marker:  # settled by another worker
                return "lost"
            delivery = session.get(Delivery, run.delivery_id) if run.delivery_id else None
            relay.marker = relay.delivery_id = relay.before = relay.after = None
            if spans:
                relay.content = later(read_place(relay.content), run.after).document()
                if delivery is not None:
                    delivery.outcome, delivery.at = DONE, self.now()
            elif delivery is not None:
                session.flush()  # nothing refers to it any more
                session.delete(delivery)
            if not self._holds(relay, holder):
                return "lost"
            return "stored" if spans else "on"

    def _holds(self, relay: Relay, holder: str) -> bool:
        """Whether it is still this worker's; if so, for as long again."""
        if relay.holder != holder:
            return False
        relay.held_until_at = self.now() + self.lease
        return True


@dataclass(frozen=True)
class _Run:
    """A run that is noted: what is to be in the topic under the marker. `digest` is its delivery's."""

    subscription_id: int
    topic: str
    marker: str
    delivery_id: int | None
    digest: str
    before: Place
    after: Place

    @classmethod
    def of(cls, session: Session, relay: Relay) -> "_Run | None":
        """The run that the relay has open."""
        if relay.marker is None or relay.before is None or relay.after is None:
            return None
        delivery = session.get(Delivery, relay.delivery_id) if relay.delivery_id else None
        return cls(
            subscription_id=relay.subscription_id,
            topic=relay.name,
            marker=relay.marker,
            delivery_id=relay.delivery_id,
            digest=NOTHING if delivery is None else delivery.digest,
            before=read_place(relay.before),
            after=read_place(relay.after),
        )


def _generation(session: Session, subscription: Subscription, run: _Run | None, place: Place) -> Batch | None:
    """The full batch that the open run is of, else the one to read."""
    if run is not None and run.after.generation is not None:
        return get_batch(session, batch_id=run.after.generation)
    return generation_of(session, subscription.dataset_id, place)


def _records(view: View, read: Read, run: _Run, ends: bool) -> list[NewRecord]:
    """What is appended: always the same for the same run."""
    generation = run.after.generation if view.full else None
    records = [
        topic_record(
            dataset=view.dataset,
            partition=one.partition,
            offset=one.offset,
            op=one.op,
            ref=one.ref,
            value=one.value,
            published_at=one.published_at,
            digest=one.digest,
            generation=generation,
            delivery_id=run.delivery_id,
        )
        for one in read.records
    ]
    if ends and generation is not None:
        records += ends_of_generation(view.dataset, generation, view.partitions)
    return records
