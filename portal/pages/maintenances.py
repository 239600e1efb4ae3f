"""Hosts that are taken out of service: the list, planning one; one of them, answers, overruling, its end."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from identity.queries import get_bureau
from identity.roles import Permission as P
from identity.service.access import may
from infra.database import reading
from portal.access import Reading
from portal.badges import MAINTENANCE
from portal.flash import onward
from portal.form import Form, SentForm
from portal.maintenance_view import see_maintenance
from portal.needs import Asker, form_needs, page_needs
from portal.numbers import Place, RowId
from portal.render import render
from provisioning.models import UNDER_WAY, Maintenance
from provisioning.queries import list_maintenances, list_regions
from provisioning.service.maintenances import (
    LENGTH,
    answer_maintenance,
    end_maintenance,
    overrule_maintenance,
    plan_maintenance,
)
from provisioning.wording import ANSWERS, MAINTENANCE_STATES

router = APIRouter(include_in_schema=False)
Sees = Annotated[Asker, page_needs(P.servers_see)]
Plans = Annotated[Asker, form_needs(P.maintenance_plan)]
Answers = Annotated[Asker, form_needs(P.servers_operate)]
AT_ONCE = 100
REASON_LENGTH = 2000
HOWS = ("live", "cold")
ENDABLE = ("planned", "draining", "drained")


@router.get("/maintenances")
def maintenances(
    request: Request,
    asker: Sees,
    session: Reading,
    state: Annotated[str, Query(max_length=16)] = "under_way",
    after: Place = 0,
) -> Response:
    """Those that the reader may see, and for the office the form of a new one."""
    return _show_list(request, session, asker, Form(), state=state, after=after)


@router.post("/maintenances")
def plan(request: Request, asker: Plans, sent: SentForm) -> Response:
    """Have a host emptied in a window."""
    form = sent.form
    wanted: dict[str, Any] = {
        "region": form.text("region", longest=64),
        "host": form.text("host", longest=LENGTH),
        "live": form.one_of("how", HOWS) == "live",
        "reason": form.text("reason", longest=LENGTH),
        "from_at": form.instant("from_at"),
        "until_at": form.instant("until_at"),
    }

    def act(session: Session) -> str:
        asker.at(session, None)
        made = plan_maintenance(session, **wanted, at=sent.at, actor=asker.actor.journal_id)
        return f"/maintenances/{made.id}"

    if not form.errors and (path := sent.once(asker.actor, act)):
        said = ("维护已计划，正在通知所涉单位", "It is planned; the bureaus that it meets are being told")
        return onward(request, path, said)
    with reading(sent.here.engine) as session:
        asker.at(session, None)
        seer = Asker(asker.actor, (P.servers_see,))
        return _show_list(request, session, seer, form, state="under_way", after=0)


@router.get("/maintenances/{maintenance_id}")
def maintenance(request: Request, maintenance_id: RowId, asker: Sees, session: Reading) -> Response:
    """One of them."""
    return _show(request, session, asker, maintenance_id, Form())


@router.post("/maintenances/{maintenance_id}/answer")
def answer(request: Request, maintenance_id: RowId, asker: Answers, sent: SentForm) -> Response:
    """A bureau agrees or objects."""
    form = sent.form
    code = form.text("bureau", longest=64)
    given = form.one_of("answer", tuple(ANSWERS))
    reason = form.text("reason", longest=REASON_LENGTH, needed=given == "objected")

    def act(session: Session) -> Maintenance:
        bureau = get_bureau(session, code=code)
        asker.at(session, bureau.id)
        return answer_maintenance(
            session,
            maintenance_id=maintenance_id,
            bureau_id=bureau.id,
            answer="agreed" if given == "agreed" else "objected",
            reason=reason,
            at=sent.at,
            actor=asker.actor.journal_id,
        )

    return _act(request, sent, asker, maintenance_id, act, ("已答复", "The answer is noted"))


@router.post("/maintenances/{maintenance_id}/overrule")
def overrule(request: Request, maintenance_id: RowId, asker: Plans, sent: SentForm) -> Response:
    """Have it begin although a bureau has not agreed."""
    reason = sent.form.text("reason", longest=REASON_LENGTH)

    def act(session: Session) -> Maintenance:
        asker.at(session, None)
        return overrule_maintenance(
            session, maintenance_id=maintenance_id, reason=reason, at=sent.at, actor=asker.actor.journal_id
        )

    said = ("将按时段强制进行", "It goes on in its window without their consent")
    return _act(request, sent, asker, maintenance_id, act, said)


@router.post("/maintenances/{maintenance_id}/end")
def end(request: Request, maintenance_id: RowId, asker: Plans, sent: SentForm) -> Response:
    """Have the host take servers again."""

    def act(session: Session) -> Maintenance:
        asker.at(session, None)
        return end_maintenance(
            session, maintenance_id=maintenance_id, at=sent.at, actor=asker.actor.journal_id
        )

    said = ("已安排恢复该主机", "The host is being given back")
    return _act(request, sent, asker, maintenance_id, act, said)


def _act(
    request: Request,
    sent: SentForm,
    asker: Asker,
    maintenance_id: int,
    act: Callable[[Session], Maintenance],
    said: tuple[str, str],
) -> Response:
    path = f"/maintenances/{maintenance_id}"

    def done(session: Session) -> str:
        act(session)
        return path

    if not sent.form.errors and sent.once(asker.actor, done):
        return onward(request, path, said)
    with reading(sent.here.engine) as session:
        return _show(request, session, Asker(asker.actor, (P.servers_see,)), maintenance_id, sent.form)


def _show_list(
    request: Request, session: Session, asker: Asker, form: Form, *, state: str, after: int
) -> Response:
    state = state if state in MAINTENANCE_STATES else "under_way"
    found = list_maintenances(
        session,
        bureau_ids=asker.scope(session),
        states=UNDER_WAY if state == "under_way" else (state,),
        after_id=after,
        limit=AT_ONCE + 1,
    )
    facts: dict[str, Any] = {
        "rows": [(one, MAINTENANCE[one.state]) for one in found[:AT_ONCE]],
        "states": {"under_way": ("未结束", "under way"), **MAINTENANCE_STATES},
        "pairs": [(one.name, one.name) for one in list_regions(session)],
        "plans": may(session, asker.actor, P.maintenance_plan, bureau_id=None),
        "state": state,
        "after": after,
        "next": found[AT_ONCE - 1].id if len(found) > AT_ONCE else 0,
        "form": form,
    }
    return render(request, "maintenances.html", facts, status=form.status)


def _show(request: Request, session: Session, asker: Asker, maintenance_id: int, form: Form) -> Response:
    seen = see_maintenance(session, asker, maintenance_id)
    found = seen.found

    def answers_for(bureau_id: int) -> bool:
        return found.state == "planned" and may(session, asker.actor, P.servers_operate, bureau_id=bureau_id)

    plans = may(session, asker.actor, P.maintenance_plan, bureau_id=None)
    facts: dict[str, Any] = {
        "found": found,
        "seen": seen,
        "badge": MAINTENANCE[found.state],
        "answers": ANSWERS,
        "asked": [bureau for met, bureau in seen.met if met.servers and answers_for(bureau.id)],
        "overrules": plans and found.state == "planned" and not found.live,
        "ends": plans and found.state in ENDABLE,
        "form": form,
    }
    return render(request, "maintenance.html", facts, status=form.status)
