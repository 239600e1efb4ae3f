"""Acts on a case that leave its subject as it is: accept, supplements, special procedures.

Steps are decided, and cases withdrawn, through what they are about: that claims quota or opens data.
"""

from datetime import date, datetime
from typing import Annotated

from fastapi import Response
from pydantic import Field
from sqlalchemy.orm import Session

from approval.deadline import Procedure
from approval.models import Case
from approval.queries import find_active_step, get_case_in_sight
from approval.service import accept, answer_supplement, ask_supplement, resume, suspend
from identity.roles import Permission as P
from infra.clock import city_date
from portal.access import At, Writing
from portal.api.cases import CaseWhole, whole
from portal.api.shapes import In, api_router
from portal.asking import ASKERS
from portal.needs import Asker, needs
from portal.once import Once
from portal.revisions import Seen, tag
from portal.sight import sight_of

router = api_router("cases")

REASON = 2000
Accepter = Annotated[Asker, needs(P.requests_review)]
Applicant = Annotated[Asker, needs(*ASKERS, P.subscriptions_request)]
Decider = Annotated[
    Asker,
    needs(P.requests_first_review, P.requests_review, P.requests_verify, P.subscriptions_decide),
]


class Missing(In):
    """All that the applicant has to add; the law allows telling it once."""

    missing: str = Field(min_length=1, max_length=REASON, examples=["缺少等级保护定级材料"])


class NewSuspension(In):
    """A special procedure, with its last day if that is known already."""

    procedure: Procedure = Field(examples=["expert_review"])
    first_on: date = Field(examples=["2026-03-05"])
    last_on: date | None = None
    reason: str = Field(min_length=1, max_length=REASON, examples=["组织专家评审"])


class Resumption(In):
    """The procedure that ends; `last_on`, by default today, is the last day that is not counted."""

    procedure: Procedure = Field(examples=["expert_review"])
    last_on: date | None = None


@router.post("/cases/{number}/acceptance")
def accept_case(
    asker: Accepter, session: Writing, at: At, response: Response, number: str, seen: Seen
) -> CaseWhole:
    """Accept (受理) a case that was submitted; its handling begins."""
    case = _in_hand(session, asker, number)
    accept(session, case_id=case.id, person_id=asker.person_id, revision_seen=seen, at=at)
    return _shown(session, at, response, case)


@router.post("/cases/{number}/supplement")
def ask(
    asker: Accepter, session: Writing, at: At, response: Response, number: str, body: Missing, seen: Seen
) -> CaseWhole:
    """Tell the applicant (补正), once and within the item's limit, all that is missing."""
    case = _in_hand(session, asker, number)
    ask_supplement(
        session, case_id=case.id, person_id=asker.person_id, missing=body.missing, revision_seen=seen, at=at
    )
    return _shown(session, at, response, case)


@router.post("/cases/{number}/supplement/answer")
def answer(
    asker: Applicant, session: Writing, at: At, response: Response, number: str, seen: Seen
) -> CaseWhole:
    """Hand in what was missing: the case waits for acceptance again, on a new revision."""
    case = get_case_in_sight(session, number, sight_of(session, asker.actor))
    asker.at(session, case.bureau_id)
    answer_supplement(session, case_id=case.id, person_id=asker.person_id, revision_seen=seen, at=at)
    return _shown(session, at, response, case)


@router.post("/cases/{number}/suspensions", status_code=201)
def begin_procedure(
    asker: Decider, session: Writing, at: At, once: Once, number: str, body: NewSuspension
) -> CaseWhole:
    """Begin a special procedure: from its first day to its last, both included, the limits stand still."""
    case = _in_hand(session, asker, number)

    def act() -> CaseWhole:
        suspend(
            session,
            case_id=case.id,
            person_id=asker.person_id,
            procedure=body.procedure,
            first_on=body.first_on,
            last_on=body.last_on,
            reason=body.reason,
            at=at,
        )
        return whole(session, case, at)

    return once(body, act)


@router.post("/cases/{number}/resumption")
def end_procedure(
    asker: Decider, session: Writing, at: At, response: Response, number: str, body: Resumption
) -> CaseWhole:
    """End the special procedure that runs; the limits go on."""
    case = _in_hand(session, asker, number)
    resume(
        session,
        case_id=case.id,
        person_id=asker.person_id,
        procedure=body.procedure,
        last_on=body.last_on or city_date(at),
        at=at,
    )
    return _shown(session, at, response, case)


def _in_hand(session: Session, asker: Asker, number: str) -> Case:
    """The case, for who may decide at the bureau whose step waits. Raises NotFound, Forbidden."""
    case = get_case_in_sight(session, number, sight_of(session, asker.actor))
    step = find_active_step(session, case)
    asker.at(session, case.bureau_id if step is None else step.bureau_id)
    return case


def _shown(session: Session, at: datetime, response: Response, case: Case) -> CaseWhole:
    tag(response, case.revision)
    return whole(session, case, at)
