"""Abolishes bureaus, one or many together: the rows stay, their history ends, and so do roles held there.

And what keeps a bureau from being abolished, while something is put there.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from identity.errors import BureauAbolished, StillHolding
from identity.guard import TreeGuard, all_holdings, chunks
from identity.models import Bureau, RoleAssignment
from identity.names import shown
from identity.service.history import as_recorded, closing, end
from infra import journal
from infra.clock import city_date
from infra.database import locked
from infra.errors import NotFound


def hold_bureau(session: Session, bureau_id: int) -> None:
    """Hold a living bureau until the commit: nobody abolishes it meanwhile.

    To be called before a person's row is locked, as a merger does. Raises NotFound, BureauAbolished.
    """
    query = select(Bureau).where(Bureau.id == bureau_id)
    bureau = session.scalar(locked(query, read=True, key_share=True))
    if bureau is None:
        raise NotFound(what_zh="单位", what_en="bureau", key=bureau_id)
    refuse_abolished(bureau)


def refuse_abolished(bureau: Bureau) -> None:
    """Raises BureauAbolished."""
    if bureau.abolished_at is not None:
        raise BureauAbolished(
            bureau=bureau.code,
            name=shown(bureau.name),
            abolished_at=city_date(bureau.abolished_at).isoformat(),
        )


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
    for guard in guards:
        guard.on_abolish(session, bureau_ids=[bureau.id for bureau in bureaus], at=at, actor=actor)
