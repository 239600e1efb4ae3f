"""Claims on quota: claim before the cloud is called, settle when it has confirmed, resize, release.

One transaction claims at one bureau of one region. Grants and freezes are in grants.py.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from identity.models import System
from identity.service.tree import keep_tree_still
from infra import journal
from provisioning.errors import AllocationBusy, KeyTaken, NoSuchAllocation, NothingAsked, NotItsSystem
from provisioning.models import Allocation, QuotaAccount
from provisioning.quota import Limits, Resources, Room, decide, total_used
from provisioning.service.accounts import (
    find_account,
    inconsistency_of,
    list_pooled_above,
    lock_account,
    lock_pooled_above,
    name_shortfalls,
    own_rooms,
    pool_room,
    refuse_shortfalls,
)

OWNER_AND_HELD = (
    select(System.bureau_id, System.retired_at, Allocation)
    .select_from(System)
    .outerjoin(
        Allocation, Allocation.key.in_(bindparam("keys", expanding=True)) & Allocation.valid_to.is_(None)
    )
    .where(System.id == bindparam("system_id"))
    .execution_options(populate_existing=True)
)
HELD = (
    select(Allocation)
    .where(Allocation.key == bindparam("key"), Allocation.valid_to.is_(None))
    .execution_options(populate_existing=True)
)
"""Built once: composing statements anew was a quarter of a claim's work."""


def claim(
    session: Session,
    *,
    region: str,
    bureau_id: int,
    system_id: int,
    key: str,
    amounts: Resources,
    at: datetime,
    actor: str,
) -> Allocation:
    """Hold `amounts` of the bureau's quota for `system_id` under `key`; the same again gives the same
    allocation.

    Raises as `claim_all`.
    """
    place: dict[str, Any] = {"region": region, "bureau_id": bureau_id, "system_id": system_id}
    [allocation] = claim_all(session, **place, amounts={key: amounts}, at=at, actor=actor)
    return allocation


def claim_all(
    session: Session,
    *,
    region: str,
    bureau_id: int,
    system_id: int,
    amounts: Mapping[str, Resources],
    at: datetime,
    actor: str,
) -> list[Allocation]:
    """Hold all of `amounts`, by their keys, or nothing: one lock and one decision, however many there are
    (a few thousand, by what a statement takes).

    What is held already under its key stays as it is. Raises `QuotaExceeded` with every shortfall of the
    bureau and the shared or frozen ones above it, by the sum; `KeyTaken` if a key stands for another claim;
    `NotItsSystem`; `NothingAsked`; `QuotaInconsistent` while the cloud does not hold the bureau's quota.
    """
    for key, asked in amounts.items():
        if not asked:
            raise NothingAsked(key=key)
    keep_tree_still(session)
    own = lock_account(session, region=region, bureau_id=bureau_id)
    owner, held = _find_owner_and_held(session, system_id=system_id, keys=amounts)
    for key, one in held.items():
        claimed = (one.region, one.bureau_id, one.system_id, one.amounts)
        if claimed != (region, bureau_id, system_id, amounts[key]):
            raise KeyTaken(key=key, bureau_id=one.bureau_id)
    new = {key: asked for key, asked in amounts.items() if key not in held}
    if new:
        if owner != bureau_id:
            raise NotItsSystem(system_id=system_id, bureau_id=bureau_id)
        _take(session, region=region, bureau_id=bureau_id, own=own, asked=total_used(new.values()))
    for key, asked in new.items():
        held[key] = Allocation(
            key=key,
            bureau_id=bureau_id,
            region=region,
            system_id=system_id,
            amounts=asked,
            state="claimed",
            valid_from=at,
        )
        session.add(held[key])
        _journal(session, held[key], act="quota.claim", at=at, actor=actor, before=None, after=asked)
    session.flush()
    return [held[key] for key in amounts]


def settle(session: Session, *, key: str, at: datetime, actor: str) -> Allocation:
    """The cloud has confirmed what was claimed or resized; a resize gives back what it no longer needs.

    Settling what is settled changes nothing. Raises `NoSuchAllocation`.
    """
    allocation, own = _lock(session, key=key)
    if allocation.state != "claimed":
        return allocation
    return _conclude(
        session, allocation, own, to=allocation.settles_to or allocation.amounts, at=at, actor=actor
    )


