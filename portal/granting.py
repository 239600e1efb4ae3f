"""Who grants to a bureau, for all faces: its parent's people, and to a top of the tree the city's office."""

from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.models import Bureau
from identity.roles import Permission
from identity.service.access import may
from portal.needs import Asker

GRANTING = (Permission.grants_set, Permission.capacity_set)
"""What a route that grants needs: the first at the parent, or the second for a top."""


def let_grant(session: Session, asker: Asker, bureau: Bureau) -> None:
    """Let pass who may grant to the bureau. Raises Forbidden."""
    permission, place = _needed(bureau)
    asker.only(permission).at(session, place)


def may_grant(session: Session, actor: Actor, bureau: Bureau) -> bool:
    """Whether `let_grant` would let pass."""
    permission, place = _needed(bureau)
    return may(session, actor, permission, bureau_id=place)


def _needed(bureau: Bureau) -> tuple[Permission, int | None]:
    """What is needed, and where. The limit of a top is the city's, which its own people do not set."""
    if bureau.parent_id is None:
        return Permission.capacity_set, None
    return Permission.grants_set, bureau.parent_id
