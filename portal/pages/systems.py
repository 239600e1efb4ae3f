"""The information systems that the reader may see."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.models import Bureau, System
from identity.roles import Permission
from identity.service.access import scope_of
from portal.access import Reading, Visitor
from portal.render import render

router = APIRouter(include_in_schema=False)


@router.get("/systems")
def systems(request: Request, visitor: Visitor, session: Reading) -> Response:
    """All of them, with the bureau each belongs to."""
    scope = scope_of(session, visitor.actor, Permission.systems_see)
    return render(request, "systems.html", {"systems": systems_within(session, scope)})


def systems_within(session: Session, scope: set[int] | None) -> Sequence[tuple[System, Bureau]]:
    """Living systems with their owners, of the bureaus in `scope` (None: all), by code."""
    living = (
        select(System, Bureau).join(Bureau, Bureau.id == System.bureau_id).where(System.retired_at.is_(None))
    )
    found = session.execute(living.order_by(System.code)).all()
    return [(system, owner) for system, owner in found if scope is None or owner.id in scope]
