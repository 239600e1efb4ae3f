"""Tables of servers, their volumes and their leases."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key, NullableDocument
from provisioning.models.amounts import AmountsOfResources, one_of
from provisioning.quota import Resources

WORKING = (
    "pending", "creating", "cleaning", "adopting", "attaching", "pruning", "resizing", "reverting",
    "extending", "measuring", "stopping", "starting", "rebooting", "resetting", "expiring", "releasing",
)  # fmt: skip
SERVER_STATES = (*WORKING, "active", "stopped", "failed", "given_up", "released")
VOLUME_STATES = ("pending", "active", "failed", "released")


class Server(Base):
    """One server as it should be and as it was seen last: the row is the job of building it.

    A row in a WORKING state is visited when `next_try_at` has come; a visit moves that instant ahead before
    it calls the cloud, so that nobody else visits meanwhile, and `visits` tells it whether somebody did.
    `fault` says in both languages why the last visit failed. `work_line_id` is the line it works for.
    Since the cloud last moved on (a second snapshot is no move), `attempts` visits failed for any reason,
    `refusals` of them by a no or a conflict, `repushes` by the quota there; `asked` says how often something
    that came to nothing was begun; of a reboot, which nothing but a count can tell from none, it is one more
    than how many there had been when it was to begin.
    `project_bureau_id` is whose project in the cloud it stands in, if its system has changed hands since it
    was to be built there: a server never changes its project. `project` is the one in which an adopted server
    stands if that is no bureau's; None for all others.
    `since_at`: when it came into its state; of one that is `creating`, when its last step was asked for.
    """

    __tablename__ = "servers"
    __table_args__ = (
        one_of("state", SERVER_STATES),
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
    """A data volume of a server; it is made, adopted, attached, extended and deleted by visits of its
    server's row. `wanted_gib` is the size that it is being extended to; `attaching`: the last visit asked to
    attach it.
    """

    __tablename__ = "volumes"
    __table_args__ = (
        one_of("state", VOLUME_STATES),
        Index("uq_volumes_cloud_id", "cloud_id", unique=True),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    tag: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(128))
    server_id: Mapped[int] = mapped_column(Key, ForeignKey("servers.id"), index=True)
    line_id: Mapped[int] = mapped_column(Key, ForeignKey("request_lines.id"), index=True)
    size_gib: Mapped[int] = mapped_column(BigInteger)
    wanted_gib: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16), default="pending")
    cloud_id: Mapped[str | None] = mapped_column(String(64))
    allocation_key: Mapped[str] = mapped_column(String(128), unique=True)
    attaching: Mapped[bool] = mapped_column(default=False)

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
