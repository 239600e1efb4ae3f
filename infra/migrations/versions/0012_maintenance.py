"""Hosts that are taken out of service."""

import sqlalchemy as sa
from alembic import op

from infra.database import Document, Instant, Key, NullableDocument

revision = "0012"
down_revision = "0011"

WHILE = "state IN ('planned', 'draining', 'drained', 'ending')"


def upgrade() -> None:
    op.create_table(
        "maintenances",
        sa.Column("id", Key, nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("from_at", Instant(), nullable=False),
        sa.Column("until_at", Instant(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("overruled", sa.String(length=2000), nullable=False),
        sa.Column("planned_by", sa.String(length=64), nullable=False),
        sa.Column("planned_at", Instant(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("busy_until", Instant(), nullable=True),
        sa.Column("looked_at", Instant(), nullable=True),
        sa.Column("left", sa.Integer(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("fault", NullableDocument, nullable=True),
        sa.CheckConstraint(
            "state IN ('planned', 'draining', 'drained', 'ending', 'ended', 'cancelled')",
            name=op.f("ck_maintenances_state"),
        ),
        sa.CheckConstraint("until_at > from_at", name=op.f("ck_maintenances_window")),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_maintenances_region")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenances")),
    )
    op.create_index(
        "uq_maintenances_under_way",
        "maintenances",
        ["region", "host"],
        unique=True,
        postgresql_where=sa.text(WHILE),
        sqlite_where=sa.text(WHILE),
    )
    op.create_table(
        "maintenance_meets",
        sa.Column("id", Key, nullable=False),
        sa.Column("maintenance_id", Key, nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("servers", Document, nullable=False),
        sa.Column("told_at", Instant(), nullable=False),
        sa.Column("answer", sa.String(length=16), nullable=True),
        sa.Column("answered_by", sa.String(length=64), nullable=True),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.CheckConstraint("answer IN ('agreed', 'objected')", name=op.f("ck_maintenance_meets_answer")),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_maintenance_meets_bureau_id")),
        sa.ForeignKeyConstraint(
            ["maintenance_id"], ["maintenances.id"], name=op.f("fk_maintenance_meets_maintenance_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_meets")),
        sa.UniqueConstraint(
            "maintenance_id", "bureau_id", name=op.f("uq_maintenance_meets_maintenance_id_bureau_id")
        ),
    )
    op.create_table(
        "maintenance_moves",
        sa.Column("id", Key, nullable=False),
        sa.Column("maintenance_id", Key, nullable=False),
        sa.Column("cloud_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("server_id", Key, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("began_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("to_host", sa.String(length=255), nullable=True),
        sa.Column("fault", NullableDocument, nullable=True),
        sa.ForeignKeyConstraint(
            ["maintenance_id"], ["maintenances.id"], name=op.f("fk_maintenance_moves_maintenance_id")
        ),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_maintenance_moves_server_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_moves")),
        sa.UniqueConstraint(
            "maintenance_id", "cloud_id", name=op.f("uq_maintenance_moves_maintenance_id_cloud_id")
        ),
    )
    op.create_index("ix_maintenance_moves_server_id", "maintenance_moves", ["server_id"], unique=False)
