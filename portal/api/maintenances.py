"""Hosts that are taken out of service: planning, the bureaus' answers, overruling, giving the host back."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from identity.queries import get_bureau
from identity.roles import Permission
from portal.access import At, Reading, Writing
from portal.api.shapes import Cursor, In, Instant, Limit, Out, Page, api_router, id_of, page_of
from portal.maintenance_view import MaintenanceSeen, see_maintenance, show_maintenance
from portal.needs import Asker, needs
from portal.numbers import RowId
from portal.once import Once
from provisioning.models import Maintenance
from provisioning.queries import list_maintenances
from provisioning.service.maintenances import (
    answer_maintenance,
    end_maintenance,
    overrule_maintenance,
    plan_maintenance,
)

router = api_router("maintenances")
Sees = Annotated[Asker, needs(Permission.servers_see)]
Plans = Annotated[Asker, needs(Permission.maintenance_plan)]
Answers = Annotated[Asker, needs(Permission.servers_operate)]


class MaintenanceRow(Out):
    """A maintenance in a list."""

    id: int
    region: str = Field(examples=["baoding"])
    host: str = Field(examples=["compute-03"])
    live: bool = Field(description="在线迁移，否则停机迁移 · moved while they run, or else stopped")
    reason: str = Field(examples=["更换内存"])
    from_at: datetime
    until_at: datetime
    state: str = Field(examples=["draining"])
    left: int | None = Field(description="尚待迁出的云服务器数 · servers still to leave", examples=[7])


class MetOut(Out):
    """A bureau with servers on the host, and its answer; null: none yet."""

    bureau: str = Field(examples=["1306-mzj"])
    servers: list[str] = Field(examples=[["1306-mzj-s1-7-1"]])
    told_at: datetime
    answer: str | None = Field(examples=["agreed"])
    answered_by: str | None = Field(examples=["person:3"])
    answered_at: datetime | None
    reason: str


class MoveOut(Out):
    """A server that is or was moved off the host; `ended_at` null: it is on its way."""

    name: str = Field(examples=["1306-mzj-s1-7-1"])
    server_id: int | None
    cloud_id: str
    tries: int = Field(examples=[1])
    began_at: datetime
    ended_at: datetime | None
    to_host: str | None = Field(
        description="到达的主机；已结束而为空即未迁成 · where it arrived; null once over: it did not move",
        examples=["compute-05"],
    )
    fault: dict[str, Any] | None


class MaintenanceOut(MaintenanceRow):
    """A maintenance whole; bureaus see of it what meets them, and no fault."""

    fault: dict[str, Any] | None = Field(description="受阻原因（zh/en）· what stands in its way")
    overruled: str = Field(description="强制进行的理由 · why it begins although a bureau has not agreed")
    planned_by: str = Field(examples=["person:3"])
    planned_at: datetime
    looked_at: datetime | None
    ended_at: datetime | None
    bureaus: list[MetOut]
    moves: list[MoveOut]


class PlanIn(In):
    """Which host is emptied, how and when."""

    region: str = Field(max_length=64, examples=["baoding"])
    host: str = Field(max_length=255, examples=["compute-03"])
    live: bool = Field(examples=[True])
    reason: str = Field(max_length=255, examples=["更换内存"])
    from_at: Instant = Field(examples=["2030-03-02T22:00:00+08:00"])
    until_at: Instant = Field(examples=["2030-03-03T02:00:00+08:00"])


class AgreeIn(In):
    """Which bureau agrees."""

    bureau: str = Field(max_length=64, examples=["1306-mzj"])
    reason: str = Field("", max_length=2000, examples=["可在夜间停机"])


class ObjectIn(In):
    """Which bureau objects, and why."""

    bureau: str = Field(max_length=64, examples=["1306-mzj"])
    reason: str = Field(max_length=2000, examples=["正值集中申报期"])


class OverruleIn(In):
    """Why it begins although a bureau has not agreed."""

    reason: str = Field(max_length=2000, examples=["内存故障，随时可能宕机"])


@router.get("/maintenances")
def list_(
    asker: Sees,
    session: Reading,
    region: Annotated[str | None, Query(max_length=64, examples=["baoding"])] = None,
    host: Annotated[str | None, Query(max_length=255, examples=["compute-03"])] = None,
    state: Annotated[str | None, Query(max_length=16, examples=["draining"])] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[MaintenanceRow]:
    """Maintenances that the caller may see, by id: the office all, others those that meet their servers."""
    found = list_maintenances(
        session,
        region=region,
        host=host,
        bureau_ids=asker.scope(session),
        states=(state,) if state else None,
        after_id=id_of(cursor) or 0,
        limit=limit + 1,
    )
    return page_of(found, limit, shown=MaintenanceRow.model_validate, place=lambda row: row.id)


@router.post("/maintenances", status_code=201)
def plan(asker: Plans, session: Writing, at: At, once: Once, body: PlanIn) -> MaintenanceOut:
    """Have a host emptied in a window; a worker tells the bureaus whose servers are on it in a moment.

    Running servers are moved live, or each is stopped for it; the latter begins only once every bureau that
    it meets has agreed, or the office overrules them.
    """
    asker.at(session, None)

    def done() -> MaintenanceOut:
        made = plan_maintenance(session, **body.model_dump(), at=at, actor=asker.actor.journal_id)
        return _shown(show_maintenance(session, asker, made))

    return once(body, done)


@router.get("/maintenances/{maintenance_id}")
def show(asker: Sees, session: Reading, maintenance_id: RowId) -> MaintenanceOut:
    """One maintenance with the bureaus' answers and what was moved."""
    return _shown(see_maintenance(session, asker, maintenance_id))


