"""Audits: a region's records against its cloud. Nothing in either is changed, and nothing is deleted.

A listing that fails leaves every finding as it was; the audit's row says why.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from approval.service import notify
from identity.actor import INSTALLATION
from identity.queries import list_tops
from identity.roles import Role
from infra import journal
from infra.database import reading, serialise, transaction
from infra.jobs import enqueue
from provisioning.cloud.driver import Cloud, CloudFailure
from provisioning.comparison import UNRECORDED, Difference, Kind, count_kinds
from provisioning.models import Audit, Finding
from provisioning.queries import get_region
from provisioning.service.audit_projects import look_at_projects
from provisioning.service.audit_servers import look_at_servers

AUDITOR = INSTALLATION.journal_id
SCOPES: Mapping[str, frozenset[Kind]] = {
    "servers": frozenset(
        kind for kind in Kind if kind.value.split("_")[0] in ("server", "volume", "address", "allocation")
    ),
    "projects": frozenset(kind for kind in Kind if kind.value.split("_")[0] in ("quota", "project")),
}
"""What is compared at a time: the first in a few long listings, the second asks for each project."""


def ask_for_audits(session: Session) -> None:
    """Have the workers audit every region in both scopes."""
    enqueue(session, "provisioning.audit_servers")
    enqueue(session, "provisioning.audit_projects")


def audit_region(engine: Engine, cloud: Cloud, *, scope: str, at: datetime) -> list[Difference] | None:
    """Compare, and bring the findings of the scope up to what is there; the differences.

    None where a later audit of the scope was written down before this one. Raises `NoSuchRegion`, and
    `CloudFailure` once that is written down.
    """
    with reading(engine) as session:
        get_region(session, cloud.region)
    look = {"servers": look_at_servers, "projects": look_at_projects}[scope]
    try:
        seen, differences = look(engine, cloud)
    except CloudFailure as failure:
        fault = {"zh": failure.message("zh"), "en": failure.message("en")}
        with transaction(engine) as session:
            audit = _lock_audit(session, cloud.region, scope)
            audit.failed_at, audit.fault = at, fault
        raise
    with transaction(engine) as session:
        audit = _lock_audit(session, cloud.region, scope)
        if audit.began_at is not None and audit.began_at > at:
            return None
        audit.began_at, audit.seen, audit.failed_at, audit.fault = at, seen, None, None
        _write_down(session, cloud.region, SCOPES[scope], differences, at=at)
    return differences


def _lock_audit(session: Session, region: str, scope: str) -> Audit:
    serialise(session, f"siji.audit:{region}:{scope}")
    found = session.get(Audit, (region, scope), populate_existing=True)
    if found is None:
        found = Audit(region=region, scope=scope, seen=0)
        session.add(found)
    return found


def _write_down(
    session: Session, region: str, kinds: Collection[Kind], differences: Iterable[Difference], *, at: datetime
) -> None:
    query = select(Finding).where(
        Finding.region == region,
        Finding.kind.in_([kind.value for kind in kinds]),
        Finding.ended_at.is_(None),
    )
    still = {(one.kind, one.subject): one for one in session.scalars(query)}
    new: dict[int, Difference] = {}
    for difference in differences:
        found = still.pop((difference.kind.value, difference.subject), None)
        if found is None:
            found = _open(session, region, difference, at=at)
            new[found.id] = difference
            continue
        if found.facts != difference.facts:
            found.acknowledged_at, found.acknowledged_by, found.reason = None, None, ""
        found.name, found.facts = difference.name, dict(difference.facts)
        found.bureau_id, found.last_seen_at = difference.bureau_id, at
    for over in still.values():
        over.ended_at = at
        _journal(session, over, "finding.end", at=at)
    if new:
        _tell_office(session, region, new, at=at)


def _open(session: Session, region: str, difference: Difference, *, at: datetime) -> Finding:
    found = Finding(
        region=region,
        kind=difference.kind.value,
        subject=difference.subject,
        name=difference.name,
        bureau_id=difference.bureau_id,
        server_id=difference.server_id,
        cloud_id=difference.cloud_id,
        facts=dict(difference.facts),
        first_seen_at=at,
        last_seen_at=at,
        reason="",
    )
    session.add(found)
    session.flush()
    _journal(session, found, "finding.open", at=at)
    return found


def _journal(session: Session, found: Finding, act: str, *, at: datetime) -> None:
    told = {"kind": found.kind, "subject": found.subject, "name": found.name, "facts": found.facts}
    journal.append(
        session,
        actor=AUDITOR,
        act=act,
        subject=f"finding:{found.id}",
        bureau_id=found.bureau_id,
        at=at,
        after=told,
    )


def _tell_office(session: Session, region: str, new: Mapping[int, Difference], *, at: datetime) -> None:
    """One notice for all that an audit found new; of what nobody was allowed to make, an alarm."""
    counts = count_kinds(new.values())
    alarm = sum(counts.get(kind.value, 0) for kind in UNRECORDED)
    first = min(new)
    for top in list_tops(session):
        notify(
            session,
            key=f"findings:{region}:{first}:{top.id}",
            code="unrecorded_found" if alarm else "findings",
            facts={"region": region, "count": len(new), "unrecorded": alarm},
            subject_kind="finding",
            subject_id=first,
            at=at,
            role=Role.operator.value,
            bureau_id=top.id,
        )
