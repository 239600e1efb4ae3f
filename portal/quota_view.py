"""A bureau's quota in a region as people look at it: a row for each dimension, with a bar."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from provisioning.models import QuotaAccount
from provisioning.queries import list_regions
from provisioning.quota import DIMENSIONS, Dimension, Limits
from provisioning.service.accounts import below_of, effective_limit, find_account, headroom_of

NEAR_FULL = 90
"""Per cent of a limit from which its bar warns."""


@dataclass(frozen=True)
class QuotaRow:
    """One dimension: None is unlimited. `below` is carved out for the bureaus below, or used by them while
    the mode is shared; `over` is what is held beyond what holds now, as after a freeze.
    """

    dimension: Dimension
    limit: int | None
    frozen: int | None
    own: int
    below: int | None
    left: int | None
    over: int

    @property
    def parts(self) -> list[tuple[str, float]]:
        """The bar: (class, per cent of the limit); empty where there is no limit to compare with."""
        if not self.limit:
            return []
        own = min(100.0, 100 * self.own / self.limit)
        below = min(100.0 - own, 100.0 if self.below is None else 100 * self.below / self.limit)
        tone = "over" if self.over else "near" if own + below >= NEAR_FULL else "used"
        return [(tone, own), ("over" if self.over else "carved", below)]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is granted and nothing held: not worth a line in a summary."""
        return self.limit == 0 and not self.own and self.below == 0


@dataclass(frozen=True)
class QuotaView:
    """What a bureau has in a region; without an account all is zero.

    `service_faults` says which services of the cloud do not hold it since `inconsistent_at`, and why.
    """

    region: str
    is_granted: bool
    mode: str
    is_frozen: bool
    rows: tuple[QuotaRow, ...]
    inconsistent_at: datetime | None = None
    service_faults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether more is held than may be now."""
        return any(row.over for row in self.rows)


def quotas_of(session: Session, bureau_id: int) -> list[QuotaView]:
    """The bureau's quota in every region."""
    return [
        view_quota(region.name, find_account(session, region=region.name, bureau_id=bureau_id))
        for region in list_regions(session)
    ]


def view_quota(region: str, account: QuotaAccount | None) -> QuotaView:
    """As the account stands; the tree below it is not looked at."""
    if account is None:
        nothing = tuple(QuotaRow(one, 0, None, 0, 0, 0, 0) for one in DIMENSIONS)
        return QuotaView(region, False, "reserved", False, nothing)
    below = below_of(account)
    bound, left = effective_limit(account), headroom_of(account)
    held = Limits.exactly(account.used) + below
    frozen = account.frozen
    pooled = Limits.exactly(account.pooled_used)
    rows = tuple(
        QuotaRow(
            one,
            account.limit[one.key],
            None if frozen is None else frozen[one.key],
            account.used[one.key],
            below[one.key],
            left[one.key],
            max(
                _beyond(held[one.key], account.limit[one.key]),
                _beyond(pooled[one.key], bound[one.key]) if account.is_pooled else 0,
            ),
        )
        for one in DIMENSIONS
    )
    faults = account.service_faults or {}
    return QuotaView(region, True, account.mode, frozen is not None, rows, account.inconsistent_at, faults)


def _beyond(held: int | None, bound: int | None) -> int:
    return 0 if held is None or bound is None else max(0, held - bound)
