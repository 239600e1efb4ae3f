"""Slots of the schedule that were sent."""

import sqlalchemy as sa
from alembic import op

from infra.database import Instant

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "beat_slots",
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("slot_at", Instant(), nullable=False),
        sa.Column("sent_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("task", "slot_at", name=op.f("pk_beat_slots")),
    )