def revert(session: Session, *, key: str, at: datetime, actor: str) -> Allocation:
    """The cloud refused a resize: hold again what was held before it. Raises `NoSuchAllocation`.

    What is not being resized stays as it is.
    """
    allocation, own = _lock(session, key=key)
    if allocation.reverts_to is None:
        return allocation
    return _conclude(session, allocation, own, to=allocation.reverts_to, at=at, actor=actor)


def resize(session: Session, *, key: str, amounts: Resources, at: datetime, actor: str) -> Allocation:
    """Hold the larger of what is held and `amounts`, until settled or reverted; the same again changes
    nothing.

    Raises `QuotaExceeded` where it grows and does not fit, `QuotaInconsistent` where it grows while the
    cloud does not hold the bureau's quota, `AllocationBusy` before the last act was confirmed,
    `NothingAsked`, `NoSuchAllocation`.
    """
    if not amounts:
        raise NothingAsked(key=key)
    allocation, own = _lock(session, key=key)
    if amounts in (allocation.settles_to, allocation.amounts if allocation.state == "settled" else None):
        return allocation
    if allocation.state != "settled":
        raise AllocationBusy(key=key, state=allocation.state)
    before = allocation.amounts
    growth = before.growth_to(amounts)
    _take(session, region=allocation.region, bureau_id=allocation.bureau_id, own=own, asked=growth)
    opened = reopen(session, allocation, amounts=before + growth, state="claimed", at=at)
    opened.settles_to, opened.reverts_to = amounts, before
    _journal(session, opened, act="quota.resize", at=at, actor=actor, before=before, after=amounts)
    return opened


def begin_release_all(session: Session, *, keys: Collection[str], at: datetime, actor: str) -> None:
    """The cloud is about to be told to let go of all of `keys`; their allocations still count.

    One lock of each account, however many keys (a few thousand, by what a statement takes). What is being
    released already stays as it is. Raises `NoSuchAllocation`.
    """
    keep_tree_still(session)
    theirs = Allocation.key.in_(keys), Allocation.valid_to.is_(None)
    accounts = select(Allocation.region, Allocation.bureau_id).where(*theirs).distinct()
    for region, bureau_id in sorted((row.region, row.bureau_id) for row in session.execute(accounts)):
        lock_account(session, region=region, bureau_id=bureau_id)
    query = select(Allocation).where(*theirs).order_by(Allocation.id)
    held = {one.key: one for one in session.scalars(query.execution_options(populate_existing=True))}
    for key in keys:
        if key not in held:
            raise NoSuchAllocation(key=key)
    for one in held.values():
        if one.state != "releasing":
            one.state, one.settles_to, one.reverts_to = "releasing", None, None
            still = one.amounts
            _journal(session, one, act="quota.release.begin", at=at, actor=actor, before=still, after=still)


def release(session: Session, *, key: str, at: datetime, actor: str) -> None:
    """The cloud has let go, or never had it: give everything back. Releasing what is released changes
    nothing.

    Raises `NoSuchAllocation` if nothing was ever claimed under `key`; never refuses for quota's sake.
    """
    try:
        allocation, own = _lock(session, key=key)
    except NoSuchAllocation:
        if session.scalar(select(Allocation.id).where(Allocation.key == key).limit(1)) is None:
            raise
        return
    _give_back(session, own, allocation.amounts)
    allocation.valid_to = max(at, allocation.valid_from)
    session.flush()
    _journal(
        session, allocation, act="quota.release", at=at, actor=actor, before=allocation.amounts, after=None
    )


def find_allocation(session: Session, *, key: str) -> Allocation | None:
    """What is held under `key` now."""
    return session.scalar(HELD, {"key": key})


def find_shortfalls(
    session: Session, *, region: str, bureau_id: int, asked: Resources
) -> list[dict[str, Any]]:
    """What a claim of `asked` would be refused for if it were made now: the warning at submission, no
    decision.
    """
    own = find_account(session, region=region, bureau_id=bureau_id)
    pooled = list_pooled_above(session, region=region, bureau_id=bureau_id)
    return name_shortfalls(session, decide(asked, _rooms(bureau_id, own, pooled)))


