"""One look at a region's projects and their quotas, beside what was pushed there."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from infra.database import reading, transaction
from provisioning.cloud.driver import Cloud, NotInCloud
from provisioning.cloud.observed import Project
from provisioning.comparison import Difference, Kind
from provisioning.models import PushedQuota
from provisioning.quota import DIMENSIONS, Limits
from provisioning.service.fences import distrust_fence


def look_at_projects(engine: Engine, cloud: Cloud) -> tuple[int, list[Difference]]:
    """How many projects the cloud showed, and what differs. Raises `CloudFailure`.

    A quota that somebody changed in the cloud is pushed again at the beat's next turn, and the next look
    finds it right.
    """
    with reading(engine) as session:
        rows = _pushed(session, cloud.region)
    projects = {one.id: one for one in cloud.list_projects()}
    held = {id: quota for id in projects if id in rows and (quota := _quota(cloud, id)) is not None}
    with transaction(engine) as session:
        now = _pushed(session, cloud.region)
        steady = {id: row for id, row in now.items() if id in rows and _same(rows[id], row)}
        found = [*_unrecorded(projects, now), *_amiss(steady, projects, held)]
        for one in found:
            if one.kind == Kind.quota_differs and one.bureau_id is not None:
                distrust_fence(session, region=cloud.region, bureau_id=one.bureau_id)
    return len(projects), found


def _pushed(session: Session, region: str) -> dict[str, PushedQuota]:
    query = select(PushedQuota).where(PushedQuota.region == region, PushedQuota.project.is_not(None))
    return {row.project or "": row for row in session.scalars(query.order_by(PushedQuota.bureau_id))}


def _same(before: PushedQuota, after: PushedQuota) -> bool:
    """Whether nothing was pushed meanwhile."""
    return (before.read_back, before.read_back_at) == (after.read_back, after.read_back_at)


def _quota(cloud: Cloud, project_id: str) -> Limits | None:
    try:
        return cloud.get_quota(project_id)
    except NotInCloud:  # taken away since it was listed
        return None


def _unrecorded(projects: Mapping[str, Project], rows: Mapping[str, PushedQuota]) -> list[Difference]:
    return [
        Difference(
            kind=Kind.project_unrecorded,
            subject=f"project:{one.id}",
            name=one.name,
            bureau_id=None,
            cloud_id=one.id,
            facts={"bureau_code": one.bureau_code},
        )
        for one in projects.values()
        if one.id not in rows
    ]


def _amiss(
    rows: Mapping[str, PushedQuota], projects: Mapping[str, Project], held: Mapping[str, Limits]
) -> list[Difference]:
    """Nobody misses a retired project that somebody took away."""
    found = []
    for id, row in rows.items():
        if id not in projects:
            if row.retired_at is None:
                found.append(_of(row, Kind.project_missing, id, {}))
        elif id in held and row.read_back is not None and (drift := _drift(row.read_back, held[id])):
            found.append(_of(row, Kind.quota_differs, projects[id].name, drift))
    return found


def _of(row: PushedQuota, kind: Kind, name: str, facts: Mapping[str, Any]) -> Difference:
    return Difference(
        kind=kind,
        subject=f"bureau:{row.bureau_id}",
        name=name,
        bureau_id=row.bureau_id,
        cloud_id=row.project,
        facts=facts,
    )


def _drift(kept: Limits, held: Limits) -> dict[str, Any]:
    """By dimension, what was read back when it was pushed and what the cloud holds now."""
    return {
        one.key: {"recorded": kept[one.key], "found": held[one.key]}
        for one in DIMENSIONS
        if kept[one.key] != held[one.key]
    }
