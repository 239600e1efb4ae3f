"""What a subscriber's people answer to recalls, on the subscription's page."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from exchange.queries import get_subscription
from exchange.service.receivers import ANSWERS, answer_recall
from identity.roles import Permission as P
from infra.database import reading
from portal.flash import Pair, onward
from portal.form import SentForm
from portal.needs import Asker, form_needs
from portal.numbers import RowId
from portal.pages.subscriptions import show_subscription

router = APIRouter(include_in_schema=False)
SAID: Pair = ("已答复撤回", "The recall is answered")


@router.post("/subscriptions/{subscription_id}/recalls/{recall_id}")
def answer(
    request: Request,
    subscription_id: RowId,
    recall_id: RowId,
    asker: Annotated[Asker, form_needs(P.subscriptions_request)],
    sent: SentForm,
) -> Response:
    """Say that the records were deleted, or why they were not."""
    form = sent.form
    told = form.one_of("answer", ANSWERS)
    reason = form.text("reason", longest=2000, needed=told == "kept")

    def once(session: Session) -> str:
        asker.at(session, get_subscription(session, subscription_id=subscription_id).bureau_id)
        answer_recall(
            session,
            recall_id=recall_id,
            subscription_id=subscription_id,
            answer=told,
            reason=reason,
            actor=asker.actor.journal_id,
            at=sent.at,
        )
        return f"/subscriptions/{subscription_id}"

    path = None if form.is_wrong else sent.once(asker.actor, once)
    if path:
        return onward(request, path, SAID)
    with reading(sent.here.engine) as session:
        return show_subscription(
            request, session, asker, subscription_id, at=sent.at, form=form, acting=f"recall-{recall_id}"
        )
