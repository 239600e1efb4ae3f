"""Which cases a caller may see, by the permissions on what the cases are about; approval/ filters by it."""

from sqlalchemy.orm import Session

from approval.queries import Sight
from exchange.service.standing import SUBJECT as SUBSCRIPTION
from identity.roles import Permission
from portal.needs import Asker
from provisioning.service.requests import SUBJECT as REQUEST

SEEN_WITH = {REQUEST: Permission.requests_see, SUBSCRIPTION: Permission.subscriptions_see}
"""What lets somebody see the cases about a kind of subject, at a bureau that such a case concerns."""


def sight_of(session: Session, asker: Asker) -> Sight:
    """The caller's own cases, and those of their bureaus."""
    actor = asker.actor
    return Sight(
        person_id=actor.id if actor.kind == "person" else None,
        bureaus={kind: Asker(actor, (needed,)).scope(session) for kind, needed in SEEN_WITH.items()},
    )
