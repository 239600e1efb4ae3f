"""Which cases a caller sees: their own, and those at bureaus where they may see or decide their subjects.

A token for certain datasets sees no case about a subscription to another.
"""

from sqlalchemy.orm import Session

from approval.queries import Sight
from exchange.queries import subscriptions_to
from exchange.service.standing import SUBJECT as SUBSCRIPTION
from identity.actor import Actor
from identity.roles import Permission as P
from identity.service.access import scope_of
from provisioning.service.requests import SUBJECT as REQUEST

SEE_CASES = {
    REQUEST: (P.requests_see, P.requests_first_review, P.requests_review, P.requests_verify),
    SUBSCRIPTION: (P.subscriptions_see, P.subscriptions_decide),
}
"""The permissions any of which shows the cases of a kind of subject."""
CASE_SEERS = tuple(permission for permissions in SEE_CASES.values() for permission in permissions)


def sight_of(session: Session, actor: Actor) -> Sight:
    """As approval's SELECTs take it."""
    bureaus: dict[str, set[int] | None] = {}
    for kind, permissions in SEE_CASES.items():
        scopes = [scope_of(session, actor, permission) for permission in permissions]
        known = [scope for scope in scopes if scope is not None]
        bureaus[kind] = set().union(*known) if len(known) == len(scopes) else None
    narrowed = {} if actor.datasets is None else {SUBSCRIPTION: subscriptions_to(actor.datasets)}
    return Sight(actor.id if actor.kind == "person" else None, bureaus, narrowed)
