"""What a subscriber's people do with its webhook on the subscription's page."""

from collections.abc import Callable
from ipaddress import ip_network
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from exchange.queries import get_subscription
from exchange.service.webhooks import (
    LONGEST_OVERLAP_HOURS,
    redrive,
    remove_webhook,
    rotate_secret,
    set_webhook,
    skip,
)
from identity.roles import Permission as P
from infra.database import reading
from portal.flash import Pair, onward
from portal.form import Sent, SentForm
from portal.needs import Asker, form_needs
from portal.numbers import RowId
from portal.pages.subscriptions import show_subscription
from portal.render import render

router = APIRouter(include_in_schema=False)
Subscriber = Annotated[Asker, form_needs(P.subscriptions_request)]
Act = Literal["set", "rotate", "redrive", "skip", "remove"]
SAID: dict[str, Pair] = {
    "set": ("推送地址已保存", "The records are posted there from now on"),
    "rotate": ("密钥已更换", "The secret was changed"),
    "redrive": ("正在重新推送", "It is being sent again"),
    "skip": ("已跳过", "It was skipped"),
    "remove": ("已取消推送", "Nothing is posted any more"),
}


@router.post("/subscriptions/{subscription_id}/webhook/{act}")
def change(request: Request, subscription_id: RowId, act: Act, asker: Subscriber, sent: SentForm) -> Response:
    """Name it, change its secret, go on, skip or remove it; a new secret is shown this once."""
    acts = _acts(sent, asker, subscription_id)
    shown: list[str] = []

    def once(session: Session) -> str:
        asker.at(session, get_subscription(session, subscription_id=subscription_id).bureau_id)
        if secret := acts[act](session):
            shown.append(secret)
        return f"/subscriptions/{subscription_id}"

    path = sent.once(asker.actor, once)
    if path and shown:
        return render(request, "webhook_secret.html", {"secret": shown[0], "back": path})
    if path:
        return onward(request, path, SAID[act])
    with reading(sent.here.engine) as session:
        return show_subscription(
            request, session, asker, subscription_id, at=sent.at, form=sent.form, acting=f"webhook-{act}"
        )


def _acts(sent: Sent, asker: Asker, subscription_id: int) -> dict[str, Callable[[Session], str | None]]:
    """By name what may be done; what is given out is a new secret."""
    form = sent.form
    networks = [ip_network(one) for one in sent.here.settings.webhook_networks]

    def set_it(session: Session) -> str | None:
        url = form.text("url", longest=2000)
        made = set_webhook(
            session,
            subscription_id=subscription_id,
            url=url,
            networks=networks,
            actor=asker.actor.journal_id,
            at=sent.at,
        )
        return made[1]

    def rotate(session: Session) -> str | None:
        hours = form.whole("overlap_hours", most=LONGEST_OVERLAP_HOURS, needed=False) or 0
        actor = asker.actor.journal_id
        return rotate_secret(
            session, subscription_id=subscription_id, overlap_hours=hours, actor=actor, at=sent.at
        )

    def again(session: Session) -> None:
        redrive(session, subscription_id=subscription_id, actor=asker.actor.journal_id, at=sent.at)

    def pass_over(session: Session) -> None:
        reason = form.text("reason", longest=2000, needed=False)
        actor = asker.actor.journal_id
        skip(session, subscription_id=subscription_id, reason=reason, actor=actor, at=sent.at)

    def remove(session: Session) -> None:
        remove_webhook(session, subscription_id=subscription_id, actor=asker.actor.journal_id, at=sent.at)

    return {"set": set_it, "rotate": rotate, "redrive": again, "skip": pass_over, "remove": remove}
