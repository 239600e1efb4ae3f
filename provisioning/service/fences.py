"""The second fence: a bureau's project in the cloud and its quota there, pushed and read back.

A server stays in the project it was built in when its system changes hands. Such guests are let in on top of
the bureau's own quota, else they would take the room of its own servers.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from identity.models import Bureau
from identity.queries import get_bureau_by_id
from infra.database import reading, serialise, transaction
from provisioning.cloud.driver import Cloud, NotInCloud
from provisioning.models import Allocation, PushedQuota, QuotaAccount, Server
from provisioning.queries import keys_held_by
from provisioning.quota import Limits, Resources
from provisioning.service.accounts import effective_limit, find_account

DESCRIPTION_LENGTH = 255


def find_fenced_project(session: Session, *, region: str, bureau_id: int) -> str | None:
    """The bureau's project if the quota that was read back there is what it should be now."""
    row = _find(session, region, bureau_id)
    if row is None or row.project is None:
        return None
    wanted = _wanted(session, region, bureau_id)
    return row.project if row.wanted == wanted and row.read_back == _in_cloud(wanted) else None


def push_quota(engine: Engine, cloud: Cloud, *, bureau_id: int, at: datetime) -> str:
    """Make the bureau's project if missing, write its quota there and keep what was read back; its id.

    Repeating it is harmless. A project once made stays the bureau's when its code changes; one that the cloud
    has lost is made anew. Raises `CloudFailure`.
    """
    with reading(engine) as session:
        bureau = get_bureau_by_id(session, bureau_id=bureau_id)
        wanted = _wanted(session, cloud.region, bureau_id)
        row = _find(session, cloud.region, bureau_id)
        project = None if row is None else row.project
        code, name = bureau.code, bureau.name[:DESCRIPTION_LENGTH]

    def make() -> str:
        return cloud.ensure_project(bureau_code=code, name=f"siji-{bureau_id}", description=name)

    project = project or make()
    try:
        read_back = cloud.set_quota(project, wanted)
    except NotInCloud:
        project = make()
        read_back = cloud.set_quota(project, wanted)
    with transaction(engine) as session:
        serialise(session, f"siji.fence:{cloud.region}:{bureau_id}")
        row = _find(session, cloud.region, bureau_id)
        if row is None:
            row = PushedQuota(bureau_id=bureau_id, region=cloud.region)
            session.add(row)
        row.project, row.wanted, row.wanted_at = project, wanted, at
        row.read_back, row.read_back_at = read_back, at
    return project


def distrust_fence(session: Session, *, region: str, bureau_id: int) -> None:
    """Have the quota pushed again before the next creation: the cloud holds another one."""
    row = _find(session, region, bureau_id)
    if row is not None:
        row.read_back = None


def list_stale_fences(session: Session, *, region: str) -> Sequence[int]:
    """Ids of bureaus with a project whose quota there is not what it should be now."""
    query = (
        select(PushedQuota, QuotaAccount)
        .join(Bureau, Bureau.id == PushedQuota.bureau_id)
        .join(
            QuotaAccount,
            (QuotaAccount.bureau_id == PushedQuota.bureau_id) & (QuotaAccount.region == PushedQuota.region),
        )
        .where(PushedQuota.region == region)
        .order_by(PushedQuota.bureau_id)
    )
    guests = _guests(session, region)
    return [
        row.bureau_id
        for row, account in session.execute(query)
        if row.read_back != _in_cloud(effective_limit(account) + Limits.exactly(guests[row.bureau_id]))
    ]


def _find(session: Session, region: str, bureau_id: int) -> PushedQuota | None:
    return session.scalar(
        select(PushedQuota).where(PushedQuota.bureau_id == bureau_id, PushedQuota.region == region)
    )


def _wanted(session: Session, region: str, bureau_id: int) -> Limits:
    account = find_account(session, region=region, bureau_id=bureau_id)
    own = Limits() if account is None else effective_limit(account)
    return own + Limits.exactly(_guests(session, region, bureau_id)[bureau_id])


def _guests(session: Session, region: str, bureau_id: int | None = None) -> Mapping[int, Resources]:
    """What other bureaus' servers hold in a bureau's project (None: in each one's), volumes included."""
    stands_in = Server.project_bureau_id
    there = stands_in.is_not(None) if bureau_id is None else stands_in == bureau_id
    keys = keys_held_by(there, stands_in.label("host"))
    held = select(keys.c.host, Allocation.amounts).join(Allocation, Allocation.key == keys.c.key)
    guests: dict[int, Resources] = defaultdict(Resources)
    for host, amounts in session.execute(
        held.where(Allocation.region == region, Allocation.valid_to.is_(None))
    ):
        guests[host] += amounts
    return guests


def _in_cloud(wanted: Limits) -> Limits:
    """How the cloud reads it back: it has no quota for root disks."""
    return Limits.parse({**wanted.document(), "root_gib": None})
