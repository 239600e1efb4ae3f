"""What people do about a host that is taken out of service: plan it, agree or object, overrule, end it."""

from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy.orm import Session

from identity.queries import get_bureau_by_id
from infra import journal
from infra.database import serialise
from infra.jobs import enqueue
from provisioning.errors import (
    MaintenanceElsewhere,
    MaintenanceInvalid,
    MaintenanceState,
    MaintenanceUnderWay,
    ReasonMissing,
)
from provisioning.models import UNDER_WAY, Maintenance, MaintenanceMeets
from provisioning.queries import get_maintenance, get_region, list_maintenances, meets_of
from provisioning.service.telling import tell_bureau_of_host, tell_office_of_host
from provisioning.wording import MAINTENANCE_STATES, state_facts

TASK = "provisioning.tend_maintenances"
LENGTH = 255
"""Of a host's name, and of the reason that the cloud keeps beside it."""
FARTHEST = timedelta(days=3653)
"""How far ahead a window may end: a year beyond is mistyped."""
CLOCKS_DIFFER_BY = timedelta(minutes=1)
"""Forms have no seconds, so that a minute that has begun is not past."""


def plan_maintenance(
    session: Session,
    *,
    region: str,
    host: str,
    live: bool,
    reason: str,
    from_at: datetime,
    until_at: datetime,
    at: datetime,
    actor: str,
) -> Maintenance:
    """Have a host emptied between two instants. Whom that meets is looked up, and told, by a worker.

    Raises NoSuchRegion, MaintenanceInvalid, MaintenanceUnderWay.
    """
    get_region(session, region)
    host, reason = host.strip(), reason.strip()
    _check(host, reason, from_at, until_at, at)
    serialise(session, f"siji.maintenance:{region}")
    for other in list_maintenances(session, region=region, host=host, states=UNDER_WAY, limit=1):
        raise MaintenanceUnderWay(region=region, host=host, maintenance_id=other.id)
    found = Maintenance(
        region=region,
        host=host,
        live=live,
        reason=reason,
        from_at=from_at,
        until_at=until_at,
        state="planned",
        planned_by=actor,
        planned_at=at,
        rounds=0,
    )
    session.add(found)
    session.flush()
    told: dict[str, Any] = {"region": region, "host": host, "live": live, "reason": reason}
    _journal(session, found, "plan", at=at, actor=actor, **told, from_at=from_at, until_at=until_at)
    enqueue(session, TASK)
    return found


def answer_maintenance(
    session: Session,
    *,
    maintenance_id: int,
    bureau_id: int,
    answer: Literal["agreed", "objected"],
    reason: str,
    at: datetime,
    actor: str,
) -> Maintenance:
    """A bureau that it meets agrees, or objects with a reason; the last answer before it begins counts.

    Raises NotFound, MaintenanceState, MaintenanceElsewhere, ReasonMissing.
    """
    reason = reason.strip()
    if answer == "objected" and not reason:
        raise ReasonMissing(what_zh="不同意维护", what_en="Objecting to a maintenance")
    found = _lock(session, maintenance_id, ("planned",), zh="答复", en="answer")
    met = _met(session, found, bureau_id)
    if (met.answer, met.reason) == (answer, reason):
        return found
    met.answer, met.reason, met.answered_by, met.answered_at = answer, reason, actor, at
    act = "agree" if answer == "agreed" else "object"
    _journal(session, found, act, at=at, actor=actor, bureau_id=bureau_id, host=found.host, reason=reason)
    if answer == "objected":
        tell_office_of_host(
            session,
            found,
            key=f"maintenance_objected:{met.id}:{at.isoformat()}",
            code="maintenance_objected",
            at=at,
            bureau=get_bureau_by_id(session, bureau_id=bureau_id).name,
            reason=reason,
        )
    session.flush()
    enqueue(session, TASK)
    return found


def overrule_maintenance(
    session: Session, *, maintenance_id: int, reason: str, at: datetime, actor: str
) -> Maintenance:
    """Have it begin although a bureau has not agreed. Raises NotFound, MaintenanceState, ReasonMissing."""
    reason = reason.strip()
    if not reason:
        raise ReasonMissing(what_zh="强制维护", what_en="Overruling bureaus")
    found = _lock(session, maintenance_id, ("planned",), zh="强制进行", en="overrule the bureaus")
    if found.overruled == reason:
        return found
    found.overruled = reason
    _journal(session, found, "overrule", at=at, actor=actor, host=found.host, reason=reason)
    session.flush()
    enqueue(session, TASK)
    return found


def end_maintenance(session: Session, *, maintenance_id: int, at: datetime, actor: str) -> Maintenance:
    """Have the host take servers again; one that has not begun is cancelled, and its bureaus are told.

    What is on its way arrives first. Ended or ending: fine. Raises NotFound.
    """
    found = get_maintenance(session, maintenance_id, lock=True)
    if found.state not in ("planned", "draining", "drained"):
        return found
    if found.state == "planned":
        found.state, found.ended_at, found.fault = "cancelled", at, None
        for met in meets_of(session, found.id):
            key = f"maintenance_cancelled:{met.id}"
            tell_bureau_of_host(
                session, found, bureau_id=met.bureau_id, key=key, code="maintenance_cancelled", at=at
            )
        _journal(session, found, "cancel", at=at, actor=actor, host=found.host)
    else:
        _journal(session, found, "end", at=at, actor=actor, host=found.host, was=found.state)
        found.state, found.fault = "ending", None
        enqueue(session, TASK)
    session.flush()
    return found


def _check(host: str, reason: str, from_at: datetime, until_at: datetime, at: datetime) -> None:
    def refuse(field: str, zh: str, en: str) -> MaintenanceInvalid:
        return MaintenanceInvalid(field=field, why_zh=zh, why_en=en)

    if not 0 < len(host) <= LENGTH:
        raise refuse("host", f"主机名须为 1–{LENGTH} 个字符", f"the host's name is not 1–{LENGTH} characters")
    if not 0 < len(reason) <= LENGTH:
        raise refuse("reason", f"原因须为 1–{LENGTH} 个字符", f"the reason is not 1–{LENGTH} characters")
    if from_at < at - CLOCKS_DIFFER_BY:
        raise refuse("from_at", "开始时间已过", "its beginning is past")
    if until_at <= from_at:
        raise refuse("until_at", "结束时间须晚于开始时间", "it does not end after its beginning")
    if until_at > at + FARTHEST:
        raise refuse("until_at", "结束时间须在十年以内", "it ends more than ten years ahead")


def _lock(session: Session, maintenance_id: int, states: tuple[str, ...], *, zh: str, en: str) -> Maintenance:
    found = get_maintenance(session, maintenance_id, lock=True)
    if found.state not in states:
        named: dict[str, Any] = {"act_zh": zh, "act_en": en, **state_facts(MAINTENANCE_STATES, found.state)}
        raise MaintenanceState(maintenance_id=found.id, **named)
    return found


def _met(session: Session, found: Maintenance, bureau_id: int) -> MaintenanceMeets:
    for met in meets_of(session, found.id):
        if met.bureau_id == bureau_id and met.servers:
            return met
    raise MaintenanceElsewhere(maintenance_id=found.id, bureau_id=bureau_id)


def _journal(
    session: Session,
    found: Maintenance,
    act: str,
    *,
    at: datetime,
    actor: str,
    bureau_id: int | None = None,
    **after: Any,
) -> None:
    subject = f"maintenance:{found.id}"
    journal.append(
        session,
        actor=actor,
        act=f"maintenance.{act}",
        subject=subject,
        bureau_id=bureau_id,
        at=at,
        after=after,
    )
