"""Tables of what an audit finds different between the records and a cloud."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key, NullableDocument

STILL: dict[str, Any] = {
    "postgresql_where": text("ended_at IS NULL"),
    "sqlite_where": text("ended_at IS NULL"),
}


class Audit(Base):
    """The last audit of a region in one scope: when its listing began, and why the last one came to nothing.

    `fault` says so in both languages, with `failed_at`; both are null once an audit was whole.
    """

    __tablename__ = "audits"

    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"), primary_key=True)
    scope: Mapped[str] = mapped_column(String(16), primary_key=True)
    began_at: Mapped[datetime | None]
    seen: Mapped[int] = mapped_column(default=0)
    failed_at: Mapped[datetime | None]
    fault: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)


class Finding(Base):
    """One difference, from the audit that saw it first until one that saw it no more.

    `subject` is what it is about, such as `server:<id in the cloud>` or `record:server:<our id>`; of a kind
    there is one open finding a subject. `bureau_id` is its owner, where that is known. `acknowledged_by` said
    that it may stay for `reason`; that lapses when `facts` change.
    """

    __tablename__ = "findings"
    __table_args__ = (
        Index("uq_findings_open", "region", "kind", "subject", unique=True, **STILL),
        Index("ix_findings_open_bureau_id", "bureau_id", **STILL),
        Index("ix_findings_server_id", "server_id"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(160))
    name: Mapped[str] = mapped_column(String(255))
    bureau_id: Mapped[int | None] = mapped_column(Key, ForeignKey("bureaus.id"))
    server_id: Mapped[int | None] = mapped_column(Key, ForeignKey("servers.id"))
    cloud_id: Mapped[str | None] = mapped_column(String(64))
    facts: Mapped[dict[str, Any]]
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(2000), default="")
