"""Calls that were made under an idempotency key, and what was answered."""

import sqlalchemy as sa
from alembic import op

from infra.database import Document, Instant, Key

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "answered_calls",
        sa.Column("id", Key, nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("call", sa.String(length=512), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("answer", Document, nullable=False),
        sa.Column("called_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answered_calls")),
        sa.UniqueConstraint("actor", "key", name=op.f("uq_answered_calls_actor_key")),
    )
    op.create_index(op.f("ix_answered_calls_called_at"), "answered_calls", ["called_at"])
