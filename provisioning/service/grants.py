"""Grants and what the office does to them: granting, modes, freezing and unfreezing. Claims are in claims.py,
what a grant has room for is in rooms.py.

All of it takes the region's row first, so that one such change is made at a time in a region, and then
accounts from below: the counters that it reads stand still.
"""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from infra import journal
from infra.errors import Stale
from provisioning.errors import NoGrant, NotBelow, NotFrozen, ReasonMissing
from provisioning.models import Grant, QuotaAccount
from provisioning.queries import find_open_grant
from provisioning.quota import (
    Limits,
    Resources,
    Room,
    decide_change,
    find_excess,
    total_used,
)
from provisioning.service.accounts import (
    held_by,
    lock_account,
    lock_region,
    lock_subtree,
    open_account,
    refuse_overcommit,
    refuse_shortfalls,
)
from provisioning.service.rooms import (
    capacity_room,
    carved_of,
    living_bureau,
    parent_room,
    rooms_to_keep,
)

Mode = Literal["reserved", "shared"]


def see_grant(session: Session, *, region: str, bureau_id: int, grant_seen: int) -> None:
    """Let a change go on only from the grant that the caller saw: its row's id, 0 for none.

    No grant of the region changes from here to the end of the transaction; claims go on, and are not what
    the caller saw or did not see. Raises `Stale`, `NoSuchRegion`.
    """
    lock_region(session, region)
    now = find_open_grant(session, region=region, bureau_id=bureau_id)
    if (now.id if now else 0) != grant_seen:
        raise Stale(seen=grant_seen, now=now.id if now else 0)


def grant_quota(
    session: Session,
    *,
    region: str,
    bureau_id: int,
    limit: Limits,
    at: datetime,
    actor: str,
    reason: str = "",
    case_id: int | None = None,
) -> QuotaAccount:
    """Make `limit` what the bureau's parent grants it in `region`; granting the same again changes nothing.

    A reserved parent carves it out of its own grant, to a shared one it is a ceiling. Raises `QuotaExceeded`
    where it grows beyond what the parent has left, or falls below what is used or carved out (a frozen grant
    may); `NotBelow` for a root; `NoSuchRegion`; `NotFound`.
    """
    lock_region(session, region)
    bureau = living_bureau(session, bureau_id)
    if bureau.parent_id is None:
        raise NotBelow(
            bureau_id=bureau_id,
            why_zh="没有上级，其配额由智慧办直接下达",
            why_en="has no parent to grant to it",
        )
    account = open_account(session, region=region, bureau_id=bureau_id, at=at, actor=actor)
    parent = lock_account(session, region=region, bureau_id=bureau.parent_id)
    within = parent_room(session, parent, bureau.parent_id, besides=account)
    at_least = rooms_to_keep(session, account)
    shortfalls = decide_change(account.limit, limit, at_least=at_least, within=[within])
    refuse_shortfalls(session, region=region, shortfalls=shortfalls)
    if limit != account.limit:
        _regrant(session, account, limit=limit, at=at, actor=actor, reason=reason, case_id=case_id)
        recarve(session, parent)
    return account


def set_root_grant(
    session: Session,
    *,
    region: str,
    bureau_id: int,
    limit: Limits,
    at: datetime,
    actor: str,
    overcommit: bool = False,
    reason: str = "",
    case_id: int | None = None,
) -> QuotaAccount:
    """Make `limit` what the office grants a root of the tree; all roots together stay within the capacity.

    Raises `CapacityExceeded` where it grows beyond that and `overcommit` is not set; `ReasonMissing` for an
    overcommit without one; `QuotaExceeded` where it falls below what is used or carved out (a frozen grant
    may); `NotBelow` for a bureau with a parent; `NoSuchRegion`; `NotFound`.
    """
    lock_region(session, region)
    if living_bureau(session, bureau_id).parent_id is not None:
        raise NotBelow(
            bureau_id=bureau_id, why_zh="有上级，其配额由上级下达", why_en="has a parent, which grants to it"
        )
    if overcommit and not reason.strip():
        raise ReasonMissing(what_zh="超配", what_en="An overcommit")
    account = open_account(session, region=region, bureau_id=bureau_id, at=at, actor=actor)
    at_least = decide_change(account.limit, limit, at_least=rooms_to_keep(session, account), within=[])
    refuse_shortfalls(session, region=region, shortfalls=at_least)
    beyond = decide_change(account.limit, limit, at_least=[], within=[capacity_room(session, account)])
    if not overcommit:
        refuse_overcommit(session, region=region, shortfalls=beyond)
    if limit != account.limit:
        _regrant(
            session,
            account,
            limit=limit,
            at=at,
            actor=actor,
            reason=reason,
            case_id=case_id,
            is_overcommit=bool(beyond),
        )
    return account


def set_mode(
    session: Session, *, region: str, bureau_id: int, mode: Mode, at: datetime, actor: str, reason: str = ""
) -> QuotaAccount:
    """Let the bureau's children share its grant, or carve their grants out of it; the same mode changes
    nothing.

    Raises `QuotaExceeded` where their grants and its own usage together exceed it; `NoGrant`; `NoSuchRegion`.
    """
    account, subtree = _lock_from_below(session, region, bureau_id)
    if mode == account.mode:
        return account
    before = _standing(account)
    if mode == "reserved":
        carved = carved_of(session, account)
        taken = Room(bureau_id, account.limit, Limits.exactly(account.used) + carved)
        refuse_shortfalls(session, region=region, shortfalls=find_excess([taken]))
        account.carved = carved
    else:
        account.carved = Limits()
    account.mode = mode
    _repool(account, subtree)
    _record(session, account, act="quota.mode", before=before, at=at, actor=actor, reason=reason)
    return account


