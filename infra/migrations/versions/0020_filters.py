"""Which records subscriptions show, and under which filters deliveries were made."""

import sqlalchemy as sa
from alembic import op

from infra.database import Document

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("subscriptions", sa.Column("filters", Document, nullable=False, server_default="[]"))
    op.add_column("deliveries", sa.Column("filters", Document, nullable=False, server_default="[]"))
