"""The message log of the exchange: receipts and deliveries in a chain, and its signed heads."""

import sqlalchemy as sa
from alembic import op

from infra.database import Instant, Key

revision = "0018"
down_revision = "0017"

UNSEALED = {
    "batches": sa.text("message_seq IS NULL AND state = 'settled'"),
    "deliveries": sa.text("message_seq IS NULL"),
}


def upgrade() -> None:
    op.create_table(
        "messages",
        sa.Column("seq", Key, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("about_id", Key, nullable=False),
        sa.Column("dataset_id", Key, nullable=False),
        sa.Column("subscription_id", Key, nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_messages")),
        sa.UniqueConstraint("kind", "about_id", name=op.f("uq_messages_kind_about_id")),
    )
    op.create_index("ix_messages_dataset_id_seq", "messages", ["dataset_id", "seq"])
    op.create_index("ix_messages_subscription_id_seq", "messages", ["subscription_id", "seq"])
    op.create_table(
        "message_heads",
        sa.Column("seq", Key, autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at", sa.String(length=40), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_message_heads")),
    )
    for table, unsealed in UNSEALED.items():
        op.add_column(table, sa.Column("message_seq", Key, nullable=True))
        op.create_index(
            f"ix_{table}_unsealed", table, ["id"], postgresql_where=unsealed, sqlite_where=unsealed
        )
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


POSTGRESQL = (
    """
    CREATE TRIGGER messages_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON messages
    FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse()
    """,
)

SQLITE = (
    """
    CREATE TRIGGER messages_no_update BEFORE UPDATE ON messages
    BEGIN SELECT RAISE(ABORT, 'messages is append-only: UPDATE refused'); END
    """,
    """
    CREATE TRIGGER messages_no_delete BEFORE DELETE ON messages
    BEGIN SELECT RAISE(ABORT, 'messages is append-only: DELETE refused'); END
    """,
    """
    CREATE TRIGGER messages_no_replace BEFORE INSERT ON messages
    WHEN EXISTS (SELECT 1 FROM messages WHERE seq = NEW.seq OR (kind = NEW.kind AND about_id = NEW.about_id))
    BEGIN SELECT RAISE(ABORT, 'messages is append-only: REPLACE refused'); END
    """,
)
