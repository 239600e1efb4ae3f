"""What people do about a finding: say that it may stay."""

from datetime import datetime

from sqlalchemy.orm import Session

from infra import journal
from provisioning.errors import FindingOver, ReasonMissing
from provisioning.models import Finding
from provisioning.queries import get_finding


def acknowledge_finding(
    session: Session, *, finding_id: int, reason: str, at: datetime, actor: str
) -> Finding:
    """Say that the finding is known and may stay as it is; that lapses when it changes.

    Raises NotFound, FindingOver, ReasonMissing.
    """
    if not reason.strip():
        raise ReasonMissing(what_zh="认可核对结果", what_en="Acknowledging a finding")
    found = get_finding(session, finding_id, lock=True)
    if found.ended_at is not None:
        raise FindingOver(finding_id=finding_id)
    if (found.acknowledged_at is not None) and found.reason == reason:
        return found
    found.acknowledged_at, found.acknowledged_by, found.reason = at, actor, reason
    journal.append(
        session,
        actor=actor,
        act="finding.acknowledge",
        subject=f"finding:{found.id}",
        bureau_id=found.bureau_id,
        at=at,
        after={"kind": found.kind, "subject": found.subject, "reason": reason},
    )
    session.flush()
    return found
