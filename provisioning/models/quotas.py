"""Tables of grants, allocations and their counters, and of the quotas in the clouds; all per region."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key, NullableDocument
from provisioning.models.amounts import OPEN, AmountsOfLimits, AmountsOfResources
from provisioning.quota import Limits, Resources

MODES = ("reserved", "shared")


class QuotaAccount(Base):
    """The counters of a bureau in a region, and the row that a claim locks.

    `charged` is what a reserved parent carves out for it: the limit, or, where a frozen grant was shrunk
    below what it held, what it held. `carved` is the sum of the children's `charged` while the mode is
    reserved (zero while shared); `pooled_used` is the usage of the whole subtree while shared or frozen (zero
    otherwise). `inconsistent_at` is since when not every service of the cloud holds the bureau's quota as it
    was pushed (None: each does, or none was ever pushed), `service_faults` which do not and why:
    {service: {zh, en}}.
    """

    __tablename__ = "quota_accounts"
    __table_args__ = (
        UniqueConstraint("bureau_id", "region"),
        CheckConstraint("mode IN ('reserved', 'shared')", name="mode"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"))
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    limit: Mapped[Limits] = mapped_column("limits", AmountsOfLimits)
    charged: Mapped[Limits] = mapped_column(AmountsOfLimits)
    mode: Mapped[str] = mapped_column(String(16), default="reserved")
    frozen: Mapped[Limits | None] = mapped_column(AmountsOfLimits)
    used: Mapped[Resources] = mapped_column(AmountsOfResources)
    carved: Mapped[Limits] = mapped_column(AmountsOfLimits)
    pooled_used: Mapped[Resources] = mapped_column(AmountsOfResources)
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    inconsistent_at: Mapped[datetime | None]
    service_faults: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)

    @property
    def is_pooled(self) -> bool:
        """Whether claims anywhere below it count here too."""
        return self.mode == "shared" or self.frozen is not None


class Grant(Base):
    """What a bureau was granted in a region, and how, from `valid_from` until `valid_to` (None: still)."""

    __tablename__ = "grants"
    __table_args__ = (
        Index("uq_grants_open", "bureau_id", "region", unique=True, **OPEN),
        Index("ix_grants_bureau_id_region", "bureau_id", "region"),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="interval"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"))
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    limit: Mapped[Limits] = mapped_column("limits", AmountsOfLimits)
    charged: Mapped[Limits] = mapped_column(AmountsOfLimits)
    mode: Mapped[str] = mapped_column(String(16))
    frozen: Mapped[Limits | None] = mapped_column(AmountsOfLimits)
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]
    actor: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(2000), default="")
    is_overcommit: Mapped[bool] = mapped_column(default=False)
    case_id: Mapped[int | None] = mapped_column(BigInteger)


class Allocation(Base):
    """What `key` (one server, one set of volumes) holds of its bureau's quota while the row is open.

    A resize closes a row and opens another under the same key that holds the larger of old and new;
    `settles_to` is then what it will hold once the cloud has confirmed it, `reverts_to` what it held before.
    `system_id` is no foreign key: its check would lock systems in an order that a merge of bureaus cannot
    keep.
    """

    __tablename__ = "allocations"
    __table_args__ = (
        ForeignKeyConstraint(
            ["bureau_id", "region"],
            ["quota_accounts.bureau_id", "quota_accounts.region"],
            name="fk_allocations_account",
        ),
        Index("uq_allocations_open", "key", unique=True, **OPEN),
        Index("ix_allocations_open_bureau_id", "bureau_id", "region", **OPEN),
        Index("ix_allocations_key", "key"),
        Index("ix_allocations_system_id", "system_id"),
        CheckConstraint("state IN ('claimed', 'settled', 'releasing')", name="state"),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="interval"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    key: Mapped[str] = mapped_column(String(128))
    bureau_id: Mapped[int] = mapped_column(Key)
    region: Mapped[str] = mapped_column(String(64))
    system_id: Mapped[int] = mapped_column(Key)
    amounts: Mapped[Resources] = mapped_column(AmountsOfResources)
    settles_to: Mapped[Resources | None] = mapped_column(AmountsOfResources)
    reverts_to: Mapped[Resources | None] = mapped_column(AmountsOfResources)
    state: Mapped[str] = mapped_column(String(16))
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]


class PushedQuota(Base):
    """The second fence: a bureau's own quota as it should be in the cloud and as it was read back there.

    `retired_at` is since when its project is, or is about to be, retired, because the bureau is no more.
    """

    __tablename__ = "pushed_quotas"
    __table_args__ = (UniqueConstraint("bureau_id", "region"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"))
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    project: Mapped[str | None] = mapped_column(String(64))
    wanted: Mapped[Limits] = mapped_column(AmountsOfLimits)
    wanted_at: Mapped[datetime]
    read_back: Mapped[Limits | None] = mapped_column(AmountsOfLimits)
    read_back_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
