"""Servers that the cloud had before the records: which one a line names, and where it stands."""

import sqlalchemy as sa
from alembic import op

from infra.database import NullableDocument
from infra.migrations.checks import allow

revision = "0011"
down_revision = "0010"

KINDS = ("new_system", "servers", "adoption", "volumes", "resize", "quota_change", "extension", "release")
SERVER_STATES = (
    *("pending", "creating", "cleaning", "adopting", "attaching", "pruning", "resizing", "reverting"),
    *("stopping", "starting", "expiring", "releasing"),
    *("active", "stopped", "failed", "given_up", "released"),
)


def upgrade() -> None:
    op.add_column("request_lines", sa.Column("cloud_id", sa.String(length=64), nullable=True))
    op.add_column("request_lines", sa.Column("seen", NullableDocument, nullable=True))
    op.create_index(op.f("ix_request_lines_cloud_id"), "request_lines", ["cloud_id"], unique=False)
    op.add_column("servers", sa.Column("project", sa.String(length=64), nullable=True))
    op.create_index("uq_servers_region_cloud_id", "servers", ["region", "cloud_id"], unique=True)
    op.create_index("uq_volumes_cloud_id", "volumes", ["cloud_id"], unique=True)
    allow("requests", "kind", KINDS)
    allow("servers", "state", SERVER_STATES)
