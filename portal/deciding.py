"""Who decides the case of a request, for all faces: who may decide where the step that waits is decided."""

from sqlalchemy.orm import Session

from approval.models import Case
from approval.queries import find_active_step
from identity.roles import Permission
from portal.needs import Asker

DECIDERS = (Permission.requests_review, Permission.requests_verify, Permission.requests_first_review)
"""What a route that decides needs, any of them; which step is whose is approval's to say."""


def let_decide(session: Session, asker: Asker, case: Case) -> None:
    """Let pass who may decide at the bureau of the step that waits. Raises Forbidden.

    That bureau was fixed when the case was submitted, and the one that applied may have moved since, out of
    its reach. Who may decide at the latter passes too, and is told by approval why this step is not theirs.
    """
    step = find_active_step(session, case)
    asker.at(session, case.bureau_id if step is None else step.bureau_id, case.bureau_id)
