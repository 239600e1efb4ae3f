"""A case: what is asked, its steps and clocks, and what the reader may do with it now."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any, cast

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from approval import service as approval
from approval.deadline import SPECIAL_PROCEDURES
from approval.errors import RoleNeeded
from approval.flow import ACCEPT, DECISIONS, Decision, allows
from approval.models import Case
from approval.queries import get_case_in_sight
from approval.wording import PROCEDURES
from identity.actor import Actor
from identity.roles import Permission as P
from identity.service.access import may
from infra.clock import city_date
from infra.database import reading
from infra.errors import NotFound
from portal.access import At, Reading
from portal.asking import ASKERS
from portal.badges import LINE, REMOVAL, REQUEST
from portal.case_view import CLOCKS, due_words, show_case, why_not
from portal.deciding import DECIDERS, let_decide
from portal.flash import Pair, onward
from portal.form import Form, Sent, SentForm
from portal.needs import Asker, form_needs, page_needs
from portal.render import render
from portal.request_view import show_request
from portal.sight import CASE_SEERS, sight_of
from provisioning.queries import get_request
from provisioning.quota import DIMENSIONS
from provisioning.removal import THINGS
from provisioning.service.requests import SUBJECT, decide_request

router = APIRouter(include_in_schema=False)
Decides = Annotated[Asker, form_needs(*DECIDERS)]
Let = Callable[[Session, Asker, Case], None]
REASON_LENGTH = 2000
REASON_NEEDED: Pair = ("不予通过、退回或要求补正，须写明理由", "To refuse or to send back needs a reason")
DECIDED: Pair = ("您的决定已记录", "Your decision was recorded")
SUSPENDED: Pair = ("特别程序已启动，期限暂停计时", "The special procedure has begun; the limits are paused")
RESUMED: Pair = ("特别程序已结束，期限恢复计时", "The special procedure has ended; the limits run on")
ANSWERED: Pair = ("补正材料已提交", "The supplement was handed in")


@router.get("/cases/{number}")
def case(
    request: Request,
    number: str,
    asker: Annotated[Asker, page_needs(*CASE_SEERS)],
    session: Reading,
    at: At,
) -> Response:
    """The case as it stands."""
    found = get_case_in_sight(session, number, sight_of(session, asker.actor))
    return _show(request, session, asker.actor, found, at, {})


@router.post("/cases/{number}/decide")
def decide(request: Request, number: str, asker: Decides, sent: SentForm) -> Response:
    """Decide the step that waits, as it was seen."""
    form = sent.form
    decision = cast(Decision, form.one_of("decision", DECISIONS))
    reason = form.text("reason", longest=REASON_LENGTH, needed=False)
    if decision in ("refuse", "return") and not reason:
        form.refuse("reason", REASON_NEEDED)

    def act(session: Session, found: Case) -> None:
        if found.subject_kind != SUBJECT:
            raise NotFound(what_zh="资源申请办件", what_en="case of a resource request", key=found.number)
        decide_request(
            session,
            request_id=found.subject_id,
            step_key=form.typed("step"),
            person_id=asker.person_id,
            decision=decision,
            revision_seen=form.whole("revision") or 0,
            at=sent.at,
            reason=reason,
        )

    return _act(request, sent, asker, number, "decide", act, DECIDED)


@router.post("/cases/{number}/suspend")
def suspend(request: Request, number: str, asker: Decides, sent: SentForm) -> Response:
    """Begin a special procedure, whose days do not count."""
    form = sent.form
    procedure = form.one_of("procedure", SPECIAL_PROCEDURES)
    first_on = form.day("first_on")
    last_on = form.day("last_on", needed=False)
    reason = form.text("reason", longest=REASON_LENGTH)

    def act(session: Session, found: Case) -> None:
        if first_on is not None:
            approval.suspend(
                session,
                case_id=found.id,
                person_id=asker.person_id,
                procedure=procedure,
                first_on=first_on,
                last_on=last_on,
                reason=reason,
                at=sent.at,
            )

    return _act(request, sent, asker, number, "suspend", act, SUSPENDED)


@router.post("/cases/{number}/resume")
def resume(request: Request, number: str, asker: Decides, sent: SentForm) -> Response:
    """End the special procedure that runs."""
    procedure = sent.form.one_of("procedure", SPECIAL_PROCEDURES)
    last_on = sent.form.day("last_on")

    def act(session: Session, found: Case) -> None:
        if last_on is not None:
            approval.resume(
                session,
                case_id=found.id,
                person_id=asker.person_id,
                procedure=procedure,
                last_on=last_on,
                at=sent.at,
            )

    return _act(request, sent, asker, number, "resume", act, RESUMED)


@router.post("/cases/{number}/answer")
def answer(
    request: Request, number: str, asker: Annotated[Asker, form_needs(*ASKERS)], sent: SentForm
) -> Response:
    """Hand in what was missing."""

    def act(session: Session, found: Case) -> None:
        approval.answer_supplement(
            session,
            case_id=found.id,
            person_id=asker.person_id,
            revision_seen=sent.form.whole("revision") or 0,
            at=sent.at,
        )

    return _act(request, sent, asker, number, "answer", act, ANSWERED, let=_let_answer)


def _let_answer(session: Session, asker: Asker, found: Case) -> None:
    asker.at(session, found.bureau_id)


def _act(
    request: Request,
    sent: Sent,
    asker: Asker,
    number: str,
    name: str,
    act: Callable[[Session, Case], None],
    said: Pair,
    *,
    let: Let = let_decide,
) -> Response:
    """Do it to the case of a request, for whom `let` lets pass, or show it again with the form that came."""

    def done(session: Session) -> str:
        found = get_case_in_sight(session, number, sight_of(session, asker.actor))
        let(session, asker, found)
        act(session, found)
        return f"/cases/{number}"

    if not sent.form.errors and (path := sent.once(asker.actor, done)):
        return onward(request, path, said)
    with reading(sent.here.engine) as session:
        found = get_case_in_sight(session, number, sight_of(session, asker.actor))
        let(session, asker, found)
        return _show(request, session, asker.actor, found, sent.at, {name: sent.form})


def _show(
    request: Request, session: Session, actor: Actor, found: Case, at: datetime, sent: dict[str, Form]
) -> Response:
    shown = show_case(session, case_id=found.id, at=at)
    case = shown.view.case
    is_request = case.subject_kind == SUBJECT
    may_decide = (
        is_request
        and shown.active is not None
        and allows("decide", case.state)
        and any(may(session, actor, one, bureau_id=shown.active.bureau.id) for one in DECIDERS)
    )
    refusal = why_not(session, case_id=case.id, person_id=actor.id, at=at) if may_decide else None
    subject = get_request(session, case.subject_id) if is_request else None
    today = city_date(at)
    facts: dict[str, Any] = {
        "shown": shown,
        "case": case,
        "item": shown.view.item,
        "subject": None if subject is None else show_request(session, subject),
        "opens": is_request and may(session, actor, P.requests_see, bureau_id=case.bureau_id),
        "request_badges": REQUEST,
        "line_badges": LINE,
        "removal_badges": REMOVAL,
        "things": THINGS,
        "sees_findings": may(session, actor, P.findings_see, bureau_id=case.bureau_id),
        "dimensions": DIMENSIONS,
        "decides": may_decide and refusal is None,
        "refusal": None if isinstance(refusal, RoleNeeded) else refusal,
        "is_acceptance": shown.active is not None and shown.active.key == ACCEPT,
        "is_mine": case.applicant_id == actor.id,
        "due_words": due_words,
        "clock_names": CLOCKS,
        "procedures": PROCEDURES,
        "running": [
            (one, _resuming(sent.get("resume"), one.kind, today))
            for one in shown.view.suspensions
            if one.last_on is None and one.kind != "supplement"
        ],
        "forms": {
            "decide": Form(),
            "suspend": Form.of(first_on=today),
            "resume": Form(),
            "answer": Form(),
        }
        | sent,
    }
    status = next((form.status for form in sent.values()), 200)
    return render(request, "case.html", facts, status=status)


def _resuming(sent: Form | None, procedure: str, today: date) -> Form:
    """The form to end one of the procedures that run: as it was sent, if it was that one's."""
    if sent is not None and sent.typed("procedure") == procedure:
        return sent
    return Form.of(last_on=today)
