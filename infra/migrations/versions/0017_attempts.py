"""How often somebody set about storing a batch that is claimed."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("batches", sa.Column("attempts", sa.Integer(), server_default="1", nullable=False))