@router.post("/maintenances/{maintenance_id}/agree")
def agree(
    asker: Answers, session: Writing, at: At, once: Once, maintenance_id: RowId, body: AgreeIn
) -> MaintenanceOut:
    """A bureau agrees that its servers are moved."""
    return _answer(asker, session, at, once, maintenance_id, body, "agreed")


@router.post("/maintenances/{maintenance_id}/object")
def object_(
    asker: Answers, session: Writing, at: At, once: Once, maintenance_id: RowId, body: ObjectIn
) -> MaintenanceOut:
    """A bureau objects, with a reason; the office is told."""
    return _answer(asker, session, at, once, maintenance_id, body, "objected")


@router.post("/maintenances/{maintenance_id}/overrule")
def overrule(
    asker: Plans, session: Writing, at: At, once: Once, maintenance_id: RowId, body: OverruleIn
) -> MaintenanceOut:
    """Have it begin although a bureau has not agreed."""

    def act() -> Maintenance:
        return overrule_maintenance(
            session,
            maintenance_id=maintenance_id,
            reason=body.reason,
            at=at,
            actor=asker.actor.journal_id,
        )

    return _by_office(asker, session, once, body, act)


@router.post("/maintenances/{maintenance_id}/end")
def end(asker: Plans, session: Writing, at: At, once: Once, maintenance_id: RowId) -> MaintenanceOut:
    """Have the host take servers again; one that has not begun is cancelled."""

    def act() -> Maintenance:
        return end_maintenance(session, maintenance_id=maintenance_id, at=at, actor=asker.actor.journal_id)

    return _by_office(asker, session, once, None, act)


def _by_office(
    asker: Asker, session: Session, once: Once, body: BaseModel | None, act: Callable[[], Maintenance]
) -> MaintenanceOut:
    asker.at(session, None)
    return once(body, lambda: _shown(show_maintenance(session, asker, act())))


def _answer(
    asker: Asker,
    session: Session,
    at: datetime,
    once: Once,
    maintenance_id: int,
    body: AgreeIn | ObjectIn,
    answer: Literal["agreed", "objected"],
) -> MaintenanceOut:
    bureau = get_bureau(session, code=body.bureau)
    asker.at(session, bureau.id)

    def done() -> MaintenanceOut:
        answered = answer_maintenance(
            session,
            maintenance_id=maintenance_id,
            bureau_id=bureau.id,
            answer=answer,
            reason=body.reason,
            at=at,
            actor=asker.actor.journal_id,
        )
        return _shown(show_maintenance(session, asker, answered))

    return once(body, done)


def _shown(seen: MaintenanceSeen) -> MaintenanceOut:
    found = seen.found
    return MaintenanceOut(
        **MaintenanceRow.model_validate(found).model_dump(),
        fault=seen.fault,
        overruled=found.overruled,
        planned_by=found.planned_by,
        planned_at=found.planned_at,
        looked_at=found.looked_at,
        ended_at=found.ended_at,
        bureaus=[
            MetOut(
                bureau=bureau.code,
                servers=met.servers,
                told_at=met.told_at,
                answer=met.answer,
                answered_by=met.answered_by,
                answered_at=met.answered_at,
                reason=met.reason,
            )
            for met, bureau in seen.met
        ],
        moves=[MoveOut.model_validate(one) for one in seen.moves],
    )
