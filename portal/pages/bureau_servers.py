"""The servers of a bureau and of those below it, by system and state."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from identity.queries import find_bureaus, find_systems, get_bureau
from identity.roles import Permission
from portal.access import Reading
from portal.badges import SERVER
from portal.needs import Asker, page_needs
from portal.numbers import Place
from portal.pages.bureau_head import head_of
from portal.render import render
from provisioning.models import SERVER_STATES
from provisioning.queries import leases_of, list_servers

router = APIRouter(include_in_schema=False)
AT_ONCE = 50
OVER = ("given_up", "released")
"""States of servers that are no more; shown when asked for only."""


@router.get("/bureaus/{code}/servers")
def servers(
    request: Request,
    code: str,
    asker: Annotated[Asker, page_needs(Permission.servers_see)],
    session: Reading,
    state: Annotated[str, Query(max_length=16)] = "",
    after: Place = 0,
) -> Response:
    """A page of them, by age."""
    bureau = get_bureau(session, code=code)
    asker.at(session, bureau.id)
    living = [one for one in SERVER_STATES if one not in OVER]
    found = list_servers(
        session,
        within=bureau.id,
        states=[state] if state in SERVER_STATES else living,
        after_id=after,
        limit=AT_ONCE + 1,
    )
    shown = found[:AT_ONCE]
    facts = {
        **head_of(session, asker.actor, bureau),
        "servers": shown,
        "systems": find_systems(session, {one.system_id for one in shown}),
        "bureaus": find_bureaus(session, [one.bureau_id for one in shown]),
        "leases": leases_of(session, [one.id for one in shown]),
        "badges": SERVER,
        "state": state,
        "after": after,
        "next": shown[-1].id if len(found) > AT_ONCE else 0,
    }
    return render(request, "bureau_servers.html", facts)
