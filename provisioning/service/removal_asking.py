"""Which findings a request may name to have removed what they are about, and whose such a request is."""

from collections.abc import Collection

from sqlalchemy.orm import Session

from identity.queries import list_tops
from provisioning.errors import RequestInvalid
from provisioning.models import Finding, Request, RequestLine
from provisioning.queries import find_adopting, find_recorded, get_finding, list_findings
from provisioning.removal import REMOVABLE, Thing

Pair = tuple[str, str]


def find_thing(session: Session, line: RequestLine) -> Thing:
    """What the line's id in the cloud is of; without a finding, a server."""
    if line.finding_id is None:
        return "server"
    return REMOVABLE[get_finding(session, line.finding_id).kind]


def owner_of(session: Session, finding: Finding) -> int:
    """The bureau whose request it is to have that removed: its owner, or the city for what is nobody's."""
    return finding.bureau_id or list_tops(session)[0].id


def removing_of(session: Session, finding_ids: Collection[int]) -> tuple[str, int]:
    """The region and the bureau of a request that names these findings, by the first of them.

    Raises NotFound, RequestInvalid for none.
    """
    if not finding_ids:
        raise RequestInvalid(why_zh="须指明核对结果", why_en="it names no finding", field="lines", line=None)
    first = get_finding(session, min(finding_ids))
    return first.region, owner_of(session, first)


def list_removable(session: Session, *, region: str, bureau_id: int) -> list[Finding]:
    """The open findings that a request of the bureau can name."""
    found = list_findings(session, region=region, kinds=REMOVABLE, limit=None)
    return [one for one in found if owner_of(session, one) == bureau_id]


def find_objection(session: Session, request: Request, finding_id: int) -> Pair | None:
    """Why the request cannot name that finding. Raises NotFound."""
    finding = get_finding(session, finding_id)
    if finding.kind not in REMOVABLE or finding.cloud_id is None:
        return (
            f"核对结果 {finding_id} 不是云上未登记的云服务器、云硬盘或公网地址",
            f"finding {finding_id} is not of an unrecorded server, volume or public address",
        )
    if finding.ended_at is not None:
        return f"核对结果 {finding_id} 已消除", f"finding {finding_id} is over"
    if finding.region != request.region or owner_of(session, finding) != request.bureau_id:
        return (
            f"核对结果 {finding_id} 属于另一区域或单位，请另行申请",
            f"finding {finding_id} is of another region or bureau; ask for it by itself",
        )
    ids = [finding.cloud_id]
    if (holder := find_recorded(session, region=request.region, cloud_ids=ids)) is not None:
        return (
            f"{finding.name} 已登记为云服务器 {holder.name} 所有",
            f"{finding.name} is recorded already as of server {holder.name}",
        )
    other = find_adopting(session, region=request.region, cloud_ids=ids, besides=request.id)
    if other is not None and request.state == "draft":
        return (
            f"{finding.name} 正由申请 {other.request_id} 接管或移除",
            f"{finding.name} is being adopted or removed by request {other.request_id}",
        )
    return None
