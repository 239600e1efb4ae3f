"""Webhooks of subscriptions: where records are sent, what is on its way, and how deliveries ended."""

import sqlalchemy as sa
from alembic import op

from infra.database import Instant, Key, NullableDocument

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("outcome", sa.String(16), nullable=True))
    op.execute("UPDATE deliveries SET outcome = 'done'")
    op.create_table(
        "webhooks",
        sa.Column("subscription_id", Key, nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("secret", sa.String(64), nullable=False),
        sa.Column("old_secret", sa.String(64), nullable=True),
        sa.Column("old_until_at", Instant(), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("message_id", sa.String(64), nullable=True),
        sa.Column("delivery_id", Key, nullable=True),
        sa.Column("before", NullableDocument, nullable=True),
        sa.Column("after", NullableDocument, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_fault", sa.String(16), nullable=False),
        sa.Column("last_tried_at", Instant(), nullable=True),
        sa.Column("next_at", Instant(), nullable=False),
        sa.Column("claim", sa.String(64), nullable=True),
        sa.Column("claimed_until_at", Instant(), nullable=True),
        sa.Column("nudges", sa.Integer(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'paused', 'dead')", name=op.f("ck_webhooks_state")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_webhooks_subscription_id")
        ),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_webhooks_delivery_id")),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_webhooks")),
    )
    op.create_index("ix_webhooks_next_at", "webhooks", ["next_at"])
