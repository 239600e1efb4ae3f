"""What the faces tell of a subscription's own topic, and of how its subscriber reads it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from exchange.models import Dataset, Subscription
from exchange.place import read_place
from exchange.relay_models import Relay
from exchange.service.relays import lag_of
from exchange.topic_records import client_properties
from infra.settings import Settings


@dataclass(frozen=True)
class TopicView:
    """A topic as it stands. `lag`: offsets that it has not got yet; `state` is one of TOPIC_STATES."""

    topic: str
    user: str
    groups: str
    bootstrap: str
    state: str
    offsets: dict[int, int]
    generation: int | None
    lag: int
    retention_days: int
    credential_issued_at: datetime | None
    opened_at: datetime


@dataclass(frozen=True)
class CredentialView:
    """What a client has to be told, once: the password is kept nowhere. `ca` is a certificate (PEM)."""

    user: str
    password: str
    client_properties: str
    ca: str


def prefix_of(settings: Settings) -> str | None:
    """What this installation's topics on Kafka begin with, None if it has none."""
    return settings.kafka_prefix if settings.exchange == "kafka" else None


def view_topic(
    session: Session, settings: Settings, relay: Relay, subscription: Subscription, dataset: Dataset
) -> TopicView:
    """The topic as it stands."""
    place = read_place(relay.content)
    return TopicView(
        topic=relay.name,
        user=relay.name,
        groups=f"{relay.name}*",
        bootstrap=_bootstrap(settings),
        state=_state(relay, subscription),
        offsets=dict(place.positions),
        generation=place.generation,
        lag=lag_of(session, relay, dataset),
        retention_days=settings.topic_retention_days,
        credential_issued_at=relay.issued_at,
        opened_at=relay.made_at,
    )


def view_credential(settings: Settings, relay: Relay, password: str) -> CredentialView:
    """The credential that was just issued."""
    ca = settings.kafka_ca_file.read_text(encoding="ascii") if settings.kafka_ca_file else ""
    told = client_properties(bootstrap=_bootstrap(settings), name=relay.name, password=password)
    return CredentialView(relay.name, password, told, ca)


def _bootstrap(settings: Settings) -> str:
    return settings.kafka_public_bootstrap or settings.kafka_bootstrap


def _state(relay: Relay, subscription: Subscription) -> str:
    if relay.ended_at is not None:
        return "ended"
    if subscription.state != "active":
        return "stopped"
    return "making" if relay.topic_made_at is None else "filled"
