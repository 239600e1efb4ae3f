"""Cases whose subject has changed hands go on as the new bureau's."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from approval.models import Case
from identity.guard import chunks
from infra.database import locked
from infra.journal import append


def hand_over_cases(
    session: Session, *, case_ids: Collection[int], bureau_id: int, at: datetime, actor: str
) -> None:
    """Make those of the cases that have not ended the bureau's, which then sees them; locks them by id.

    The applicant, the clocks and the steps as they were laid out stay: who was to decide still decides.
    """
    for some in chunks(sorted(case_ids)):
        query = select(Case).where(Case.id.in_(some), Case.ended_at.is_(None), Case.bureau_id != bureau_id)
        for case in session.scalars(locked(query.order_by(Case.id), key_share=True)).all():
            before, case.bureau_id = case.bureau_id, bureau_id
            append(
                session,
                actor=actor,
                act="case.handed_over",
                subject=f"case:{case.id}",
                bureau_id=bureau_id,
                at=at,
                before={"bureau_id": before},
                after={"bureau_id": bureau_id},
            )
    session.flush()
