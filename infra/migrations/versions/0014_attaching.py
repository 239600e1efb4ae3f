"""Which volumes the last visit of their server asked to attach."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("volumes", sa.Column("attaching", sa.Boolean(), nullable=False, server_default=sa.false()))
