"""Levels of compatibility; versions of a dataset's items that hold from a day on."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    level = sa.Column("compatibility", sa.String(24), nullable=False, server_default="backward")
    op.add_column("datasets", level)
    op.add_column("dataset_versions", sa.Column("from_on", sa.Date(), nullable=True))
    op.add_column("dataset_versions", sa.Column("reason", sa.String(2000), nullable=False, server_default=""))