def reopen(
    session: Session,
    closed: Allocation,
    *,
    amounts: Resources,
    state: str,
    at: datetime,
    bureau_id: int | None = None,
) -> Allocation:
    """Close the row and open another under the same key at the same instant, never before the row began.

    The counters are the caller's business; so is that the account of `bureau_id` (None: the same) exists.
    """
    closed.valid_to = max(at, closed.valid_from)
    session.flush()
    opened = Allocation(
        key=closed.key,
        bureau_id=bureau_id or closed.bureau_id,
        region=closed.region,
        system_id=closed.system_id,
        amounts=amounts,
        state=state,
        valid_from=closed.valid_to,
    )
    session.add(opened)
    session.flush()
    return opened


def _lock(session: Session, *, key: str) -> tuple[Allocation, QuotaAccount]:
    """The open allocation of `key` and its bureau's account, locked; read again once the lock is there."""
    keep_tree_still(session)
    seen = find_allocation(session, key=key)
    own = None if seen is None else lock_account(session, region=seen.region, bureau_id=seen.bureau_id)
    allocation = find_allocation(session, key=key)
    if allocation is None or own is None:
        raise NoSuchAllocation(key=key)
    return allocation, own


def _take(
    session: Session, *, region: str, bureau_id: int, own: QuotaAccount | None, asked: Resources
) -> None:
    """Count `asked` at the bureau and every pooled account above it, or raise `QuotaInconsistent` or
    `QuotaExceeded` and count nothing.
    """
    if own is not None and asked and (inconsistent := inconsistency_of(session, own)):
        raise inconsistent
    pooled = lock_pooled_above(session, region=region, bureau_id=bureau_id)
    refuse_shortfalls(session, region=region, shortfalls=decide(asked, _rooms(bureau_id, own, pooled)))
    if own is None:
        return
    own.used += asked
    own.version += 1
    for account in [*([own] if own.is_pooled else []), *pooled]:
        account.pooled_used += asked


def _find_owner_and_held(
    session: Session, *, system_id: int, keys: Collection[str]
) -> tuple[int | None, dict[str, Allocation]]:
    """The bureau of the living system (None: there is none), and what is held under `keys` now."""
    rows = session.execute(OWNER_AND_HELD, {"system_id": system_id, "keys": list(keys)}).all()
    owner = next((row.bureau_id for row in rows if row.retired_at is None), None)
    return owner, {row.Allocation.key: row.Allocation for row in rows if row.Allocation is not None}


def _rooms(bureau_id: int, own: QuotaAccount | None, pooled: list[QuotaAccount]) -> list[Room]:
    """All limits that a claim at the bureau meets, its own first, then upwards; no account is all zeros."""
    rooms = own_rooms(own) if own is not None else [Room(bureau_id, Limits(), Limits())]
    return [*rooms, *(pool_room(account) for account in pooled)]


def _give_back(session: Session, own: QuotaAccount, amounts: Resources) -> None:
    pooled = lock_pooled_above(session, region=own.region, bureau_id=own.bureau_id)
    own.used -= amounts
    own.version += 1
    for account in [*([own] if own.is_pooled else []), *pooled]:
        account.pooled_used -= amounts


def _conclude(
    session: Session, allocation: Allocation, own: QuotaAccount, *, to: Resources, at: datetime, actor: str
) -> Allocation:
    """From claimed to settled with `to`, which is nowhere more than what is held."""
    before = allocation.amounts
    if to == before:
        allocation.state, allocation.settles_to, allocation.reverts_to = "settled", None, None
    else:
        _give_back(session, own, before - to)
        allocation = reopen(session, allocation, amounts=to, state="settled", at=at)
    _journal(session, allocation, act="quota.settle", at=at, actor=actor, before=before, after=to)
    return allocation


def _journal(
    session: Session,
    allocation: Allocation,
    *,
    act: str,
    at: datetime,
    actor: str,
    before: Resources | None,
    after: Resources | None,
) -> None:
    journal.append(
        session,
        actor=actor,
        act=act,
        subject=f"allocation:{allocation.key}",
        bureau_id=allocation.bureau_id,
        at=at,
        before=None if before is None else before.document(),
        after=None if after is None else after.document(),
    )
