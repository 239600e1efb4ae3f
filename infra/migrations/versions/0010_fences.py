"""Quotas that not every service of a cloud took; projects of bureaus that are no more."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from infra.database import Instant

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("quota_accounts", sa.Column("inconsistent_at", Instant(), nullable=True))
    op.add_column(
        "quota_accounts",
        sa.Column(
            "service_faults",
            sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql"),
            nullable=True,
        ),
    )
    op.add_column("pushed_quotas", sa.Column("retired_at", Instant(), nullable=True))
