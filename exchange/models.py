"""Tables of the catalogue, subscriptions, batches, quarantine and deliveries; the records are in the log."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key, NullableDocument

SHARE_TYPES = ("unconditional", "conditional", "none")
UPDATE_MODES = ("incremental", "full")
LIVE_STATES = ("pending", "active", "paused")
GRANTED_STATES = ("active", "paused")
LIVE = text("state IN ('pending', 'active', 'paused')")
CLAIMED = text("state = 'claimed'")
WAITING = text("state = 'waiting'")
CORRECTING = text("corrects_id IS NOT NULL")
REDRIVEN = text("redriven_into IS NOT NULL")
UNSEALED_BATCH = text("message_seq IS NULL AND state = 'settled'")
UNSEALED = text("message_seq IS NULL")


class Dataset(Base):
    """A catalogue entry as it is now; `version` is that of its newest items, `revision` counts edits.

    It ends, at `ended_at`, with the bureau that provides it.
    """

    __tablename__ = "datasets"
    __table_args__ = (
        CheckConstraint("share_type IN ('unconditional', 'conditional', 'none')", name="share_type"),
        CheckConstraint("update_mode IN ('incremental', 'full')", name="update_mode"),
        CheckConstraint("partitions BETWEEN 1 AND 1000", name="partitions"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    code: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    classification: Mapped[str] = mapped_column(String(255), default="")
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"), index=True)
    summary: Mapped[str] = mapped_column(String(4000), default="")
    data_format: Mapped[str] = mapped_column(String(64), default="")
    share_type: Mapped[str] = mapped_column(String(16))
    share_condition: Mapped[str] = mapped_column(String(2000), default="")
    legal_basis: Mapped[str] = mapped_column(String(2000), default="")
    is_open: Mapped[bool] = mapped_column(default=False)
    update_cycle: Mapped[str] = mapped_column(String(64), default="")
    published_on: Mapped[date | None]
    related_code: Mapped[str] = mapped_column(String(64), default="")
    compatibility: Mapped[str] = mapped_column(String(24), default="backward")
    update_mode: Mapped[str] = mapped_column(String(16))
    key_items: Mapped[list[str]]
    partitions: Mapped[int] = mapped_column(default=1)
    topic: Mapped[str] = mapped_column(String(249), unique=True)
    topic_made_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class DatasetVersion(Base):
    """The items of one version of a dataset, as `Item.document` writes them; never changed.

    `id` is the schema's id everywhere. One beyond its dataset's `version` is announced to hold from the day
    `from_on`; `reason` says why a version was forced.
    """

    __tablename__ = "dataset_versions"
    __table_args__ = (UniqueConstraint("dataset_id", "version"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    dataset_id: Mapped[int] = mapped_column(Key, ForeignKey("datasets.id"))
    version: Mapped[int]
    items: Mapped[list[Any]]
    created_at: Mapped[datetime]
    from_on: Mapped[date | None]
    reason: Mapped[str] = mapped_column(String(2000), default="")


class Subscription(Base):
    """A system's right to items of a dataset until a date, inclusive. `mask_key` keys its digests.

    `masks` by item go before the catalogue's own; null there is an item released as it is. `filters`, as
    `Filter.document` writes them, must all hold for a record that is shown. `continues_id` is the one that
    ended before it, of the same system and bureau.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        CheckConstraint(
            "state IN ('pending', 'active', 'paused', 'refused', 'withdrawn', 'revoked', 'expired')",
            name="state",
        ),
        Index(
            "uq_subscriptions_live",
            "dataset_id",
            "system_id",
            unique=True,
            postgresql_where=LIVE,
            sqlite_where=LIVE,
        ),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    dataset_id: Mapped[int] = mapped_column(Key, ForeignKey("datasets.id"), index=True)
    system_id: Mapped[int] = mapped_column(Key, ForeignKey("systems.id"), index=True)
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"), index=True)
    items: Mapped[list[str]]
    masks: Mapped[dict[str, Any]]
    filters: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    purpose: Mapped[str] = mapped_column(String(2000))
    basis: Mapped[str] = mapped_column(String(2000))
    until_on: Mapped[date]
    state: Mapped[str] = mapped_column(String(16), default="pending")
    reason: Mapped[str] = mapped_column(String(2000), default="")
    mask_key: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[int | None] = mapped_column(Key, ForeignKey("cases.id"), index=True)
    continues_id: Mapped[int | None] = mapped_column(Key)
    requested_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1)


class Batch(Base):
    """A batch claimed by its idempotency key, and its receipt; `spans` are there once it is settled.

    `attempts` says how often somebody set about storing it, whether or not they are still at it;
    `corrects_id` is the batch whose quarantined records it brings; `duplicates` were known by their ids;
    `message_seq` is its place in the message log.
    """

    __tablename__ = "batches"
    __table_args__ = (
        UniqueConstraint("dataset_id", "publisher_id", "key"),
        CheckConstraint("state IN ('claimed', 'settled')", name="state"),
        Index("ix_batches_dataset_id_state_id", "dataset_id", "state", "id"),
        Index("ix_batches_claimed", "claimed_at", postgresql_where=CLAIMED, sqlite_where=CLAIMED),
        Index("ix_batches_corrects_id", "corrects_id", postgresql_where=CORRECTING, sqlite_where=CORRECTING),
        Index("ix_batches_unsealed", "id", postgresql_where=UNSEALED_BATCH, sqlite_where=UNSEALED_BATCH),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    dataset_id: Mapped[int] = mapped_column(Key, ForeignKey("datasets.id"))
    publisher_id: Mapped[int] = mapped_column(Key, ForeignKey("systems.id"))
    key: Mapped[str] = mapped_column(String(200))
    marker: Mapped[str] = mapped_column(String(64))
    request_digest: Mapped[str] = mapped_column(String(64))
    update_mode: Mapped[str] = mapped_column(String(16))
    version: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default="claimed")
    attempts: Mapped[int] = mapped_column(default=1, server_default="1")
    received: Mapped[int]
    upserts: Mapped[int]
    deletes: Mapped[int]
    quarantined: Mapped[int]
    duplicates: Mapped[int] = mapped_column(default=0, server_default="0")
    corrects_id: Mapped[int | None] = mapped_column(Key)
    digest: Mapped[str] = mapped_column(String(64))
    digests: Mapped[dict[str, Any]]
    spans: Mapped[dict[str, Any] | None]
    claimed_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    message_seq: Mapped[int | None] = mapped_column(Key)


