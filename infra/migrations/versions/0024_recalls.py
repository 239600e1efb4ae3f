"""Recalls: records that are taken back, and who got any of them."""

import sqlalchemy as sa
from alembic import op

from infra.database import Document, Instant, Key

revision = "0024"
down_revision = "0023"

UNDONE = sa.text("done_at IS NULL")
UNANSWERED = sa.text("answer = ''")


def upgrade() -> None:
    op.create_table(
        "recalls",
        sa.Column("id", Key, nullable=False),
        sa.Column("dataset_id", Key, nullable=False),
        sa.Column("publisher_id", Key, nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("offsets", Document, nullable=False),
        sa.Column("deletes", Document, nullable=False),
        sa.Column("limit_days", sa.Integer(), nullable=False),
        sa.Column("receipt_id", Key, nullable=True),
        sa.Column("begun_by", sa.String(length=64), nullable=False),
        sa.Column("begun_at", Instant(), nullable=False),
        sa.Column("done_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_recalls_dataset_id")),
        sa.ForeignKeyConstraint(["publisher_id"], ["systems.id"], name=op.f("fk_recalls_publisher_id")),
        sa.ForeignKeyConstraint(["receipt_id"], ["batches.id"], name=op.f("fk_recalls_receipt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recalls")),
        sa.UniqueConstraint(
            "dataset_id", "publisher_id", "key", name=op.f("uq_recalls_dataset_id_publisher_id_key")
        ),
    )
    op.create_index(
        "ix_recalls_undone", "recalls", ["begun_at"], postgresql_where=UNDONE, sqlite_where=UNDONE
    )
    op.create_table(
        "recall_receivers",
        sa.Column("id", Key, nullable=False),
        sa.Column("recall_id", Key, nullable=False),
        sa.Column("subscription_id", Key, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ways", Document, nullable=False),
        sa.Column("told_at", Instant(), nullable=False),
        sa.Column("answer", sa.String(length=16), server_default="", nullable=False),
        sa.Column("reason", sa.String(length=2000), server_default="", nullable=False),
        sa.Column("answered_by", sa.String(length=64), server_default="", nullable=False),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.CheckConstraint("answer IN ('', 'deleted', 'kept')", name=op.f("ck_recall_receivers_answer")),
        sa.ForeignKeyConstraint(["recall_id"], ["recalls.id"], name=op.f("fk_recall_receivers_recall_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_recall_receivers_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_receivers")),
        sa.UniqueConstraint(
            "recall_id", "subscription_id", name=op.f("uq_recall_receivers_recall_id_subscription_id")
        ),
    )
    op.create_index(
        "ix_recall_receivers_unanswered",
        "recall_receivers",
        ["id"],
        postgresql_where=UNANSWERED,
        sqlite_where=UNANSWERED,
    )
