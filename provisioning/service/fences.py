"""The second fence: a bureau's project in the cloud and its quota there, pushed and read back.

A server stays in the project it was built in when its system changes hands. Such guests are let in on top of
the bureau's own quota, else they would take the room of its own servers.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from identity.actor import INSTALLATION
from identity.models import Bureau
from identity.queries import get_bureau_by_id
from identity.service.tree import keep_tree_still
from infra import journal
from infra.database import reading, serialise, transaction
from provisioning.cloud.driver import Cloud, NotInCloud
from provisioning.cloud.observed import PushedLimits
from provisioning.errors import QuotaInconsistent
from provisioning.models import Allocation, PushedQuota, QuotaAccount, Server
from provisioning.queries import keys_held_by
from provisioning.quota import Limits, Resources
from provisioning.service.accounts import (
    effective_limit,
    find_account,
    inconsistency_of,
    lock_account,
)
from provisioning.service.telling import tell_office_of_quota

DESCRIPTION_LENGTH = 255


def find_fenced_project(session: Session, *, region: str, bureau_id: int) -> str | None:
    """The bureau's project if the quota that was read back there is what it should be now."""
    row = _find(session, region, bureau_id)
    if row is None or row.project is None or row.retired_at is not None:
        return None
    wanted = _wanted(session, region, bureau_id)
    return row.project if row.wanted == wanted and row.read_back == _in_cloud(wanted) else None


def push_quota(
    engine: Engine, cloud: Cloud, *, bureau_id: int, at: datetime, again_after: timedelta = timedelta(0)
) -> str:
    """Make the bureau's project if missing, write its quota there and keep what was read back; its id.

    Repeating it is harmless. A project once made stays the bureau's when its code changes; one that the cloud
    has lost is made anew; one that was retired is revived if the bureau has come back. Where a service does
    not hold the quota then, the bureau is 'inconsistent' in that region until a push that each of them holds:
    `QuotaInconsistent`; before `again_after` has passed since the last such push, without another one.
    Raises `CloudFailure`.
    """
    with reading(engine) as session:
        bureau = get_bureau_by_id(session, bureau_id=bureau_id)
        wanted = _wanted(session, cloud.region, bureau_id)
        row = _find(session, cloud.region, bureau_id)
        project, pushed_at = (None, None) if row is None else (row.project, row.read_back_at)
        account = find_account(session, region=cloud.region, bureau_id=bureau_id)
        known = None if account is None else inconsistency_of(session, account)
        if known is not None and row is not None and at < row.wanted_at + again_after:
            raise known
        code, name = bureau.code, bureau.name[:DESCRIPTION_LENGTH]
        revives = row is not None and row.retired_at is not None and bureau.abolished_at is None

    def make() -> str:
        return cloud.ensure_project(bureau_code=code, name=f"siji-{bureau_id}", description=name)

    project = project or make()
    try:
        if revives:
            cloud.revive_project(project)
        pushed = cloud.set_quota(project, wanted)
    except NotInCloud:
        project = make()
        pushed = cloud.set_quota(project, wanted)
    with transaction(engine) as session:
        keep_tree_still(session)
        serialise(session, f"siji.fence:{cloud.region}:{bureau_id}")
        row = _find(session, cloud.region, bureau_id)
        if row is None:
            row = PushedQuota(bureau_id=bureau_id, region=cloud.region)
            session.add(row)
        overlapped = row.read_back_at != pushed_at  # by a push that may have written after this one
        row.project, row.wanted, row.wanted_at = project, wanted, at
        row.read_back, row.read_back_at = None if overlapped else pushed.limits, at
        if revives:
            row.retired_at = None
            record_project(session, row, act="project.revive", at=at)
        found = _write_consistency(session, cloud.region, bureau_id, pushed, at=at)
    if found is not None:
        raise found
    return project


def record_project(session: Session, row: PushedQuota, *, act: str, at: datetime) -> None:
    """Journal what becomes of a bureau's project."""
    journal.append(
        session,
        actor=INSTALLATION.journal_id,
        act=act,
        subject=f"grant:{row.region}",
        bureau_id=row.bureau_id,
        at=at,
        after={"project": row.project},
    )


def distrust_fence(session: Session, *, region: str, bureau_id: int) -> None:
    """Have the quota pushed again before the next creation: the cloud holds another one."""
    row = _find(session, region, bureau_id)
    if row is not None:
        row.read_back = None


def list_stale_fences(session: Session, *, region: str) -> Sequence[int]:
    """Ids of bureaus with a project whose quota there is not what it should be now: the inconsistent too, and
    those that have come back to a project that was retired.
    """
    query = (
        select(PushedQuota, QuotaAccount, Bureau.abolished_at)
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
        for row, account, abolished_at in session.execute(query)
        if account.inconsistent_at is not None
        or (row.retired_at is not None and abolished_at is None)
        or row.read_back != _in_cloud(effective_limit(account) + Limits.exactly(guests[row.bureau_id]))
    ]


def _write_consistency(
    session: Session, region: str, bureau_id: int, pushed: PushedLimits, *, at: datetime
) -> QuotaInconsistent | None:
    """On the account, which claims lock: since when which services do not hold the quota, and why.

    One that is and stays as it should be is not locked. The beginning and the end are journalled; the office
    is told of the beginning.
    """
    seen = find_account(session, region=region, bureau_id=bureau_id)
    if seen is None or (seen.inconsistent_at is None and not pushed.failed):
        return None
    account = lock_account(session, region=region, bureau_id=bureau_id)
    if account is None:
        raise RuntimeError(f"account {seen.id} is gone, though accounts are never deleted")
    before, since_at = account.service_faults, account.inconsistent_at
    account.service_faults = {service: asdict(why) for service, why in pushed.failed.items()} or None
    account.inconsistent_at = (since_at or at) if pushed.failed else None
    if (since_at is None) != (account.inconsistent_at is None):
        journal.append(
            session,
            actor=INSTALLATION.journal_id,
            act="quota.inconsistent" if pushed.failed else "quota.consistent",
            subject=f"grant:{region}",
            bureau_id=bureau_id,
            at=at,
            before=before,
            after=account.service_faults,
        )
    inconsistent = inconsistency_of(session, account)
    if inconsistent is not None and since_at is None:
        tell_office_of_quota(session, inconsistent, at=at)
    return inconsistent


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
