"""Things in a cloud that are in no record, findings of them, and requests to have them removed."""

from datetime import timedelta

from sqlalchemy import select

from infra.database import reading
from provisioning.models import Finding, Removal
from provisioning.queries import list_due_removals
from provisioning.service.asking import LineAsked
from provisioning.service.audits import audit_region
from provisioning.service.looking import look_at_request
from provisioning.service.removals import remove
from tests.yard import Yard


def audit(yard: Yard) -> dict[str, int]:
    """Open findings by the ids in the cloud of what they are about."""
    audit_region(yard.engine, yard.cloud, scope="servers", at=yard.at)
    with reading(yard.engine) as session:
        found = session.scalars(select(Finding).where(Finding.ended_at.is_(None)))
        return {one.cloud_id or "": one.id for one in found}


def removal(yard: Yard, *cloud_ids: str) -> int:
    """A draft to have these removed, which somebody looked at."""
    findings = audit(yard)
    with reading(yard.engine) as session:
        owner = session.get_one(Finding, findings[cloud_ids[0]]).bureau_id
    lines = [LineAsked(finding_id=findings[one]) for one in cloud_ids]
    request_id = yard.draft(
        *lines, kind="removal", system_id=None, bureau_id=owner or yard.hall.city, end_on=None
    )
    look_at_request(yard.engine, yard.cloud, request_id=request_id, at=yard.at)
    return request_id


def ask_removal(yard: Yard, *cloud_ids: str) -> int:
    """The same, verified."""
    request_id = removal(yard, *cloud_ids)
    yard.submit(request_id)
    yard.approve(request_id)
    return request_id


def work_removals(yard: Yard, rounds: int = 40) -> None:
    """Visit whatever is due, while time passes, until nothing is left to visit."""
    for _ in range(rounds):
        with reading(yard.engine) as session:
            due = list_due_removals(session, at=yard.at, limit=1000)
            left = list_due_removals(session, at=yard.at + timedelta(days=3650), limit=1)
        if not left:
            return
        for removal_id in due:
            remove(yard.engine, yard.cloud, removal_id=removal_id, now=lambda: yard.at)
        yard.later(seconds=31)


def removals(yard: Yard) -> list[Removal]:
    """All of them, in order."""
    with reading(yard.engine) as session:
        return list(session.scalars(select(Removal).order_by(Removal.id)))


def states(yard: Yard) -> list[str]:
    """Theirs."""
    return [one.state for one in removals(yard)]
