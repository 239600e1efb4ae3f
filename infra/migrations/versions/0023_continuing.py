"""Subscriptions that are granted anew: which earlier one they continue."""

import sqlalchemy as sa
from alembic import op

from infra.database import Key

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    with op.batch_alter_table("subscriptions") as table:
        table.add_column(sa.Column("continues_id", Key, nullable=True))
