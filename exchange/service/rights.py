"""The log's topics, users and rights brought to what the records say, and what somebody has to look at.

Nothing here decides: `exchange.rights` does. A pass observes first and reads the records after that, and ends
only when there is nothing left to repair: what was granted just after it had been revoked is taken back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from exchange.broker.rights import RightsKeeper
from exchange.models import Dataset, Subscription
from exchange.relay_models import Relay
from exchange.rights import (
    Credential,
    DatasetTopic,
    Difference,
    Policy,
    State,
    SubscriptionTopic,
    compare,
    desired,
)
from infra.clock import city_date
from infra.database import reading
from infra.settings import Settings

PASSES = 5


@dataclass(frozen=True)
class Outcome:
    """What was repaired, and what is left: all of it, if nothing was to be repaired."""

    repaired: tuple[Difference, ...]
    left: tuple[Difference, ...]


def policy_of(settings: Settings) -> Policy:
    """What the settings say of everybody's rights."""
    return Policy(
        prefix=settings.kafka_prefix,
        replicas=settings.kafka_replicas,
        retention_days=settings.topic_retention_days,
        byte_rate=float(settings.topic_byte_rate),
    )


def wanted_rights(engine: Engine, keeper: RightsKeeper, policy: Policy, *, at: datetime) -> State:
    """What the records and settings ask for now."""
    with reading(engine) as session:
        return desired(_datasets(session), _subscriptions(session, at), policy, keeper.fixed)


def check_rights(engine: Engine, keeper: RightsKeeper, policy: Policy, *, at: datetime) -> list[Difference]:
    """What is different from it. Raises the broker's failures."""
    return _compared(engine, keeper, policy, at)[1]


def keep_rights(engine: Engine, keeper: RightsKeeper, policy: Policy, *, at: datetime) -> Outcome:
    """Repair what is different, as far as it may be touched. Raises the broker's failures."""
    repaired: list[Difference] = []
    wanted, found = _compared(engine, keeper, policy, at)
    for _ in range(PASSES):
        todo = [one for one in found if one.is_repaired]
        if not todo:
            break
        keeper.repair(todo, wanted)
        repaired += todo
        wanted, found = _compared(engine, keeper, policy, at)
    return Outcome(tuple(repaired), tuple(found))


def _compared(
    engine: Engine, keeper: RightsKeeper, policy: Policy, at: datetime
) -> tuple[State, list[Difference]]:
    with reading(engine) as session:
        names = list(session.scalars(select(Dataset.topic))) + list(session.scalars(select(Relay.name)))
    found = keeper.observe(names)
    wanted = wanted_rights(engine, keeper, policy, at=at)
    return wanted, compare(wanted, found, prefix=policy.prefix, account=keeper.account)


def _datasets(session: Session) -> list[DatasetTopic]:
    """Of those whose topic was made: the others' are made by a job of their own."""
    query = select(Dataset.topic, Dataset.partitions).where(Dataset.topic_made_at.is_not(None))
    return [DatasetTopic(topic, partitions) for topic, partitions in session.execute(query)]


def _subscriptions(session: Session, at: datetime) -> Iterable[SubscriptionTopic]:
    query = (
        select(Relay, Subscription, Dataset.partitions)
        .join(Subscription, Subscription.id == Relay.subscription_id)
        .join(Dataset, Dataset.id == Subscription.dataset_id)
        .where(Relay.topic_made_at.is_not(None))
    )
    return [
        SubscriptionTopic(
            name=relay.name,
            partitions=partitions,
            may_read=_may_read(relay, subscription, at),
            credential=_credential(relay),
        )
        for relay, subscription, partitions in session.execute(query)
    ]


def _may_read(relay: Relay, subscription: Subscription, at: datetime) -> bool:
    entitled = subscription.state == "active" and city_date(at) <= subscription.until_on
    return entitled and relay.ended_at is None


def _credential(relay: Relay) -> Credential | None:
    if relay.issued_at is None:
        return None
    salt, salted = bytes.fromhex(relay.salt), bytes.fromhex(relay.salted_password)
    return Credential(relay.iterations, salt, salted)
