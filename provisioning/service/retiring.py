"""Projects of bureaus that are no more: disabled in their clouds, until the bureau comes back.

Coming back is a push of the quota (fences.py).
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine, Select, func, select
from sqlalchemy.orm import Session

from identity.models import Bureau
from identity.service.tree import keep_tree_still
from infra.database import locked, reading, transaction
from infra.each import for_each
from provisioning.cloud.driver import Cloud, NotInCloud
from provisioning.models import PushedQuota, Server
from provisioning.service.fences import record_project

NOT_THERE = ("given_up", "released")


def retire_projects(engine: Engine, cloud: Cloud, *, at: datetime) -> None:
    """Retire the project of every bureau that was abolished and in whose project no server stands any more.

    Servers of a merged bureau stay in its project until they are released. What the cloud says decides what
    is left to do, so that repeating it is harmless. Raises `CloudFailure`, or ExceptionGroup if some failed.
    """
    with reading(engine) as session:
        ids = list_projects_to_retire(session, region=cloud.region)
    if not ids:
        return
    retired = {project.id for project in cloud.list_projects() if project.retired}
    for_each(ids, lambda one: _retire(engine, cloud, one, retired, at=at), what="the project of bureau {}")


def list_projects_to_retire(session: Session, *, region: str) -> Sequence[int]:
    """Ids of abolished bureaus with a project in which nothing stands."""
    stands = select(Server.id).where(
        Server.region == region,
        func.coalesce(Server.project_bureau_id, Server.bureau_id) == Bureau.id,
        Server.state.not_in(NOT_THERE),
    )
    query = (
        select(Bureau.id)
        .join(PushedQuota, PushedQuota.bureau_id == Bureau.id)
        .where(PushedQuota.region == region, PushedQuota.project.is_not(None))
        .where(Bureau.abolished_at.is_not(None), ~stands.exists())
        .order_by(Bureau.id)
    )
    return session.scalars(query).all()


def _retire(engine: Engine, cloud: Cloud, bureau_id: int, retired: set[str], *, at: datetime) -> None:
    """Written down first: a bureau that comes back, at whatever instant, finds its project to be revived."""
    with transaction(engine) as session:
        keep_tree_still(session)
        row = _lock(session, cloud.region, bureau_id)
        project = row.project
        if project is None or session.get_one(Bureau, bureau_id).abolished_at is None:
            return
        if row.retired_at is None:
            row.retired_at = at
            record_project(session, row, act="project.retire", at=at)
    if project in retired:
        return
    try:
        cloud.retire_project(project)
    except NotInCloud:
        return
    with reading(engine) as session:
        came_back = session.scalars(_row(cloud.region, bureau_id)).one().retired_at is None
    if came_back:
        cloud.revive_project(project)


def _lock(session: Session, region: str, bureau_id: int) -> PushedQuota:
    return session.scalars(locked(_row(region, bureau_id))).one()


def _row(region: str, bureau_id: int) -> Select[PushedQuota]:
    return select(PushedQuota).where(PushedQuota.region == region, PushedQuota.bureau_id == bureau_id)
