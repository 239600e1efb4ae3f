"""Who confirms what was built: the applicant, and once they have left, an admin of the request's bureau."""

from datetime import datetime

from sqlalchemy.orm import Session

from approval.errors import SamePerson
from approval.flow import parse_steps
from approval.queries import deciders, get_case, holds_role, item_of
from identity.roles import Role
from provisioning.errors import NotTheApplicant
from provisioning.models import Request
from provisioning.service.telling import has_left


def check_confirms(session: Session, request: Request, *, person_id: int, at: datetime) -> None:
    """Let the person pass if they may confirm the request. Raises NotTheApplicant; SamePerson for an admin
    who decided one of its steps: whoever reviewed or verified does not confirm as well.
    """
    if person_id == request.applicant_id:
        return
    stands_in = has_left(session, request.applicant_id) and holds_role(
        session, person_id=person_id, role=Role.bureau_admin, bureau_id=request.bureau_id, at=at
    )
    if not stands_in:
        raise NotTheApplicant(request_id=request.id, act_zh="确认", act_en="confirm")
    case = get_case(session, request.case_id or 0)
    rules = {rule.key: rule for rule in parse_steps(item_of(session, case).steps)}
    for key, decided_by in deciders(session, case).items():
        if decided_by == person_id:
            part = rules[key]
            raise SamePerson(
                number=case.number,
                part_zh=part.name_zh,
                part_en=part.name_en,
                step_zh="确认交付",
                step_en="confirm",
            )


def may_confirm(session: Session, request: Request, *, person_id: int, at: datetime) -> bool:
    """Whether the person may confirm the request, for choosing what a page offers."""
    try:
        check_confirms(session, request, person_id=person_id, at=at)
    except (NotTheApplicant, SamePerson):
        return False
    return True
