"""What audits of the clouds found."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from infra.database import Document, Instant, Key, NullableDocument

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "audits",
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("began_at", Instant(), nullable=True),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("failed_at", Instant(), nullable=True),
        sa.Column("fault", NullableDocument, nullable=True),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_audits_region")),
        sa.PrimaryKeyConstraint("region", "scope", name=op.f("pk_audits")),
    )
    op.create_table(
        "findings",
        sa.Column("id", Key, nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("bureau_id", Key, nullable=True),
        sa.Column("server_id", Key, nullable=True),
        sa.Column("cloud_id", sa.String(length=64), nullable=True),
        sa.Column("facts", Document, nullable=False),
        sa.Column("first_seen_at", Instant(), nullable=False),
        sa.Column("last_seen_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("acknowledged_at", Instant(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_findings_bureau_id")),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_findings_region")),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_findings_server_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
    )
    still: dict[str, Any] = {
        "postgresql_where": sa.text("ended_at IS NULL"),
        "sqlite_where": sa.text("ended_at IS NULL"),
    }
    op.create_index("uq_findings_open", "findings", ["region", "kind", "subject"], unique=True, **still)
    op.create_index("ix_findings_open_bureau_id", "findings", ["bureau_id"], unique=False, **still)
    op.create_index("ix_findings_server_id", "findings", ["server_id"], unique=False)
