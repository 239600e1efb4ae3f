"""The first page after signing in: what waits, what the reader's bureau has, and for the office the city."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from approval.queries import list_alarms
from identity.actor import Actor
from identity.queries import count_by_level, get_bureau_by_id
from identity.roles import ROLE_NAMES, Role, bureaus_with
from identity.roles import Permission as P
from identity.service.access import may, permissions_of, scope_of
from metrics.capacity import report_capacity
from portal.access import At, Reading
from portal.inbox_view import list_own, list_unread, list_waiting
from portal.needs import Asker, page_needs
from portal.pages.bureau_head import LEVEL_NAMES
from portal.quota_view import quotas_of
from portal.render import render
from portal.sight import CASE_SEERS
from provisioning.queries import count_open_requests, list_regions
from provisioning.quota import DIMENSIONS

router = APIRouter(include_in_schema=False)
COUNTED_AT_MOST = 100
ALARMS_SHOWN = 20
SHORTCUTS: tuple[tuple[P, str, str, str], ...] = (
    (P.requests_submit, "/requests/new", "申请资源", "Ask for resources"),
    (P.requests_see, "/requests", "查看资源申请", "Requests"),
    (P.grants_set, "{bureau}/grants/{region}", "下达和调整配额", "Grant quota"),
    (P.servers_see, "{bureau}/servers", "查看云服务器", "Servers"),
)
"""Permission, path, zh, en; for those who hold it somewhere."""


@router.get("/")
def overview(request: Request, asker: Annotated[Asker, page_needs()], session: Reading, at: At) -> Response:
    """What waits, what there is, where to go."""
    actor = asker.actor
    bureau = get_bureau_by_id(session, bureau_id=actor.bureau_id or 0)
    held = permissions_of(actor)
    facts: dict[str, Any] = {
        "bureau": bureau,
        "level_names": LEVEL_NAMES,
        "counts": count_by_level(session),
        "roles": [
            (ROLE_NAMES[Role(role)], get_bureau_by_id(session, bureau_id=bureau_id))
            for role, bureau_id in actor.roles
        ],
        "waits": None if held.isdisjoint(CASE_SEERS) else _waits(session, actor, at),
        "quotas": quotas_of(session, bureau.id)
        if may(session, actor, P.grants_see, bureau_id=bureau.id)
        else [],
        "shortcuts": _shortcuts(session, actor),
        "capacity": _capacity(session) if may(session, actor, P.capacity_see, bureau_id=None) else None,
        "alarms": list_alarms(session, limit=ALARMS_SHOWN)
        if may(session, actor, P.alarms_see, bureau_id=None)
        else None,
        "sees_cases": not held.isdisjoint(CASE_SEERS),
    }
    return render(request, "overview.html", facts)


def _waits(session: Session, actor: Actor, at: datetime) -> list[tuple[str, str, str, str]]:
    """(path, count, zh, en) of what waits for the reader."""
    steps = len(list_waiting(session, actor, at=at, limit=COUNTED_AT_MOST)) + len(list_own(session, actor))
    unread = len(list_unread(session, actor, limit=COUNTED_AT_MOST))
    waits = [
        ("/inbox", _shown(steps), "待我处理", "Waiting for me"),
        ("/notices", _shown(unread), "未读通知", "Unread notices"),
    ]
    if P.requests_submit in permissions_of(actor):
        seen_at = scope_of(session, actor, P.requests_see)
        mine = count_open_requests(session, applicant_id=actor.id, bureau_ids=seen_at)
        waits.append(("/requests?mine=1&state=open", _shown(mine), "我在办的申请", "My open requests"))
    return waits


def _shown(count: int) -> str:
    return f"{COUNTED_AT_MOST - 1}+" if count >= COUNTED_AT_MOST else str(count)


def _shortcuts(session: Session, actor: Actor) -> list[tuple[str, str, str]]:
    """(path, zh, en) of what the reader does most, at the bureau at which they hold what it needs."""
    regions = list_regions(session)
    found = []
    for permission, path, zh, en in SHORTCUTS:
        held_at = sorted(bureaus_with(permission, actor.roles))
        if held_at and (regions or "{region}" not in path):
            place = get_bureau_by_id(session, bureau_id=held_at[0])
            region = regions[0].name if regions else ""
            found.append((path.format(bureau=f"/bureaus/{place.code}", region=region), zh, en))
    return found


def _capacity(session: Session) -> dict[str, list[dict[str, Any]]]:
    """By region: each dimension with its capacity, granted, used, headroom; None is unlimited."""
    report = report_capacity(session, by="region")
    rows = report.astype(object).where(report.notna(), None).to_dict("records")
    words = {one.key: one for one in DIMENSIONS}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["dimension"] in words:
            found.setdefault(row["region"], []).append(
                {str(name): value for name, value in row.items()} | {"of": words[row["dimension"]]}
            )
    return found
