"""Topics of subscriptions' own on Kafka: opened, looked at, ended; and the credential that reads them."""

from datetime import datetime
from typing import Annotated

from fastapi import Response
from pydantic import Field
from sqlalchemy.orm import Session

from exchange.queries import SubscriptionRow, get_subscription_row
from exchange.relay_models import Relay
from exchange.service.relays import end_topic, get_relay, issue_credential, open_topic
from identity.roles import Permission as P
from infra.settings import Settings
from portal.access import At, Here, Reading, Writing
from portal.api.shapes import Out, api_router
from portal.needs import Asker, needs
from portal.numbers import RowId
from portal.topics import prefix_of, view_credential, view_topic

router = api_router("topics")
Subscriber = Annotated[Asker, needs(P.subscriptions_request)]
NAME = "siji.subscription.12.3fa9b2c4"


class TopicOut(Out):
    """A subscription's own topic as it stands: filled up to `offsets` of the dataset's log, by partition."""

    topic: str = Field(examples=[NAME])
    user: str = Field(examples=[NAME])
    groups: str = Field(description="可用的消费组 · groups that may be used", examples=[f"{NAME}*"])
    bootstrap: str = Field(examples=["kafka.example.gov.cn:9093"])
    state: str = Field(examples=["filled"])
    offsets: dict[int, int] = Field(examples=[{0: 1200}])
    generation: int | None
    lag: int = Field(description="尚未写入的偏移量数 · offsets that it has not got yet", examples=[0])
    retention_days: int = Field(examples=[7])
    credential_issued_at: datetime | None
    opened_at: datetime


class CredentialOut(Out):
    """How a client signs in; it is shown this once. `ca` is what it has to trust, as PEM."""

    user: str = Field(examples=[NAME])
    password: str = Field(examples=["x8Zk…"])
    client_properties: str = Field(examples=["bootstrap.servers=kafka.example.gov.cn:9093\n…"])
    ca: str = Field(examples=["-----BEGIN CERTIFICATE-----\n…"])


@router.put("/subscriptions/{number}/topic")
def open_it(asker: Subscriber, here: Here, session: Writing, at: At, number: RowId) -> TopicOut:
    """Let the records flow into a topic of the subscription's own from now on."""
    view = _own(session, asker, number)
    prefix = prefix_of(here.settings)
    relay = open_topic(session, subscription_id=number, prefix=prefix, actor=asker.actor.journal_id, at=at)
    return _out(session, here.settings, relay, view)


@router.get("/subscriptions/{number}/topic")
def show(
    asker: Annotated[Asker, needs(P.subscriptions_see)], here: Here, session: Reading, number: RowId
) -> TopicOut:
    """How it stands; for the subscriber's people and the provider's."""
    view = get_subscription_row(session, subscription_id=number)
    asker.at(session, view.subscription.bureau_id, view.dataset.bureau_id)
    asker.covers(view.dataset.code)
    return _out(session, here.settings, get_relay(session, subscription_id=number), view)


@router.delete("/subscriptions/{number}/topic", status_code=204)
def end(asker: Subscriber, session: Writing, at: At, number: RowId) -> Response:
    """Write nothing more to it, and let nobody read it."""
    _own(session, asker, number)
    end_topic(session, subscription_id=number, actor=asker.actor.journal_id, at=at)
    return Response(status_code=204)


@router.post("/subscriptions/{number}/topic/credential")
def issue(asker: Subscriber, here: Here, session: Writing, at: At, number: RowId) -> CredentialOut:
    """A new password for the topic's user; the one before it ends."""
    _own(session, asker, number)
    password = issue_credential(session, subscription_id=number, actor=asker.actor.journal_id, at=at)
    relay = get_relay(session, subscription_id=number)
    return CredentialOut.model_validate(view_credential(here.settings, relay, password))


def _out(session: Session, settings: Settings, relay: Relay, view: SubscriptionRow) -> TopicOut:
    return TopicOut.model_validate(view_topic(session, settings, relay, view.subscription, view.dataset))


def _own(session: Session, asker: Asker, number: int) -> SubscriptionRow:
    view = get_subscription_row(session, subscription_id=number)
    asker.at(session, view.subscription.bureau_id)
    asker.covers(view.dataset.code)
    return view
