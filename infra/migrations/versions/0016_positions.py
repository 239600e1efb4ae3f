"""Where subscribers stand; under which masks deliveries were made, and which are acknowledged.

What was delivered before has no masks written down, and cannot be counted anew where there were some.
"""

import sqlalchemy as sa
from alembic import op

from infra.database import Document, Instant, Key

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("acknowledged_at", Instant(), nullable=True))
    op.add_column("deliveries", sa.Column("masks", Document, nullable=False, server_default="{}"))
    op.create_table(
        "positions",
        sa.Column("subscription_id", Key, nullable=False),
        sa.Column("content", Document, nullable=False),
        sa.Column("acknowledged_at", Instant(), nullable=True),
        sa.Column("moved_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_positions_subscription_id")
        ),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_positions")),
    )
