"""Tables of hosts that are taken out of service: the plan, whom it meets, and what was moved."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key, NullableDocument

UNDER_WAY = ("planned", "draining", "drained", "ending")
MAINTENANCE_STATES = (*UNDER_WAY, "ended", "cancelled")
ANSWERS = ("agreed", "objected")
WHILE = "state IN ('planned', 'draining', 'drained', 'ending')"


class Maintenance(Base):
    """A compute host is emptied between `from_at` and `until_at`, `live` or with each server stopped.

    `looked_at` is when it was last asked which servers are on it; `left` how many have still to leave it.
    `fault` says in both languages what stands in its way; `overruled` why it begins although a bureau has not
    agreed. A round has the row for itself until `busy_until`; `rounds` tells it whether another one began.
    """

    __tablename__ = "maintenances"
    __table_args__ = (
        CheckConstraint(f"state IN {MAINTENANCE_STATES}", name="state"),
        CheckConstraint("until_at > from_at", name="window"),
        Index(
            "uq_maintenances_under_way",
            "region",
            "host",
            unique=True,
            postgresql_where=text(WHILE),
            sqlite_where=text(WHILE),
        ),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    host: Mapped[str] = mapped_column(String(255))
    live: Mapped[bool]
    reason: Mapped[str] = mapped_column(String(255))
    from_at: Mapped[datetime]
    until_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16), default="planned")
    overruled: Mapped[str] = mapped_column(String(2000), default="")
    planned_by: Mapped[str] = mapped_column(String(64))
    planned_at: Mapped[datetime]
    rounds: Mapped[int] = mapped_column(default=0)
    busy_until: Mapped[datetime | None]
    looked_at: Mapped[datetime | None]
    left: Mapped[int | None]
    ended_at: Mapped[datetime | None]
    fault: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)


class MaintenanceMeets(Base):
    """A bureau with servers on the host, by name; without any, they have all gone elsewhere before it began.

    `answer` None: it has not answered yet, or not since it was told of further servers.
    """

    __tablename__ = "maintenance_meets"
    __table_args__ = (
        UniqueConstraint("maintenance_id", "bureau_id"),
        CheckConstraint(f"answer IN {ANSWERS}", name="answer"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    maintenance_id: Mapped[int] = mapped_column(Key, ForeignKey("maintenances.id"))
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"))
    servers: Mapped[list[str]]
    told_at: Mapped[datetime]
    answer: Mapped[str | None] = mapped_column(String(16))
    answered_by: Mapped[str | None] = mapped_column(String(64))
    answered_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(String(2000), default="")


class MaintenanceMove(Base):
    """A server that was on the host, recorded or not, and is or was moved off it.

    `tries` is how often that was asked of the cloud, `began_at` when it was last. `ended_at` None: it is on
    its way. `to_host` is where it arrived; None with `ended_at`: it came to nothing so far, and `fault` says
    why where the cloud refused.
    """

    __tablename__ = "maintenance_moves"
    __table_args__ = (UniqueConstraint("maintenance_id", "cloud_id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    maintenance_id: Mapped[int] = mapped_column(Key, ForeignKey("maintenances.id"))
    cloud_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    server_id: Mapped[int | None] = mapped_column(Key, ForeignKey("servers.id"), index=True)
    tries: Mapped[int] = mapped_column(default=0)
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    to_host: Mapped[str | None] = mapped_column(String(255))
    fault: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)
