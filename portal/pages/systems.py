"""The information systems that the reader may see."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.models import Bureau, System
from identity.roles import Permission
from portal.access import Reading
from portal.needs import Asker, page_needs
from portal.render import render

router = APIRouter(include_in_schema=False)


@router.get("/systems")
def systems(
    request: Request, asker: Annotated[Asker, page_needs(Permission.systems_see)], session: Reading
) -> Response:
    """All of them, with the bureau each belongs to."""
    return render(request, "systems.html", {"systems": systems_within(session, asker.scope(session))})


def systems_within(session: Session, scope: set[int] | None) -> Sequence[tuple[System, Bureau]]:
    """Living systems with their owners, of the bureaus in `scope` (None: all), by code."""
    living = (
        select(System, Bureau).join(Bureau, Bureau.id == System.bureau_id).where(System.retired_at.is_(None))
    )
    found = session.execute(living.order_by(System.code)).all()
    return [(system, owner) for system, owner in found if scope is None or owner.id in scope]
