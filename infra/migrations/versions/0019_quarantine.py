"""What became of quarantined records, which batch corrects which, and the ids that publishers give records.

Records that are in quarantine already wait.
"""

import sqlalchemy as sa
from alembic import op

from infra.database import Instant, Key

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("batches", sa.Column("duplicates", sa.Integer(), server_default="0", nullable=False))
    op.add_column("batches", sa.Column("corrects_id", Key, nullable=True))
    correcting = sa.text("corrects_id IS NOT NULL")
    op.create_index(
        op.f("ix_batches_corrects_id"),
        "batches",
        ["corrects_id"],
        postgresql_where=correcting,
        sqlite_where=correcting,
    )
    for column in (
        sa.Column("record_id", sa.String(length=128), nullable=True),
        sa.Column("state", sa.String(length=16), server_default="waiting", nullable=False),
        sa.Column("redriven_into", Key, nullable=True),
        sa.Column("corrected", sa.String(length=64), server_default="", nullable=False),
        sa.Column("reason", sa.String(length=2000), server_default="", nullable=False),
        sa.Column("settled_by", sa.String(length=64), server_default="", nullable=False),
        sa.Column("settled_at", Instant(), nullable=True),
    ):
        op.add_column("quarantined_records", column)
    waiting, redriven = sa.text("state = 'waiting'"), sa.text("redriven_into IS NOT NULL")
    op.create_index(
        op.f("ix_quarantined_records_waiting"),
        "quarantined_records",
        ["batch_id"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
    op.create_index(
        op.f("ix_quarantined_records_redriven_into"),
        "quarantined_records",
        ["redriven_into"],
        postgresql_where=redriven,
        sqlite_where=redriven,
    )
    op.create_table(
        "record_ids",
        sa.Column("dataset_id", Key, autoincrement=False, nullable=False),
        sa.Column("publisher_id", Key, autoincrement=False, nullable=False),
        sa.Column("record_id", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("batch_id", Key, nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "publisher_id", "record_id", name=op.f("pk_record_ids")),
    )
    op.create_index(op.f("ix_record_ids_batch_id"), "record_ids", ["batch_id"], postgresql_using="brin")
