"""Who confirms what was built: the applicant, and once they have left, an admin of the request's bureau."""

from datetime import datetime

from sqlalchemy.orm import Session

from approval.errors import SamePerson
from approval.queries import get_case, holds_role
from approval.service import check_other_hand
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
    if request.case_id is None:
        return
    case = get_case(session, request.case_id)
    check_other_hand(session, case, person_id, step=("确认交付", "confirm"))


def may_confirm(session: Session, request: Request, *, person_id: int, at: datetime) -> bool:
    """Whether the person may confirm the request, for choosing what a page offers."""
    try:
        check_confirms(session, request, person_id=person_id, at=at)
    except (NotTheApplicant, SamePerson):
        return False
    return True
