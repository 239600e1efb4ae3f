"""Resource requests: the list, one with its lines, servers and case; submit, withdraw, confirm."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from approval.flow import allows
from approval.models import Case
from approval.queries import cases_by_id
from identity.actor import Actor
from identity.queries import find_bureaus, find_systems, list_ids_called, list_names
from identity.roles import Permission
from identity.service.access import may, permissions_of
from infra.database import reading
from portal.access import At, Reading
from portal.asking import ASKERS, who_asks
from portal.badges import CASE, LINE, REMOVAL, REQUEST, SERVER
from portal.case_view import CLOCKS, due_words, show_case
from portal.flash import Pair, onward
from portal.form import Form, Sent, SentForm
from portal.needs import Asker, form_needs, page_needs
from portal.numbers import Place, RowId
from portal.render import render
from portal.request_view import show_request
from provisioning.models import KINDS, REQUEST_STATES
from provisioning.models import Request as Asked
from provisioning.queries import get_request, list_requests
from provisioning.quota import DIMENSIONS
from provisioning.removal import THINGS
from provisioning.service import requests
from provisioning.service.confirming import may_confirm
from provisioning.wording import KINDS as KIND_NAMES

router = APIRouter(include_in_schema=False)
Sees = Annotated[Asker, page_needs(Permission.requests_see)]
Submits = Annotated[Asker, form_needs(*ASKERS)]
Confirms = Annotated[Asker, form_needs(Permission.requests_confirm)]
AT_ONCE = 50
OPEN = "open"
"""In place of a state: whatever has not ended."""
REASON_LENGTH = 2000
SUBMITTED: Pair = ("申请已提交，进入审批", "The request was submitted")
WITHDRAWN: Pair = ("申请已撤回", "The request was withdrawn")
CONFIRMED: Pair = ("已确认，资源正式生效", "Confirmed; the resources are active")


@router.get("/requests")
def list_(
    request: Request,
    asker: Sees,
    session: Reading,
    state: Annotated[str, Query(max_length=16)] = "",
    kind: Annotated[str, Query(max_length=16)] = "",
    bureau: Annotated[str, Query(max_length=255)] = "",
    mine: Annotated[str, Query(max_length=1)] = "",
    before: Place = 0,
) -> Response:
    """Those that the reader may see, newest first; `bureau` in the name or code of theirs or one above."""
    scope = asker.scope(session)
    if named := bureau.strip():
        below = list_ids_called(session, named, with_below=True)
        scope = below if scope is None else scope & below
    found = list_requests(
        session,
        bureau_ids=scope,
        applicant_id=asker.person_id if mine else None,
        state=state if state in REQUEST_STATES else None,
        kind=kind if kind in KINDS else None,
        open_only=state == OPEN,
        before_id=before or None,
        limit=AT_ONCE + 1,
    )
    shown = found[:AT_ONCE]
    facts: dict[str, Any] = {
        "requests": shown,
        "cases": cases_by_id(session, [one.case_id for one in shown if one.case_id is not None]),
        "systems": find_systems(session, {one.system_id for one in shown if one.system_id is not None}),
        "bureaus": find_bureaus(session, [one.bureau_id for one in shown]),
        "names": list_names(session, person_ids=[one.applicant_id for one in shown]),
        "badges": REQUEST,
        "kind_names": KIND_NAMES,
        "asked": {"state": state, "kind": kind, "bureau": named, "mine": mine},
        "before": before,
        "next": shown[-1].id if shown and len(found) > AT_ONCE else 0,
        "asks": Permission.requests_submit in permissions_of(asker.actor),
    }
    return render(request, "requests.html", facts)


@router.get("/requests/{request_id}")
def request_(request: Request, request_id: RowId, asker: Sees, session: Reading, at: At) -> Response:
    """One request."""
    found = get_request(session, request_id)
    asker.at(session, found.bureau_id)
    return _show(request, session, asker.actor, found, at, Form())


@router.post("/requests/{request_id}/submit")
def submit(request: Request, request_id: RowId, asker: Submits, sent: SentForm) -> Response:
    """Hand a draft in; quota that is missing is a warning, which the page shows."""

    def act(session: Session) -> None:
        requests.submit_request(session, request_id=request_id, person_id=asker.person_id, at=sent.at)

    return _act(request, sent, asker, request_id, act, SUBMITTED)


@router.post("/requests/{request_id}/withdraw")
def withdraw(request: Request, request_id: RowId, asker: Submits, sent: SentForm) -> Response:
    """Take it back until it is decided."""
    reason = sent.form.text("reason", longest=REASON_LENGTH, needed=False)

    def act(session: Session) -> None:
        requests.withdraw_request(
            session, request_id=request_id, person_id=asker.person_id, at=sent.at, reason=reason
        )

    return _act(request, sent, asker, request_id, act, WITHDRAWN)


@router.post("/requests/{request_id}/confirm")
def confirm(request: Request, request_id: RowId, asker: Confirms, sent: SentForm) -> Response:
    """The applicant, or who stands in for one who left, confirms what was built."""

    def act(session: Session) -> None:
        requests.confirm_request(session, request_id=request_id, person_id=asker.person_id, at=sent.at)

    return _act(request, sent, asker, request_id, act, CONFIRMED, let=lambda asker, _: asker)


def _act(
    request: Request,
    sent: Sent,
    asker: Asker,
    request_id: int,
    act: Callable[[Session], None],
    said: Pair,
    let: Callable[[Asker, str], Asker] = who_asks,
) -> Response:
    def done(session: Session) -> str:
        asked = get_request(session, request_id)
        let(asker, asked.kind).at(session, asked.bureau_id)
        act(session)
        return f"/requests/{request_id}"

    if not sent.form.errors and (path := sent.once(asker.actor, done)):
        return onward(request, path, said)
    with reading(sent.here.engine) as session:
        found = get_request(session, request_id)
        asker.at(session, found.bureau_id)
        return _show(request, session, asker.actor, found, sent.at, sent.form)


def _show(
    request: Request,
    session: Session,
    actor: Actor,
    found: Asked,
    at: datetime,
    form: Form,
) -> Response:
    """The page of the request; `form` is what was sent last, if anything."""
    shown = show_request(session, found)
    case = shown.case
    is_mine = found.applicant_id == actor.id
    asks = is_mine and who_asks(Asker(actor, ASKERS), found.kind).may(session, found.bureau_id)
    confirms = found.state == "confirming" and may(
        session, actor, Permission.requests_confirm, bureau_id=found.bureau_id
    )
    facts: dict[str, Any] = {
        "shown": shown,
        "asked": found,
        "case": case,
        "case_shown": show_case(session, case_id=case.id, at=at) if case else None,
        "form": form,
        "badge": REQUEST[found.state],
        "case_badge": CASE[case.outcome or case.state] if case else None,
        "server_badges": SERVER,
        "line_badges": LINE,
        "removal_badges": REMOVAL,
        "things": THINGS,
        "sees_findings": may(session, actor, Permission.findings_see, bureau_id=found.bureau_id),
        "dimensions": DIMENSIONS,
        "due_words": due_words,
        "clock_names": CLOCKS,
        "submits": asks and _allows("submit", case),
        "edits": asks and _allows("edit", case),
        "withdraws": asks and _allows("withdraw", case),
        "answers": asks and _allows("answer_supplement", case),
        "confirms": confirms and may_confirm(session, found, person_id=actor.id, at=at),
        "is_mine": is_mine,
        "tries": may(session, actor, Permission.requests_submit, bureau_id=found.bureau_id),
        "sees_servers": may(session, actor, Permission.servers_see, bureau_id=found.bureau_id),
    }
    return render(request, "request.html", facts, status=form.status)


def _allows(act: str, case: Case | None) -> bool:
    return case is not None and allows(act, case.state)