def freeze(
    session: Session, *, region: str, bureau_id: int, limit: Limits, at: datetime, actor: str, reason: str
) -> QuotaAccount:
    """Refuse growth beyond `limit` anywhere in the bureau's subtree (unlimited: as granted), whatever is used
    now.

    Shrinking stays allowed and the excess is shown. Raises `ReasonMissing`, `NoGrant`, `NoSuchRegion`.
    """
    if not reason.strip():
        raise ReasonMissing(what_zh="冻结", what_en="A freeze")
    account, subtree = _lock_from_below(session, region, bureau_id)
    if limit == account.frozen:
        return account
    before = _standing(account)
    account.frozen = limit
    _repool(account, subtree)
    _record(session, account, act="quota.freeze", before=before, at=at, actor=actor, reason=reason)
    return account


def unfreeze(
    session: Session, *, region: str, bureau_id: int, at: datetime, actor: str, reason: str = ""
) -> QuotaAccount:
    """Let the grant itself count again. Raises `QuotaExceeded` where more is used or carved out than it
    allows, since it may have been shrunk while frozen; `NotFrozen`; `NoGrant`; `NoSuchRegion`.
    """
    account, subtree = _lock_from_below(session, region, bureau_id)
    if account.frozen is None:
        raise NotFrozen(bureau_id=bureau_id, region=region)
    parent_id = living_bureau(session, bureau_id).parent_id
    parent = None if parent_id is None else lock_account(session, region=region, bureau_id=parent_id)
    before = _standing(account)
    account.frozen = None
    refuse_shortfalls(session, region=region, shortfalls=find_excess(rooms_to_keep(session, account)))
    account.charged = account.limit
    _repool(account, subtree)
    _record(session, account, act="quota.unfreeze", before=before, at=at, actor=actor, reason=reason)
    recarve(session, parent)
    return account


def recarve(session: Session, parent: QuotaAccount | None) -> None:
    """Bring what a reserved parent carved out up to date with its children's grants; it must be locked."""
    if parent is not None and parent.mode == "reserved":
        parent.carved = carved_of(session, parent)
        parent.version += 1
        session.flush()


def _regrant(
    session: Session,
    account: QuotaAccount,
    *,
    limit: Limits,
    at: datetime,
    actor: str,
    reason: str,
    case_id: int | None,
    is_overcommit: bool = False,
) -> None:
    before = _standing(account)
    account.limit = limit
    account.charged = limit if account.frozen is None else limit.higher(held_by(account))
    _record(
        session,
        account,
        act="quota.grant",
        before=before,
        at=at,
        actor=actor,
        reason=reason,
        case_id=case_id,
        is_overcommit=is_overcommit,
    )


def _lock_from_below(
    session: Session, region: str, bureau_id: int
) -> tuple[QuotaAccount, list[QuotaAccount]]:
    """The bureau's account and all accounts from it downwards, locked so that no claim below is missed."""
    lock_region(session, region)
    subtree = lock_subtree(session, region=region, bureau_id=bureau_id)
    if not subtree or subtree[-1].bureau_id != bureau_id:
        raise NoGrant(bureau_id=bureau_id, region=region)
    return subtree[-1], subtree


def _repool(account: QuotaAccount, subtree: list[QuotaAccount]) -> None:
    account.pooled_used = total_used(one.used for one in subtree) if account.is_pooled else Resources()


def _record(
    session: Session,
    account: QuotaAccount,
    *,
    act: str,
    before: dict[str, Any],
    at: datetime,
    actor: str,
    reason: str,
    case_id: int | None = None,
    is_overcommit: bool = False,
) -> None:
    """Close the open grant, open the one that holds now, and write the act down."""
    open_grant = find_open_grant(session, region=account.region, bureau_id=account.bureau_id)
    if open_grant is None:
        raise RuntimeError(f"account {account.id} has no open grant, though it gets one with its row")
    open_grant.valid_to = max(at, open_grant.valid_from)
    account.version += 1
    session.flush()
    session.add(
        Grant(
            bureau_id=account.bureau_id,
            region=account.region,
            limit=account.limit,
            charged=account.charged,
            mode=account.mode,
            frozen=account.frozen,
            valid_from=open_grant.valid_to,
            actor=actor,
            reason=reason,
            is_overcommit=is_overcommit,
            case_id=case_id,
        )
    )
    journal.append(
        session,
        actor=actor,
        act=act,
        subject=f"grant:{account.region}",
        bureau_id=account.bureau_id,
        at=at,
        before=before,
        after={**_standing(account), "reason": reason, "overcommit": is_overcommit},
    )
    session.flush()


def _standing(account: QuotaAccount) -> dict[str, Any]:
    return {
        "limit": account.limit.document(),
        "mode": account.mode,
        "frozen": None if account.frozen is None else account.frozen.document(),
    }
