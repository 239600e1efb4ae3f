"""Table of things in clouds that are in no record and are being removed."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key, NullableDocument
from provisioning.models.amounts import one_of

REMOVING = ("checking", "deleting")
REMOVAL_STATES = (*REMOVING, "removed", "failed")
STILL: dict[str, Any] = {
    "postgresql_where": text("state IN ('checking', 'deleting')"),
    "sqlite_where": text("state IN ('checking', 'deleting')"),
}


class Removal(Base):
    """One server, volume or address of a verified request, and the job of removing it.

    `checking` may end in `failed`, and nothing was done. From `deleting` there is no way but to the end: only
    in that state is it deleted, and nothing is adopted that is in either. `next_try_at`, `visits`,
    `attempts`, `refusals` and `fault` are as those of a server; `asked` is how often a snapshot of it was
    asked for, which bears `tag` with '-last'.
    """

    __tablename__ = "removals"
    __table_args__ = (
        one_of("state", REMOVAL_STATES),
        Index("uq_removals_cloud_id", "region", "cloud_id", unique=True, **STILL),
        Index("ix_removals_state_next", "state", "next_try_at"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    line_id: Mapped[int] = mapped_column(Key, ForeignKey("request_lines.id"), unique=True)
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"))
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    thing: Mapped[str] = mapped_column(String(16))
    cloud_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    tag: Mapped[str] = mapped_column(String(32), unique=True)
    state: Mapped[str] = mapped_column(String(16), default="checking")
    since_at: Mapped[datetime]
    visits: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    refusals: Mapped[int] = mapped_column(default=0)
    asked: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    fault: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)
