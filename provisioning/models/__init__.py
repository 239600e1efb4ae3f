"""Tables of regions, grants, allocations and their counters; every amount is per region.

Amounts are one JSON document a row, so that a new dimension needs no migration.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from infra.database import Base, Key, NullableDocument
from provisioning.models.findings import Audit as Audit
from provisioning.models.findings import Finding as Finding
from provisioning.models.maintenance import UNDER_WAY as UNDER_WAY
from provisioning.models.maintenance import Maintenance as Maintenance
from provisioning.models.maintenance import MaintenanceMeets as MaintenanceMeets
from provisioning.models.maintenance import MaintenanceMove as MaintenanceMove
from provisioning.quota import Limits, Resources

A = TypeVar("A", bound=Limits | Resources)


class Amounts(TypeDecorator[A]):
    """`Resources` or `Limits` as a JSON object of their dimensions; SQL NULL for None."""

    impl = NullableDocument
    cache_ok = True

    def __init__(self, parse: Callable[[dict[str, Any]], A]) -> None:
        super().__init__()
        self.parse = parse

    def process_bind_param(self, value: A | None, dialect: Dialect) -> dict[str, Any] | None:
        """The document that is stored."""
        return None if value is None else dict(value.document())

    def process_result_value(self, value: dict[str, Any] | None, dialect: Dialect) -> A | None:
        """The value that was stored."""
        return None if value is None else self.parse(value)


AmountsOfResources: Amounts[Resources] = Amounts(Resources.parse)
AmountsOfLimits: Amounts[Limits] = Amounts(Limits.parse)

MODES = ("reserved", "shared")
OPEN: dict[str, Any] = {
    "postgresql_where": text("valid_to IS NULL"),
    "sqlite_where": text("valid_to IS NULL"),
}


class Region(Base):
    """One cloud of the city; `reserve_largest_host` keeps room for the failure of its largest host."""

    __tablename__ = "regions"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    reserve_largest_host: Mapped[bool] = mapped_column(default=False)
    opened_at: Mapped[datetime]
    inventory_seen_at: Mapped[datetime | None]


class RegionInventory(Base):
    """What one provider of a region has of a dimension, as the cloud told it last."""

    __tablename__ = "region_inventories"
    __table_args__ = (UniqueConstraint("region", "dimension", "provider"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    dimension: Mapped[str] = mapped_column(String(32))
    provider: Mapped[str] = mapped_column(String(255))
    total: Mapped[int] = mapped_column(BigInteger)
    reserved: Mapped[int] = mapped_column(BigInteger)
    ratio: Mapped[float]
    seen_at: Mapped[datetime]


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


# Requests, servers and leases


KINDS = (
    "new_system", "servers", "adoption", "volumes", "resize", "quota_change", "extension", "release",
)  # fmt: skip
REQUEST_STATES = (
    "draft", "submitted", "refused", "withdrawn", "provisioning", "confirming", "active", "closed", "failed",
)  # fmt: skip
WORKING = (
    "pending", "creating", "cleaning", "adopting", "attaching", "pruning", "resizing", "reverting",
    "stopping", "starting", "expiring", "releasing",
)  # fmt: skip
SERVER_STATES = (*WORKING, "active", "stopped", "failed", "given_up", "released")
VOLUME_STATES = ("pending", "active", "failed", "released")
LINE_STATES = ("pending", "done", "failed")


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class RegionFlavor(Base):
    """A size of server that a region offers, as the cloud told it last."""

    __tablename__ = "region_flavors"
    __table_args__ = (UniqueConstraint("region", "name"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    name: Mapped[str] = mapped_column(String(255))
    vcpus: Mapped[int]
    ram_mib: Mapped[int] = mapped_column(BigInteger)
    root_gib: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[datetime]


class RegionImage(Base):
    """What a server of a region can start from, as the cloud told it last."""

    __tablename__ = "region_images"
    __table_args__ = (UniqueConstraint("region", "name"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    name: Mapped[str] = mapped_column(String(255))
    min_root_gib: Mapped[int] = mapped_column(BigInteger)
    min_ram_mib: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[datetime]


class Request(Base):
    """What a bureau asks of the cloud; who must say yes is its case, whose revision is the request's too.

    An adoption that an operator imported has no case: the import was the decision. `limit` is what a quota
    change asks for; `end_on` is the last day in the city, inclusive.
    """

    __tablename__ = "requests"
    __table_args__ = (
        _one_of("kind", KINDS),
        _one_of("state", REQUEST_STATES),
        CheckConstraint("kind = 'quota_change' OR system_id IS NOT NULL", name="system"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), index=True)
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"), index=True)
    system_id: Mapped[int | None] = mapped_column(Key, ForeignKey("systems.id"), index=True)
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    zone: Mapped[str | None] = mapped_column(String(16))
    end_on: Mapped[date | None]
    purpose: Mapped[str] = mapped_column(String(2000))
    limit: Mapped[Limits | None] = mapped_column("limits", AmountsOfLimits)
    applicant_id: Mapped[int] = mapped_column(Key, ForeignKey("persons.id"), index=True)
    case_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class RequestLine(Base):
    """One line of a request: `count` new servers of a kind, or what to do with the server `target_id`, or a
    server that the cloud has and no record yet: `cloud_id`.

    `state` is that of a line with a target; `target_id` has no foreign key, since servers point to lines.
    `seen` is a `Sighting` of the server `cloud_id`, or why there is none (zh, en); None: not asked yet.
    """

    __tablename__ = "request_lines"
    __table_args__ = (
        UniqueConstraint("request_id", "position"),
        _one_of("state", LINE_STATES),
        CheckConstraint("count BETWEEN 1 AND 1000", name="count"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    request_id: Mapped[int] = mapped_column(Key, ForeignKey("requests.id"))
    position: Mapped[int]
    count: Mapped[int]
    flavor: Mapped[str | None] = mapped_column(String(255))
    image: Mapped[str | None] = mapped_column(String(255))
    volume_gib: Mapped[int] = mapped_column(BigInteger, default=0)
    target_id: Mapped[int | None] = mapped_column(Key, index=True)
    cloud_id: Mapped[str | None] = mapped_column(String(64), index=True)
    seen: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)
    state: Mapped[str] = mapped_column(String(16), default="pending")


class Server(Base):
    """One server as it should be and as it was seen last: the row is the job of building it.

    A row in a WORKING state is visited when `next_try_at` has come; a visit moves that instant ahead before
    it calls the cloud, so that nobody else visits meanwhile, and `visits` tells it whether somebody did.
    `fault` says in both languages why the last visit failed. `work_line_id` is the line it works for.
    Since the cloud last moved on (a second snapshot is no move), `attempts` visits failed for any reason,
    `refusals` of them by a no or a conflict, `repushes` by the quota there; `asked` says how often something
    that came to nothing was begun.
    `project_bureau_id` is whose project in the cloud it stands in, if its system has changed hands since it
    was to be built there: a server never changes its project. `project` is the one in which an adopted server
    stands if that is no bureau's; None for all others.
    """

    __tablename__ = "servers"
    __table_args__ = (
        _one_of("state", SERVER_STATES),
        Index("ix_servers_state_next", "state", "next_try_at"),
        Index("uq_servers_region_cloud_id", "region", "cloud_id", unique=True),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    tag: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(128))
    line_id: Mapped[int] = mapped_column(Key, ForeignKey("request_lines.id"), index=True)
    work_line_id: Mapped[int] = mapped_column(Key, ForeignKey("request_lines.id"), index=True)
    system_id: Mapped[int] = mapped_column(Key, ForeignKey("systems.id"), index=True)
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"), index=True)
    project_bureau_id: Mapped[int | None] = mapped_column(Key, ForeignKey("bureaus.id"), index=True)
    project: Mapped[str | None] = mapped_column(String(64))
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    zone: Mapped[str] = mapped_column(String(16))
    image: Mapped[str] = mapped_column(String(255))
    flavor: Mapped[str] = mapped_column(String(255))
    wanted_flavor: Mapped[str | None] = mapped_column(String(255))
    amounts: Mapped[Resources] = mapped_column(AmountsOfResources)
    state: Mapped[str] = mapped_column(String(16), default="pending")
    since_at: Mapped[datetime]
    cloud_id: Mapped[str | None] = mapped_column(String(64))
    visits: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    refusals: Mapped[int] = mapped_column(default=0)
    repushes: Mapped[int] = mapped_column(default=0)
    asked: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    fault: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)
    allocation_key: Mapped[str] = mapped_column(String(128), unique=True)
    revision: Mapped[int] = mapped_column(default=1)

    @property
    def fenced_by(self) -> int:
        """The bureau whose project it stands in, and whose quota in the cloud it counts in."""
        return self.project_bureau_id or self.bureau_id


class Volume(Base):
    """A data volume of a server; it is made, adopted, attached and deleted by visits of its server's row."""

    __tablename__ = "volumes"
    __table_args__ = (
        _one_of("state", VOLUME_STATES),
        Index("uq_volumes_cloud_id", "cloud_id", unique=True),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    tag: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(128))
    server_id: Mapped[int] = mapped_column(Key, ForeignKey("servers.id"), index=True)
    line_id: Mapped[int] = mapped_column(Key, ForeignKey("request_lines.id"), index=True)
    size_gib: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16), default="pending")
    cloud_id: Mapped[str | None] = mapped_column(String(64))
    allocation_key: Mapped[str] = mapped_column(String(128), unique=True)

    @property
    def amounts(self) -> Resources:
        """What it holds of its bureau's quota."""
        return Resources.of(volumes=1, volume_gib=self.size_gib)


class Lease(Base):
    """Until when a server may run: through `end_on` in the city; `notices_sent` are the days told of it."""

    __tablename__ = "leases"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    server_id: Mapped[int] = mapped_column(Key, ForeignKey("servers.id"), unique=True)
    end_on: Mapped[date] = mapped_column(index=True)
    notices_sent: Mapped[list[Any]]
    ended_at: Mapped[datetime | None]