class QuarantinedRecord(Base):
    """A record that broke the rules: its place in the batch (from 1), why, and `raw` for its provider.

    `waiting`, until it is `redriven`, corrected, into another batch (`corrected`: SM3 of what it is there),
    or `discarded` with a `reason`; a redrive that overwrote newer records has one too.
    """

    __tablename__ = "quarantined_records"
    __table_args__ = (
        UniqueConstraint("batch_id", "place"),
        Index("ix_quarantined_records_waiting", "batch_id", postgresql_where=WAITING, sqlite_where=WAITING),
        Index(
            "ix_quarantined_records_redriven_into",
            "redriven_into",
            postgresql_where=REDRIVEN,
            sqlite_where=REDRIVEN,
        ),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    batch_id: Mapped[int] = mapped_column(Key, ForeignKey("batches.id"))
    place: Mapped[int]
    is_delete: Mapped[bool]
    record_id: Mapped[str | None] = mapped_column(String(128))
    reasons: Mapped[list[Any]]
    raw: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), default="waiting", server_default="waiting")
    redriven_into: Mapped[int | None] = mapped_column(Key)
    corrected: Mapped[str] = mapped_column(String(64), default="", server_default="")
    reason: Mapped[str] = mapped_column(String(2000), default="", server_default="")
    settled_by: Mapped[str] = mapped_column(String(64), default="", server_default="")
    settled_at: Mapped[datetime | None]


class RecordId(Base):
    """An id that a publisher gave a record of a dataset: which batch has it, and the record's digest, SM3.

    It refers to batches without a foreign key, which would cost a look-up for each record.
    """

    __tablename__ = "record_ids"
    __table_args__ = (Index("ix_record_ids_batch_id", "batch_id", postgresql_using="brin"),)

    dataset_id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    publisher_id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    record_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    batch_id: Mapped[int] = mapped_column(Key)


class Delivery(Base):
    """What a subscriber got: `ranges` are [first, last] offsets by partition.

    Count and digests are of what was left after `filters` and `masks`. `outcome` is None while a message, a
    file or a run to a topic is on its way: then it is `done`, or `unconfirmed` where nobody knows whether all
    of it arrived.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_subscription_id_at", "subscription_id", "at"),
        Index("ix_deliveries_unsealed", "id", postgresql_where=UNSEALED, sqlite_where=UNSEALED),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    subscription_id: Mapped[int] = mapped_column(Key, ForeignKey("subscriptions.id"))
    system_id: Mapped[int] = mapped_column(Key, ForeignKey("systems.id"))
    at: Mapped[datetime]
    way: Mapped[str] = mapped_column(String(16))
    items: Mapped[list[str]]
    masks: Mapped[dict[str, Any]]
    filters: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    generation: Mapped[int | None] = mapped_column(Key, ForeignKey("batches.id"))
    ranges: Mapped[dict[str, Any]]
    count: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    digests: Mapped[dict[str, Any]]
    outcome: Mapped[str | None] = mapped_column(String(16))
    acknowledged_at: Mapped[datetime | None]
    message_seq: Mapped[int | None] = mapped_column(Key)


class Position(Base):
    """Where a subscriber goes on without a cursor; `content` is `Place.document`.

    `acknowledged_at` is when it last said that it has what lies before.
    """

    __tablename__ = "positions"

    subscription_id: Mapped[int] = mapped_column(Key, ForeignKey("subscriptions.id"), primary_key=True)
    content: Mapped[dict[str, Any]]
    acknowledged_at: Mapped[datetime | None]
    moved_at: Mapped[datetime]


class Webhook(Base):
    """Where a subscription's records are posted to, and the message that is on its way, if there is one.

    The message is `message_id` with the records between the places `before` and `after`, noted as
    `delivery_id`; it stays until it is answered or skipped. `claim` is who is at it. `next_at` is when there
    may be something to do, and `nudges` counts who said so.
    """

    __tablename__ = "webhooks"
    __table_args__ = (CheckConstraint("state IN ('active', 'paused', 'dead')", name="state"),)

    subscription_id: Mapped[int] = mapped_column(Key, ForeignKey("subscriptions.id"), primary_key=True)
    url: Mapped[str] = mapped_column(String(2000))
    secret: Mapped[str] = mapped_column(String(64))
    old_secret: Mapped[str | None] = mapped_column(String(64))
    old_until_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(String(16), default="active")
    message_id: Mapped[str | None] = mapped_column(String(64))
    delivery_id: Mapped[int | None] = mapped_column(Key, ForeignKey("deliveries.id"))
    before: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)
    after: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)
    attempts: Mapped[int] = mapped_column(default=0)
    last_status: Mapped[int | None]
    last_fault: Mapped[str] = mapped_column(String(16), default="")
    last_tried_at: Mapped[datetime | None]
    next_at: Mapped[datetime] = mapped_column(index=True)
    claim: Mapped[str | None] = mapped_column(String(64))
    claimed_until_at: Mapped[datetime | None]
    nudges: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime]
