"""Grants raised for what an adoption brings, from the bureaus that hold it up to the root of the tree."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from identity.queries import find_bureaus, list_chain_ids
from provisioning.models import QuotaAccount
from provisioning.quota import Limits, Resources, total_of, total_used
from provisioning.service.accounts import find_account, list_child_accounts, lock_region
from provisioning.service.grants import grant_quota, set_root_grant


def raise_grants(
    session: Session,
    *,
    region: str,
    wanted: Mapping[int, Limits],
    brought: Mapping[int, Resources],
    at: datetime,
    actor: str,
    reason: str,
) -> dict[int, tuple[Limits, Limits]]:
    """Grant each bureau at least what is `wanted` for it and what it holds with what is `brought`, and the
    bureaus above what that takes; the old and the new limit of each that was too small, from the root down.

    No grant shrinks. Raises `CapacityExceeded` with every shortfall, `NoSuchRegion`.
    """
    lock_region(session, region)
    chains = {bureau_id: list_chain_ids(session, bureau_id=bureau_id) for bureau_id in {*wanted, *brought}}
    depths = {one: len(chain) - place for chain in chains.values() for place, one in enumerate(chain)}
    parents = {one: bureau.parent_id for one, bureau in find_bureaus(session, depths).items()}
    new: dict[int, Limits] = {}
    for one in sorted(depths, key=lambda bureau_id: (-depths[bureau_id], bureau_id)):
        account = find_account(session, region=region, bureau_id=one)
        new[one] = (account.limit if account else Limits()).higher(wanted.get(one, Limits()))
        within = total_used(used for bureau_id, used in brought.items() if one in chains[bureau_id])
        below = {child: limit for child, limit in new.items() if parents[child] == one}
        new[one] = new[one].higher(
            _needed(session, region, one, account, brought.get(one, Resources()), within, below)
        )
    raised: dict[int, tuple[Limits, Limits]] = {}
    for one in sorted(depths, key=lambda bureau_id: (depths[bureau_id], bureau_id)):
        account = find_account(session, region=region, bureau_id=one)
        old = account.limit if account else Limits()
        if new[one] != old:
            place: dict[str, Any] = {"region": region, "bureau_id": one, "limit": new[one]}
            grant = set_root_grant if parents[one] is None else grant_quota
            grant(session, **place, at=at, actor=actor, reason=reason)
            raised[one] = (old, new[one])
    return raised


def _needed(
    session: Session,
    region: str,
    bureau_id: int,
    account: QuotaAccount | None,
    own: Resources,
    within: Resources,
    below: Mapping[int, Limits],
) -> Limits:
    """What the bureau's grant has to hold: its own, and what is carved out below, or what is pooled there."""
    if account is not None and account.mode == "shared":
        ceilings = Limits()
        for limit in below.values():
            ceilings = ceilings.higher(limit)
        return Limits.exactly(account.pooled_used + within).higher(ceilings)
    children = list_child_accounts(session, region=region, bureau_id=bureau_id)
    charged = {one.bureau_id: one.charged for one in children}
    for child, limit in below.items():
        charged[child] = charged.get(child, Limits()).higher(limit)
    used = account.used if account else Resources()
    return Limits.exactly(used + own) + total_of(charged.values())
