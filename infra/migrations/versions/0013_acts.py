"""Reboots of servers, larger volumes; removal of what is in a cloud and in no record."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from infra.database import Instant, Key, NullableDocument
from infra.migrations.checks import allow, replace

revision = "0013"
down_revision = "0012"

KINDS = (
    *("new_system", "servers", "adoption", "removal", "volumes", "enlargement", "resize", "quota_change"),
    *("extension", "release"),
)
SERVER_STATES = (
    *("pending", "creating", "cleaning", "adopting", "attaching", "pruning", "resizing", "reverting"),
    *("extending", "measuring", "stopping", "starting", "rebooting", "resetting", "expiring", "releasing"),
    *("active", "stopped", "failed", "given_up", "released"),
)


def upgrade() -> None:
    allow("servers", "state", SERVER_STATES)
    allow("requests", "kind", KINDS)
    replace(
        "requests",
        "system",
        "kind = 'quota_change' OR system_id IS NOT NULL",
        "kind IN ('quota_change', 'removal') OR system_id IS NOT NULL",
    )
    op.add_column("volumes", sa.Column("wanted_gib", sa.BigInteger(), nullable=True))
    op.add_column("request_lines", sa.Column("volume_id", Key, nullable=True))
    op.add_column("request_lines", sa.Column("finding_id", Key, nullable=True))
    op.create_index(op.f("ix_request_lines_finding_id"), "request_lines", ["finding_id"], unique=False)
    op.create_table(
        "removals",
        sa.Column("id", Key, nullable=False),
        sa.Column("line_id", Key, nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("thing", sa.String(length=16), nullable=False),
        sa.Column("cloud_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("tag", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since_at", Instant(), nullable=False),
        sa.Column("visits", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("next_try_at", Instant(), nullable=True),
        sa.Column("fault", NullableDocument, nullable=True),
        sa.CheckConstraint(
            "state IN ('checking', 'deleting', 'removed', 'failed')", name=op.f("ck_removals_state")
        ),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_removals_bureau_id")),
        sa.ForeignKeyConstraint(["line_id"], ["request_lines.id"], name=op.f("fk_removals_line_id")),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_removals_region")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removals")),
        sa.UniqueConstraint("line_id", name=op.f("uq_removals_line_id")),
        sa.UniqueConstraint("tag", name=op.f("uq_removals_tag")),
    )
    still: dict[str, Any] = {
        "postgresql_where": sa.text("state IN ('checking', 'deleting')"),
        "sqlite_where": sa.text("state IN ('checking', 'deleting')"),
    }
    op.create_index("uq_removals_cloud_id", "removals", ["region", "cloud_id"], unique=True, **still)
    op.create_index("ix_removals_state_next", "removals", ["state", "next_try_at"], unique=False)
