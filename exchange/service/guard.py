"""What the exchange says to changes of the tree and of systems' owners (identity.guard).

A bureau with live subscriptions is not abolished, nor one whose datasets others receive: they would stop
without a word. The datasets that nobody receives end with their bureau; a merger hands all of them to the
successor. A system does not take data to another bureau that was released to the one it leaves.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange.errors import AnswersOwed, SubscriptionsHeld
from exchange.models import LIVE_STATES, Dataset, Subscription
from identity.guard import chunks
from identity.models import System
from infra.database import locked
from infra.journal import append


class SharingGuard:
    """The exchange's word (identity.guard.TreeGuard and SystemGuard)."""

    def holdings(self, session: Session, *, bureau_ids: Collection[int]) -> dict[int, list[str]]:
        """'subscriptions' of bureaus that hold live ones, 'subscribers' where anybody does to theirs."""
        held: dict[int, list[str]] = defaultdict(list)
        for some in chunks(sorted(bureau_ids)):
            live = Subscription.state.in_(LIVE_STATES)
            own = select(Subscription.bureau_id).where(Subscription.bureau_id.in_(some), live)
            theirs = (
                select(Dataset.bureau_id)
                .join(Subscription, Subscription.dataset_id == Dataset.id)
                .where(Dataset.bureau_id.in_(some), live)
            )
            for kind, query in (("subscriptions", own), ("subscribers", theirs)):
                for bureau_id in sorted(session.scalars(query.distinct())):
                    held[bureau_id].append(kind)
        return dict(held)

    def on_move(
        self,
        session: Session,
        *,
        bureau_id: int,
        old_parent_id: int | None,
        new_parent_id: int | None,
        at: datetime,
        actor: str,
    ) -> None:
        """A bureau keeps its datasets and subscriptions wherever it stands."""

    def on_merge(
        self, session: Session, *, bureau_id: int, successor_id: int, at: datetime, actor: str
    ) -> None:
        """The successor provides the bureau's datasets from now on, to those who receive them now.

        Raises `AnswersOwed`: a subscription that waits has its case before the bureau's own people.
        """
        provided = select(Dataset).where(Dataset.bureau_id == bureau_id).order_by(Dataset.id)
        datasets = session.scalars(locked(provided, key_share=True)).all()
        waiting = select(Subscription.id).join(Dataset, Dataset.id == Subscription.dataset_id)
        waiting = waiting.where(Dataset.bureau_id == bureau_id, Subscription.state == "pending")
        if ids := session.scalars(waiting.order_by(Subscription.id)).all():
            raise AnswersOwed(subscriptions=", ".join(map(str, ids)))
        for dataset in datasets:
            dataset.bureau_id = successor_id
            dataset.revision += 1
            append(
                session,
                actor=actor,
                act="dataset.handed_over",
                subject=f"dataset:{dataset.id}",
                bureau_id=successor_id,
                at=at,
                before={"bureau_id": bureau_id},
                after={"bureau_id": successor_id},
            )
        session.flush()

    def on_abolish(self, session: Session, *, bureau_ids: Collection[int], at: datetime, actor: str) -> None:
        """Nobody provides the bureaus' datasets any more: they end, and their history stays."""
        for some in chunks(sorted(bureau_ids)):
            provided = select(Dataset).where(Dataset.bureau_id.in_(some), Dataset.ended_at.is_(None))
            for dataset in session.scalars(locked(provided.order_by(Dataset.id), key_share=True)).all():
                dataset.ended_at = at
                dataset.revision += 1
                append(
                    session,
                    actor=actor,
                    act="dataset.ended",
                    subject=f"dataset:{dataset.id}",
                    bureau_id=dataset.bureau_id,
                    at=at,
                    before={"ended_at": None},
                    after={"ended_at": at.isoformat()},
                )
        session.flush()

    def system_holdings(self, session: Session, *, system_ids: Collection[int]) -> dict[int, list[str]]:
        """'subscriptions' of systems that hold live ones."""
        held: dict[int, list[str]] = {}
        for some in chunks(sorted(system_ids)):
            query = select(Subscription.system_id).where(
                Subscription.system_id.in_(some), Subscription.state.in_(LIVE_STATES)
            )
            held.update((system_id, ["subscriptions"]) for system_id in session.scalars(query.distinct()))
        return held

    def on_transfer(
        self,
        session: Session,
        *,
        system_id: int,
        old_bureau_id: int,
        new_bureau_id: int,
        at: datetime,
        actor: str,
    ) -> None:
        """Raises `SubscriptionsHeld`: the new bureau asks anew for what was released to the old one."""
        query = select(Subscription.id).where(
            Subscription.system_id == system_id, Subscription.state.in_(LIVE_STATES)
        )
        if live := session.scalars(query.order_by(Subscription.id)).all():
            code = session.get_one(System, system_id).code
            raise SubscriptionsHeld(system=code, subscriptions=", ".join(map(str, live)))
