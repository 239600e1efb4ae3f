"""The first page after signing in."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from identity.queries import count_by_level, get_bureau_by_id
from identity.roles import ROLE_NAMES, Permission, Role
from identity.service.access import scope_of
from portal.access import Reading, Visitor
from portal.language import language_of
from portal.pages.systems import systems_within
from portal.render import render

router = APIRouter(include_in_schema=False)


@router.get("/")
def overview(request: Request, visitor: Visitor, session: Reading) -> Response:
    """How large the tree is, and what the reader is in it."""
    if visitor.must_change_password:
        return RedirectResponse("/password", 303)
    actor = visitor.actor
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
