"""The first page after signing in."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response

from identity.queries import count_by_level, get_bureau_by_id
from identity.roles import ROLE_NAMES, Permission, Role
from identity.service.access import scope_of
from portal.access import Reading
from portal.language import language_of
from portal.needs import Asker, page_needs
from portal.pages.systems import systems_within
from portal.render import render

router = APIRouter(include_in_schema=False)


@router.get("/")
def overview(request: Request, asker: Annotated[Asker, page_needs()], session: Reading) -> Response:
    """How large the tree is, and what the reader is in it."""
    actor = asker.actor
    column = 1 if language_of(request) == "en" else 0
    facts = {
        "bureau": get_bureau_by_id(session, bureau_id=actor.bureau_id or 0),
        "counts": count_by_level(session),
        "systems": len(systems_within(session, scope_of(session, actor, Permission.systems_see))),
        "roles": [
            (ROLE_NAMES[Role(role)][column], get_bureau_by_id(session, bureau_id=bureau_id))
            for role, bureau_id in actor.roles
        ],
    }
    return render(request, "overview.html", facts)
