"""Tables of exchange/."""

import sqlalchemy as sa
from alembic import op

from infra.database import Document, Instant, Key

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", Key, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("classification", sa.String(length=255), nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("summary", sa.String(length=4000), nullable=False),
        sa.Column("data_format", sa.String(length=64), nullable=False),
        sa.Column("share_type", sa.String(length=16), nullable=False),
        sa.Column("share_condition", sa.String(length=2000), nullable=False),
        sa.Column("legal_basis", sa.String(length=2000), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("update_cycle", sa.String(length=64), nullable=False),
        sa.Column("published_on", sa.Date(), nullable=True),
        sa.Column("related_code", sa.String(length=64), nullable=False),
        sa.Column("update_mode", sa.String(length=16), nullable=False),
        sa.Column("key_items", Document, nullable=False),
        sa.Column("partitions", sa.Integer(), nullable=False),
        sa.Column("topic", sa.String(length=249), nullable=False),
        sa.Column("topic_made_at", Instant(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "share_type IN ('unconditional', 'conditional', 'none')", name=op.f("ck_datasets_share_type")
        ),
        sa.CheckConstraint("update_mode IN ('incremental', 'full')", name=op.f("ck_datasets_update_mode")),
        sa.CheckConstraint("partitions BETWEEN 1 AND 1000", name=op.f("ck_datasets_partitions")),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_datasets_bureau_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("code", name=op.f("uq_datasets_code")),
        sa.UniqueConstraint("topic", name=op.f("uq_datasets_topic")),
    )
    op.create_index(op.f("ix_datasets_bureau_id"), "datasets", ["bureau_id"], unique=False)
    op.create_table(
        "batches",
        sa.Column("id", Key, nullable=False),
        sa.Column("dataset_id", Key, nullable=False),
        sa.Column("publisher_id", Key, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("marker", sa.String(length=64), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("update_mode", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("upserts", sa.Integer(), nullable=False),
        sa.Column("deletes", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("digests", Document, nullable=False),
        sa.Column("spans", Document, nullable=True),
        sa.Column("claimed_at", Instant(), nullable=False),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.CheckConstraint("state IN ('claimed', 'settled')", name=op.f("ck_batches_state")),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_batches_dataset_id")),
        sa.ForeignKeyConstraint(["publisher_id"], ["systems.id"], name=op.f("fk_batches_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint(
            "dataset_id", "publisher_id", "key", name=op.f("uq_batches_dataset_id_publisher_id_key")
        ),
    )
    op.create_index(
        "ix_batches_claimed",
        "batches",
        ["claimed_at"],
        unique=False,
        postgresql_where=sa.text("state = 'claimed'"),
        sqlite_where=sa.text("state = 'claimed'"),
    )
    op.create_index("ix_batches_dataset_id_state_id", "batches", ["dataset_id", "state", "id"], unique=False)
    op.create_table(
        "dataset_versions",
        sa.Column("id", Key, nullable=False),
        sa.Column("dataset_id", Key, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("items", Document, nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_versions_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_versions")),
        sa.UniqueConstraint("dataset_id", "version", name=op.f("uq_dataset_versions_dataset_id_version")),
    )
    op.create_table(
        "quarantined_records",
        sa.Column("id", Key, nullable=False),
        sa.Column("batch_id", Key, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("is_delete", sa.Boolean(), nullable=False),
        sa.Column("reasons", Document, nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_quarantined_records_batch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined_records")),
        sa.UniqueConstraint("batch_id", "place", name=op.f("uq_quarantined_records_batch_id_place")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", Key, nullable=False),
        sa.Column("dataset_id", Key, nullable=False),
        sa.Column("system_id", Key, nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("items", Document, nullable=False),
        sa.Column("masks", Document, nullable=False),
        sa.Column("purpose", sa.String(length=2000), nullable=False),
        sa.Column("basis", sa.String(length=2000), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("mask_key", sa.String(length=64), nullable=False),
        sa.Column("case_id", Key, nullable=True),
        sa.Column("requested_at", Instant(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'active', 'paused', 'refused', 'withdrawn', 'revoked', 'expired')",
            name=op.f("ck_subscriptions_state"),
        ),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_subscriptions_bureau_id")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_subscriptions_case_id")),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_subscriptions_dataset_id")),
        sa.ForeignKeyConstraint(["system_id"], ["systems.id"], name=op.f("fk_subscriptions_system_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
    )
    op.create_index(op.f("ix_subscriptions_bureau_id"), "subscriptions", ["bureau_id"], unique=False)
    op.create_index(op.f("ix_subscriptions_case_id"), "subscriptions", ["case_id"], unique=False)
    op.create_index(op.f("ix_subscriptions_dataset_id"), "subscriptions", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_subscriptions_system_id"), "subscriptions", ["system_id"], unique=False)
    op.create_index(
        "uq_subscriptions_live",
        "subscriptions",
        ["dataset_id", "system_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('pending', 'active', 'paused')"),
        sqlite_where=sa.text("state IN ('pending', 'active', 'paused')"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", Key, nullable=False),
        sa.Column("subscription_id", Key, nullable=False),
        sa.Column("system_id", Key, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("items", Document, nullable=False),
        sa.Column("generation", Key, nullable=True),
        sa.Column("ranges", Document, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("digests", Document, nullable=False),
        sa.ForeignKeyConstraint(["generation"], ["batches.id"], name=op.f("fk_deliveries_generation")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_deliveries_subscription_id")
        ),
        sa.ForeignKeyConstraint(["system_id"], ["systems.id"], name=op.f("fk_deliveries_system_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_subscription_id_at", "deliveries", ["subscription_id", "at"], unique=False)
