"""Tables of recalls: which records were published wrongly, who got any of them, and what those did."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key

UNDONE = text("done_at IS NULL")
UNANSWERED = text("answer = ''")


class Recall(Base):
    """Records that a provider's system takes back, at `offsets` by partition, under its idempotency `key`.

    `deletes` are the keys that are deleted, in the batch `receipt_id` once that is there: not those of which
    something newer was published. What they are does not change any more. `limit_days` are work days.
    """

    __tablename__ = "recalls"
    __table_args__ = (
        UniqueConstraint("dataset_id", "publisher_id", "key"),
        Index("ix_recalls_undone", "begun_at", postgresql_where=UNDONE, sqlite_where=UNDONE),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    dataset_id: Mapped[int] = mapped_column(Key, ForeignKey("datasets.id"))
    publisher_id: Mapped[int] = mapped_column(Key, ForeignKey("systems.id"))
    key: Mapped[str] = mapped_column(String(100))
    request_digest: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(2000))
    offsets: Mapped[dict[str, Any]]
    deletes: Mapped[list[Any]]
    limit_days: Mapped[int]
    receipt_id: Mapped[int | None] = mapped_column(Key, ForeignKey("batches.id"))
    begun_by: Mapped[str] = mapped_column(String(64))
    begun_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class RecallReceiver(Base):
    """A subscription that got `count` of a recall's records; its `answer` is '' until it is given.

    `told_at` begins its limit.
    """

    __tablename__ = "recall_receivers"
    __table_args__ = (
        UniqueConstraint("recall_id", "subscription_id"),
        CheckConstraint("answer IN ('', 'deleted', 'kept')", name="answer"),
        Index("ix_recall_receivers_unanswered", "id", postgresql_where=UNANSWERED, sqlite_where=UNANSWERED),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    recall_id: Mapped[int] = mapped_column(Key, ForeignKey("recalls.id"))
    subscription_id: Mapped[int] = mapped_column(Key, ForeignKey("subscriptions.id"))
    count: Mapped[int]
    ways: Mapped[list[str]]
    told_at: Mapped[datetime]
    answer: Mapped[str] = mapped_column(String(16), default="", server_default="")
    reason: Mapped[str] = mapped_column(String(2000), default="", server_default="")
    answered_by: Mapped[str] = mapped_column(String(64), default="", server_default="")
    answered_at: Mapped[datetime | None]
