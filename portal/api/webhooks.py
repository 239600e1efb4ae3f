"""Webhooks of subscriptions: where records are posted to, how it stands, and going on after it stopped."""

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated

from fastapi import Response
from pydantic import Field
from sqlalchemy.orm import Session

from exchange.models import Webhook
from exchange.queries import SubscriptionRow, get_subscription_row
from exchange.service.webhooks import (
    LONGEST_OVERLAP_HOURS,
    get_webhook,
    redrive,
    remove_webhook,
    rotate_secret,
    set_webhook,
    skip,
)
from identity.roles import Permission as P
from portal.access import At, Here, Reading, Writing
from portal.api.shapes import In, Out, api_router
from portal.api.subscription_shapes import ReasonIn
from portal.needs import Asker, needs
from portal.numbers import RowId

router = api_router("webhooks")
Subscriber = Annotated[Asker, needs(P.subscriptions_request)]


class WebhookIn(In):
    """Where records are posted to: https, or http within the networks that the installation lists."""

    url: str = Field(min_length=1, max_length=2000, examples=["https://jz.example.gov.cn/siji"])


class RotationIn(In):
    """For how long the old secret signs beside the new one."""

    overlap_hours: int = Field(default=24, ge=0, le=LONGEST_OVERLAP_HOURS, examples=[24])


class WebhookOut(Out):
    """A webhook as it stands; `message_id` and `delivery_id` are of what is on its way or stopped it."""

    url: str = Field(examples=["https://jz.example.gov.cn/siji"])
    state: str = Field(examples=["active"])
    message_id: str | None = Field(examples=["msg_2f0c…"])
    delivery_id: int | None
    attempts: int = Field(description="这条消息已失败的次数 · tries of this message that failed")
    last_status: int | None = Field(examples=[204])
    last_fault: str = Field(examples=["timeout"])
    last_tried_at: datetime | None
    next_at: datetime
    old_secret_until: datetime | None


class WebhookSetOut(WebhookOut):
    """The same; `secret` if it is a new webhook: it is shown this once."""

    secret: str | None = Field(examples=["whsec_…"])


class SecretOut(Out):
    """The new secret; it is shown this once."""

    secret: str = Field(examples=["whsec_…"])


@router.put("/subscriptions/{number}/webhook")
def set_it(
    asker: Subscriber, here: Here, session: Writing, at: At, number: RowId, body: WebhookIn
) -> WebhookSetOut:
    """Post the records from now on, or elsewhere; one that had stopped goes on."""
    _own(session, asker, number)
    hook, secret = set_webhook(
        session,
        subscription_id=number,
        url=body.url,
        networks=[ip_network(one) for one in here.settings.webhook_networks],
        actor=asker.actor.journal_id,
        at=at,
    )
    return WebhookSetOut(**_out(hook).model_dump(), secret=secret)


@router.get("/subscriptions/{number}/webhook")
def show(asker: Annotated[Asker, needs(P.subscriptions_see)], session: Reading, number: RowId) -> WebhookOut:
    """How it stands; for the subscriber's people and the provider's."""
    view = get_subscription_row(session, subscription_id=number)
    asker.at(session, view.subscription.bureau_id, view.dataset.bureau_id)
    asker.covers(view.dataset.code)
    return _out(get_webhook(session, subscription_id=number))


@router.delete("/subscriptions/{number}/webhook", status_code=204)
def remove(asker: Subscriber, session: Writing, at: At, number: RowId) -> Response:
    """Post nothing more."""
    _own(session, asker, number)
    remove_webhook(session, subscription_id=number, actor=asker.actor.journal_id, at=at)
    return Response(status_code=204)


@router.post("/subscriptions/{number}/webhook/secret")
def rotate(asker: Subscriber, session: Writing, at: At, number: RowId, body: RotationIn) -> SecretOut:
    """A new secret; for some hours messages are signed with both."""
    _own(session, asker, number)
    secret = rotate_secret(
        session,
        subscription_id=number,
        overlap_hours=body.overlap_hours,
        actor=asker.actor.journal_id,
        at=at,
    )
    return SecretOut(secret=secret)


@router.post("/subscriptions/{number}/webhook/redrive")
def try_again(asker: Subscriber, session: Writing, at: At, number: RowId) -> WebhookOut:
    """Try the message that it stopped at again, now."""
    _own(session, asker, number)
    return _out(redrive(session, subscription_id=number, actor=asker.actor.journal_id, at=at))


@router.post("/subscriptions/{number}/webhook/skip")
def pass_over(asker: Subscriber, session: Writing, at: At, number: RowId, body: ReasonIn) -> WebhookOut:
    """Go on behind the message that it stopped at, with a reason; it is never posted again."""
    _own(session, asker, number)
    actor = asker.actor.journal_id
    return _out(skip(session, subscription_id=number, reason=body.reason, actor=actor, at=at))


def _out(hook: Webhook) -> WebhookOut:
    names = [name for name in WebhookOut.model_fields if name != "old_secret_until"]
    return WebhookOut(**{name: getattr(hook, name) for name in names}, old_secret_until=hook.old_until_at)


def _own(session: Session, asker: Asker, number: int) -> SubscriptionRow:
    view = get_subscription_row(session, subscription_id=number)
    asker.at(session, view.subscription.bureau_id)
    asker.covers(view.dataset.code)
    return view
