"""Subscriptions' own topics, and what fills them."""

import sqlalchemy as sa
from alembic import op

from infra.database import Document, Instant, Key, NullableDocument

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "relays",
        sa.Column("subscription_id", Key, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("content", Document, nullable=False),
        sa.Column("topic_made_at", Instant(), nullable=True),
        sa.Column("marker", sa.String(length=64), nullable=True),
        sa.Column("delivery_id", Key, nullable=True),
        sa.Column("before", NullableDocument, nullable=True),
        sa.Column("after", NullableDocument, nullable=True),
        sa.Column("holder", sa.String(length=32), nullable=True),
        sa.Column("held_until_at", Instant(), nullable=True),
        sa.Column("nudges", sa.Integer(), nullable=False),
        sa.Column("nudged_at", Instant(), nullable=True),
        sa.Column("reached_at", Instant(), nullable=True),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("salted_password", sa.String(length=128), nullable=False),
        sa.Column("iterations", sa.Integer(), nullable=False),
        sa.Column("issued_at", Instant(), nullable=True),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_relays_delivery_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_relays_subscription_id")
        ),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_relays")),
        sa.UniqueConstraint("name", name=op.f("uq_relays_name")),
    )
