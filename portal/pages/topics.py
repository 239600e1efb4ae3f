"""What a subscriber's people do with its own topic on the subscription's page."""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from exchange.queries import get_subscription
from exchange.service.relays import end_topic, get_relay, issue_credential, open_topic
from identity.roles import Permission as P
from infra.database import reading
from portal.flash import Pair, onward
from portal.form import Sent, SentForm
from portal.needs import Asker, form_needs
from portal.numbers import RowId
from portal.pages.subscriptions import show_subscription
from portal.render import render
from portal.topics import CredentialView, prefix_of, view_credential

router = APIRouter(include_in_schema=False)
Subscriber = Annotated[Asker, form_needs(P.subscriptions_request)]
Act = Literal["open", "credential", "end"]
SAID: dict[str, Pair] = {
    "open": ("专用主题已开通，请领取读取凭据", "The topic is open; now issue a credential to read it"),
    "credential": ("凭据只显示一次；未保存的请重新领取", "A credential is shown once; issue another"),
    "end": ("专用主题已停用", "The topic has ended"),
}


@router.post("/subscriptions/{subscription_id}/topic/{act}")
def change(request: Request, subscription_id: RowId, act: Act, asker: Subscriber, sent: SentForm) -> Response:
    """Open or end it, or issue a credential, which is shown this once."""
    acts = _acts(sent, asker, subscription_id)
    shown: list[CredentialView] = []

    def once(session: Session) -> str:
        asker.at(session, get_subscription(session, subscription_id=subscription_id).bureau_id)
        if credential := acts[act](session):
            shown.append(credential)
        return f"/subscriptions/{subscription_id}"

    path = sent.once(asker.actor, once)
    if path and shown:
        return render(request, "topic_credential.html", {"credential": shown[0], "back": path})
    if path:
        return onward(request, path, SAID[act])
    with reading(sent.here.engine) as session:
        return show_subscription(
            request, session, asker, subscription_id, at=sent.at, form=sent.form, acting=f"topic-{act}"
        )


def _acts(
    sent: Sent, asker: Asker, subscription_id: int
) -> dict[str, Callable[[Session], CredentialView | None]]:
    settings, actor = sent.here.settings, asker.actor.journal_id

    def open_it(session: Session) -> None:
        prefix = prefix_of(settings)
        open_topic(session, subscription_id=subscription_id, prefix=prefix, actor=actor, at=sent.at)

    def issue(session: Session) -> CredentialView:
        password = issue_credential(session, subscription_id=subscription_id, actor=actor, at=sent.at)
        return view_credential(settings, get_relay(session, subscription_id=subscription_id), password)

    def end(session: Session) -> None:
        end_topic(session, subscription_id=subscription_id, actor=actor, at=sent.at)

    return {"open": open_it, "credential": issue, "end": end}
