"""The tree of bureaus: searching it; a bureau with its place, its quota, the bureaus below, its history."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from identity.levels import LEVELS
from identity.queries import (
    find_bureau,
    get_bureau,
    get_bureau_by_id,
    list_bureaus,
    list_names_above,
    list_systems,
    list_tops,
    list_versions,
)
from identity.roles import Permission
from identity.service.access import may
from portal.access import Reading
from portal.needs import Asker, page_needs
from portal.pages.bureau_head import LEVEL_NAMES, head_of
from portal.quota_view import quotas_of
from portal.render import render

router = APIRouter(include_in_schema=False)
Sees = Annotated[Asker, page_needs(Permission.bureaus_see)]
FOUND_AT_ONCE = 50
CHILDREN_AT_ONCE = 90
SYSTEMS_AT_ONCE = 10


@router.get("/bureaus")
def search(
    request: Request,
    asker: Sees,
    session: Reading,
    q: Annotated[str, Query(max_length=255)] = "",
    level: Annotated[str, Query(max_length=16)] = "",
    under: Annotated[str, Query(max_length=64)] = "",
    after: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Bureaus by name or code; without a question the top of the tree."""
    asker.at(session, asker.actor.bureau_id)
    tops = list_tops(session)
    if not (q or level or under) and tops:
        return RedirectResponse(f"/bureaus/{tops[0].code}", 303)
    top = find_bureau(session, code=under) if under else None
    found = list_bureaus(
        session,
        within=top.id if top else None,
        level=level if level in LEVELS else None,
        name_or_code=q.strip(),
        after_code=after,
        limit=FOUND_AT_ONCE + 1,
    )
    shown = found[:FOUND_AT_ONCE]
    facts = {
        "found": shown,
        "above": list_names_above(session, shown),
        "next": shown[-1].code if len(found) > FOUND_AT_ONCE else "",
        "asked": {"q": q, "level": level, "under": under},
        "after": after,
        "top": top,
        "level_names": LEVEL_NAMES,
    }
    return render(request, "bureaus.html", facts)


@router.get("/bureaus/{code}")
def bureau(
    request: Request,
    code: str,
    asker: Sees,
    session: Reading,
    after: Annotated[str, Query(max_length=64)] = "",
    system_after: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """One bureau; its quota and its systems are shown to who may see them."""
    found = get_bureau(session, code=code)
    asker.at(session, found.id)
    actor = asker.actor
    below = list_bureaus(session, parent_id=found.id, after_code=after, limit=CHILDREN_AT_ONCE + 1)
    children = below[:CHILDREN_AT_ONCE]
    sees_systems = may(session, actor, Permission.systems_see, bureau_id=found.id)
    its = (
        list_systems(session, bureau_id=found.id, after_code=system_after, limit=SYSTEMS_AT_ONCE + 1)
        if sees_systems
        else []
    )
    systems = its[:SYSTEMS_AT_ONCE]
    sees_quota = may(session, actor, Permission.grants_see, bureau_id=found.id)
    facts = {
        **head_of(session, actor, found),
        "children": children,
        "after": after,
        "next": children[-1].code if len(below) > CHILDREN_AT_ONCE else "",
        "systems": systems if sees_systems else None,
        "system_after": system_after,
        "next_system": systems[-1].code if len(its) > SYSTEMS_AT_ONCE else "",
        "quotas": quotas_of(session, found.id) if sees_quota else [],
        "asks": found.abolished_at is None
        and may(session, actor, Permission.requests_submit, bureau_id=found.id),
    }
    return render(request, "bureau.html", facts)


@router.get("/bureaus/{code}/history")
def history(request: Request, code: str, asker: Sees, session: Reading) -> Response:
    """What the bureau was called and where it stood."""
    found = get_bureau(session, code=code)
    asker.at(session, found.id)
    versions = list_versions(session, bureau_id=found.id)
    parents = {
        one.parent_id: get_bureau_by_id(session, bureau_id=one.parent_id)
        for one in versions
        if one.parent_id is not None
    }
    facts: dict[str, Any] = {
        **head_of(session, asker.actor, found),
        "versions": list(reversed(versions)),
        "parents": parents,
    }
    return render(request, "bureau_history.html", facts)
