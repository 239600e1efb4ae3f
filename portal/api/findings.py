"""What audits found different between the records and the clouds, and saying that it may stay."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field
from sqlalchemy.orm import Session

from identity.queries import find_bureaus
from identity.roles import Permission
from portal.access import At, Reading, Writing
from portal.api.shapes import Cursor, In, Limit, Out, Page, api_router, id_of, page_of
from portal.needs import Asker, needs
from portal.numbers import RowId
from portal.once import Once
from provisioning.finding_wording import tell
from provisioning.models import Finding
from provisioning.queries import get_finding, list_audits, list_findings
from provisioning.service.audits import ask_for_audits
from provisioning.service.findings import acknowledge_finding

router = api_router("findings")
Sees = Annotated[Asker, needs(Permission.findings_see)]
Settles = Annotated[Asker, needs(Permission.findings_settle)]


class FindingOut(Out):
    """One difference between the records and a cloud."""

    id: int
    region: str = Field(examples=["baoding"])
    kind: str = Field(examples=["server_unrecorded"])
    name: str = Field(examples=["test-vm"])
    bureau: str | None = Field(description="归属单位，未知为空 · its owner, null where unknown")
    server_id: int | None = Field(description="台账中的云服务器 · the recorded server")
    cloud_id: str | None
    told_zh: str
    told_en: str
    facts: dict[str, Any]
    first_seen_at: datetime
    last_seen_at: datetime
    ended_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None = Field(examples=["person:3"])
    reason: str


class AuditOut(Out):
    """The last audit of a region in one scope; with a fault, `began_at` is that of the last whole one."""

    region: str = Field(examples=["baoding"])
    scope: str = Field(examples=["servers"])
    began_at: datetime | None
    seen: int = Field(description="云上对象数 · how many things the cloud showed", examples=[524])
    failed_at: datetime | None
    fault: dict[str, Any] | None = Field(description="最近一次未完成的原因（zh/en）· why the last one failed")


class AcknowledgeIn(In):
    """Why the finding may stay as it is."""

    reason: str = Field(max_length=2000, examples=["厂商维护，已报备至 12 月 31 日"])


@router.get("/findings")
def findings(
    asker: Sees,
    session: Reading,
    region: Annotated[str | None, Query(max_length=64, examples=["baoding"])] = None,
    kind: Annotated[str | None, Query(max_length=32, examples=["server_unrecorded"])] = None,
    state: Annotated[
        Literal["open", "unacknowledged", "acknowledged", "ended"],
        Query(description="未消除（默认）、未认可、已认可、已消除 · open by default"),
    ] = "open",
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[FindingOut]:
    """Findings that the caller may see, by id; those of no known owner are the office's alone."""
    found = list_findings(
        session,
        region=region,
        bureau_ids=asker.scope(session),
        kinds=(kind,) if kind else None,
        is_open=state != "ended",
        is_acknowledged={"unacknowledged": False, "acknowledged": True}.get(state),
        after_id=id_of(cursor) or 0,
        limit=limit + 1,
    )
    shown = _shown(session, found)
    return page_of(found, limit, shown=lambda row: shown[row.id], place=lambda row: row.id)


@router.get("/findings/{finding_id}")
def show(asker: Sees, session: Reading, finding_id: RowId) -> FindingOut:
    """One finding."""
    found = get_finding(session, finding_id)
    asker.at(session, found.bureau_id)
    return _shown(session, [found])[found.id]


@router.post("/findings/{finding_id}/acknowledge")
def acknowledge(
    asker: Settles, session: Writing, at: At, once: Once, finding_id: RowId, body: AcknowledgeIn
) -> FindingOut:
    """Say that it is known and may stay; that lapses when it changes."""
    found = get_finding(session, finding_id)
    asker.at(session, found.bureau_id)

    def done() -> FindingOut:
        changed = acknowledge_finding(
            session, finding_id=found.id, reason=body.reason, at=at, actor=asker.actor.journal_id
        )
        return _shown(session, [changed])[changed.id]

    return once(body, done)


@router.get("/audits")
def audits(asker: Sees, session: Reading) -> list[AuditOut]:
    """The last audit of each region and scope."""
    return [AuditOut.model_validate(one) for one in list_audits(session)]


@router.post("/audits", status_code=202)
def audit(asker: Settles, session: Writing) -> list[AuditOut]:
    """Have every region audited; a worker does it in a moment. The answer is the audits before."""
    asker.at(session, None)
    ask_for_audits(session)
    return [AuditOut.model_validate(one) for one in list_audits(session)]


def _shown(session: Session, found: Sequence[Finding]) -> dict[int, FindingOut]:
    bureaus = find_bureaus(session, {one.bureau_id for one in found if one.bureau_id is not None})
    return {
        one.id: FindingOut(
            id=one.id,
            region=one.region,
            kind=one.kind,
            name=one.name,
            bureau=None if one.bureau_id is None else bureaus[one.bureau_id].code,
            server_id=one.server_id,
            cloud_id=one.cloud_id,
            **dict(zip(("told_zh", "told_en"), tell(one.kind, one.name, one.facts), strict=True)),
            facts=one.facts,
            first_seen_at=one.first_seen_at,
            last_seen_at=one.last_seen_at,
            ended_at=one.ended_at,
            acknowledged_at=one.acknowledged_at,
            acknowledged_by=one.acknowledged_by,
            reason=one.reason,
        )
        for one in found
    }
