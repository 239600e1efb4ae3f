"""What the provider does with subscriptions to its datasets: decide, pause, revoke, release, narrow,
prolong.
"""

from typing import Annotated

from fastapi import Response
from sqlalchemy.orm import Session

from exchange.queries import get_subscription_row
from exchange.service.entitlements import (
    narrow_subscription,
    pause_subscription,
    prolong_subscription,
    release_items,
    resume_subscription,
    revoke_subscription,
)
from exchange.service.subscriptions import decide_subscription
from identity.roles import Permission as P
from portal.access import At, Writing
from portal.api.shapes import api_router
from portal.api.subscription_shapes import (
    NarrowingIn,
    ProlongationIn,
    ReasonIn,
    ReleaseIn,
    SubscriptionDecisionIn,
    SubscriptionDetail,
    answer,
    filters_of,
    masks_of,
)
from portal.needs import Asker, needs
from portal.numbers import RowId
from portal.revisions import Seen

router = api_router("subscriptions")
Provider = Annotated[Asker, needs(P.subscriptions_decide)]


@router.post("/subscriptions/{number}/decision")
def decide(
    asker: Provider,
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
    body: SubscriptionDecisionIn,
) -> SubscriptionDetail:
    """The provider's data steward approves, refuses or returns it, with the masks that shall hold."""
    _as_provider(session, asker, number)
    changed = decide_subscription(
        session,
        subscription_id=number,
        person_id=asker.person_id,
        decision=body.decision,
        revision_seen=seen,
        reason=body.reason,
        masks=masks_of(body.masks),
        filters=filters_of(body.filters),
        at=at,
    )
    return answer(session, response, changed)


@router.post("/subscriptions/{number}/pause")
def pause(
    asker: Provider,
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
    body: ReasonIn,
) -> SubscriptionDetail:
    """The provider gives nothing until it is resumed."""
    _as_provider(session, asker, number)
    actor = asker.actor.journal_id
    changed = pause_subscription(
        session, subscription_id=number, revision_seen=seen, actor=actor, reason=body.reason, at=at
    )
    return answer(session, response, changed)


@router.post("/subscriptions/{number}/resumption")
def resume(
    asker: Provider,
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
) -> SubscriptionDetail:
    """The provider goes on with what was paused."""
    _as_provider(session, asker, number)
    actor = asker.actor.journal_id
    changed = resume_subscription(session, subscription_id=number, revision_seen=seen, actor=actor, at=at)
    return answer(session, response, changed)


@router.post("/subscriptions/{number}/revocation")
def revoke(
    asker: Provider,
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
    body: ReasonIn,
) -> SubscriptionDetail:
    """The provider ends it for good, with a reason; the next pull is refused."""
    _as_provider(session, asker, number)
    actor = asker.actor.journal_id
    changed = revoke_subscription(
        session, subscription_id=number, revision_seen=seen, actor=actor, reason=body.reason, at=at
    )
    return answer(session, response, changed)


@router.post("/subscriptions/{number}/release")
def release(
    asker: Provider,
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
    body: ReleaseIn,
) -> SubscriptionDetail:
    """The provider lets it see further items, changes masks, or says anew which records it sees."""
    _as_provider(session, asker, number)
    changed = release_items(
        session,
        subscription_id=number,
        items=body.items,
        masks=masks_of(body.masks),
        filters=None if body.filters is None else filters_of(body.filters),
        revision_seen=seen,
        actor=asker.actor.journal_id,
        at=at,
    )
    return answer(session, response, changed)


@router.post("/subscriptions/{number}/narrowing")
def narrow(
    asker: Provider,
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
    body: NarrowingIn,
) -> SubscriptionDetail:
    """The provider lets it see fewer records from now on: the filters hold beside those there are."""
    _as_provider(session, asker, number)
    changed = narrow_subscription(
        session,
        subscription_id=number,
        filters=filters_of(body.filters),
        revision_seen=seen,
        actor=asker.actor.journal_id,
        at=at,
    )
    return answer(session, response, changed)


@router.post("/subscriptions/{number}/prolongation")
def prolong(
    asker: Provider,
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    number: RowId,
    body: ProlongationIn,
) -> SubscriptionDetail:
    """The provider lets it go on until a later day, without a break."""
    _as_provider(session, asker, number)
    changed = prolong_subscription(
        session,
        subscription_id=number,
        until_on=body.until_on,
        revision_seen=seen,
        actor=asker.actor.journal_id,
        at=at,
    )
    return answer(session, response, changed)


def _as_provider(session: Session, asker: Asker, number: int) -> None:
    asker.at(session, get_subscription_row(session, subscription_id=number).dataset.bureau_id)
