"""In whose project an adopted server stands: its bureau's, another bureau's, or one that is no bureau's.

A project of nobody becomes the bureau's once all that stands in it is the bureau's and the bureau has none
yet; a quota pushed to one that others share would fence them in. Else it stays nobody's: what stands there
counts in no fence.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from identity.queries import find_bureau, get_bureau_by_id
from infra.database import serialise
from provisioning.adoption import Sighting
from provisioning.models import PushedQuota, Server
from provisioning.quota import Limits


@dataclass(frozen=True)
class Standing:
    """`bureau_id`: another bureau's project; `project`: nobody's; neither: the bureau's own."""

    bureau_id: int | None = None
    project: str | None = None


def find_standing(
    session: Session, *, region: str, bureau_id: int, seen: Sighting, together: int, at: datetime
) -> Standing:
    """Where a server of the bureau that was `seen` stands; its project is written down as the bureau's if it
    becomes so. `together` servers of that project are adopted at once.
    """
    holder = _holder(session, region, seen.project_id)
    if holder is None and seen.bureau_code:
        holder = _tagged(session, region, seen)
    if holder not in (None, bureau_id):
        return Standing(bureau_id=holder)
    serialise(session, f"siji.fence:{region}:{bureau_id}")
    row = _row(session, region, bureau_id)
    own = None if row is None else row.project
    if own == seen.project_id:
        return Standing()
    is_whole = together + _count_adopted(session, region, bureau_id, seen.project_id) >= seen.project_servers
    is_its = seen.bureau_code == get_bureau_by_id(session, bureau_id=bureau_id).code
    if own is not None or not (is_its or (is_whole and not seen.bureau_code)):
        return Standing(project=seen.project_id)
    if row is None:
        row = PushedQuota(bureau_id=bureau_id, region=region, wanted=Limits(), wanted_at=at)
        session.add(row)
    row.project, row.read_back = seen.project_id, None
    earlier = update(Server).where(Server.region == region, Server.project == seen.project_id)
    session.execute(earlier.values(project=None))
    session.flush()
    return Standing()


def find_project(session: Session, *, region: str, bureau_id: int) -> str | None:
    """The bureau's project, whatever quota it has there."""
    row = _row(session, region, bureau_id)
    return None if row is None else row.project


def _row(session: Session, region: str, bureau_id: int) -> PushedQuota | None:
    query = select(PushedQuota).where(PushedQuota.bureau_id == bureau_id, PushedQuota.region == region)
    return session.scalar(query.execution_options(populate_existing=True))


def _holder(session: Session, region: str, project: str) -> int | None:
    return session.scalar(
        select(PushedQuota.bureau_id).where(PushedQuota.region == region, PushedQuota.project == project)
    )


def _tagged(session: Session, region: str, seen: Sighting) -> int | None:
    """The living bureau whose tag the project bears, unless its project is another one by now."""
    bureau = find_bureau(session, code=seen.bureau_code)
    if bureau is None or bureau.abolished_at is not None:
        return None
    return bureau.id if find_project(session, region=region, bureau_id=bureau.id) is None else None


def _count_adopted(session: Session, region: str, bureau_id: int, project: str) -> int:
    query = select(func.count(Server.id)).where(Server.region == region, Server.project == project)
    return session.scalars(query.where(Server.bureau_id == bureau_id, Server.cloud_id.is_not(None))).one()
