"""Abolishes bureaus, one or many together: the rows stay, their history ends, and so do roles held there."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from identity.errors import StillHolding
from identity.guard import TreeGuard, all_holdings, chunks
from identity.models import Bureau, RoleAssignment
from identity.service.history import as_recorded, closing, end
from infra import journal


def abolish_all(
    session: Session,
    *,
    bureaus: Sequence[Bureau],
    at: datetime,
    actor: str,
    guards: Sequence[TreeGuard],
    act: str = "bureau.abolish",
) -> None:
    """Abolish living bureaus, whose rows the caller has locked, together.

    Raises: StillHolding (nothing is changed then), OutOfOrder.
    """
    if not bureaus:
        return
    held = all_holdings(session, guards, bureau_ids=[bureau.id for bureau in bureaus])
    if held:
        raise StillHolding.of({bureau.code: held[bureau.id] for bureau in bureaus if bureau.id in held})
    end(session, bureaus=bureaus, at=at)
    for bureau in bureaus:
        before = as_recorded(bureau)
        bureau.abolished_at = at
        bureau.revision += 1
        journal.append(
            session,
            actor=actor,
            act=act,
            subject=f"bureau:{bureau.id}",
            bureau_id=bureau.id,
            at=at,
            before=before,
            after=as_recorded(bureau),
        )
    for ids in chunks([bureau.id for bureau in bureaus]):
        held_there = RoleAssignment.bureau_id.in_(ids) & RoleAssignment.valid_to.is_(None)
        close = update(RoleAssignment).where(held_there).values(valid_to=closing(RoleAssignment, at))
        session.execute(close)
    session.flush()
