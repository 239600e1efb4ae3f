"""A bureau with its place in the tree, its systems and the bureaus below."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from identity.queries import get_bureau, list_ancestors, list_children, list_systems, list_tops
from identity.roles import Permission
from identity.service.access import may
from portal.access import Reading
from portal.needs import Asker, page_needs
from portal.render import render

router = APIRouter(include_in_schema=False)


@router.get("/bureaus")
def top(asker: Annotated[Asker, page_needs(Permission.bureaus_see)], session: Reading) -> Response:
    """The top of the tree."""
    asker.at(session, asker.actor.bureau_id)
    tops = list_tops(session)
    return RedirectResponse(f"/bureaus/{tops[0].code}" if tops else "/", 303)


@router.get("/bureaus/{code}")
def bureau(
    request: Request, code: str, asker: Annotated[Asker, page_needs(Permission.bureaus_see)], session: Reading
) -> Response:
    """One bureau; its systems are shown to who may see them."""
    found = get_bureau(session, code=code)
    asker.at(session, found.id)
    sees_systems = may(session, asker.actor, Permission.systems_see, bureau_id=found.id)
    facts = {
        "bureau": found,
        "ancestors": list(reversed(list_ancestors(session, bureau_id=found.id))),
        "children": list_children(session, bureau_id=found.id),
        "systems": list_systems(session, bureau_id=found.id) if sees_systems else [],
    }
    return render(request, "bureau.html", facts)
