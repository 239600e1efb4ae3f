"""Tables of infra/."""

import sqlalchemy as sa
from alembic import op

from infra.database import Document, Instant, Key

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "calendar_years",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("imported_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("year", name=op.f("pk_calendar_years")),
    )
    op.create_table(
        "journal_entries",
        sa.Column("id", Key, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("act", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("bureau_id", Key, nullable=True),
        sa.Column("before", Document, nullable=True),
        sa.Column("after", Document, nullable=True),
        sa.Column("personal", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entries")),
    )
    op.create_index(op.f("ix_journal_entries_at"), "journal_entries", ["at"], unique=False)
    op.create_index(op.f("ix_journal_entries_bureau_id"), "journal_entries", ["bureau_id"], unique=False)
    op.create_index(op.f("ix_journal_entries_subject"), "journal_entries", ["subject"], unique=False)
    op.create_table(
        "journal_seals",
        sa.Column("seq", Key, autoincrement=False, nullable=False),
        sa.Column("entry_id", Key, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_journal_seals")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_journal_seals_entry_id")),
    )
    op.create_table(
        "journal_unsealed",
        sa.Column("entry_id", Key, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_journal_unsealed")),
    )
    op.create_table(
        "calendar_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.CheckConstraint("kind IN ('holiday', 'workday')", name=op.f("ck_calendar_days_kind")),
        sa.ForeignKeyConstraint(["year"], ["calendar_years.year"], name=op.f("fk_calendar_days_year")),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_days")),
    )
    op.create_index(op.f("ix_calendar_days_year"), "calendar_days", ["year"], unique=False)
    by_hand()


# --- by hand

POSTGRESQL = (
    """
    CREATE FUNCTION journal_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP;
    END $$
    """,
    """
    CREATE FUNCTION journal_queue() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO journal_unsealed (entry_id) SELECT id FROM added ON CONFLICT DO NOTHING;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION journal_keep_queued() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM gone WHERE NOT EXISTS
                   (SELECT FROM journal_seals WHERE journal_seals.entry_id = gone.entry_id)) THEN
            RAISE EXCEPTION 'journal_unsealed keeps what is not sealed: DELETE refused';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER journal_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_entries
    FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse()
    """,
    """
    CREATE TRIGGER journal_seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_seals
    FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse()
    """,
    """
    CREATE TRIGGER journal_unsealed_append_only BEFORE UPDATE OR TRUNCATE ON journal_unsealed
    FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse()
    """,
    """
    CREATE TRIGGER journal_unsealed_keep AFTER DELETE ON journal_unsealed
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION journal_keep_queued()
    """,
    """
    CREATE TRIGGER journal_entries_queue AFTER INSERT ON journal_entries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION journal_queue()
    """,
)

SQLITE = (
    """
    CREATE TRIGGER journal_entries_no_update BEFORE UPDATE ON journal_entries
    BEGIN SELECT RAISE(ABORT, 'journal_entries is append-only: UPDATE refused'); END
    """,
    """
    CREATE TRIGGER journal_entries_no_delete BEFORE DELETE ON journal_entries
    BEGIN SELECT RAISE(ABORT, 'journal_entries is append-only: DELETE refused'); END
    """,
    """
    CREATE TRIGGER journal_entries_no_replace BEFORE INSERT ON journal_entries
    WHEN EXISTS (SELECT 1 FROM journal_entries WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'journal_entries is append-only: REPLACE refused'); END
    """,
    """
    CREATE TRIGGER journal_seals_no_update BEFORE UPDATE ON journal_seals
    BEGIN SELECT RAISE(ABORT, 'journal_seals is append-only: UPDATE refused'); END
    """,
    """
    CREATE TRIGGER journal_seals_no_delete BEFORE DELETE ON journal_seals
    BEGIN SELECT RAISE(ABORT, 'journal_seals is append-only: DELETE refused'); END
    """,
    """
    CREATE TRIGGER journal_seals_no_replace BEFORE INSERT ON journal_seals
    WHEN EXISTS (SELECT 1 FROM journal_seals WHERE seq = NEW.seq OR entry_id = NEW.entry_id)
    BEGIN SELECT RAISE(ABORT, 'journal_seals is append-only: REPLACE refused'); END
    """,
    """
    CREATE TRIGGER journal_unsealed_no_update BEFORE UPDATE ON journal_unsealed
    BEGIN SELECT RAISE(ABORT, 'journal_unsealed is append-only: UPDATE refused'); END
    """,
    """
    CREATE TRIGGER journal_unsealed_keep BEFORE DELETE ON journal_unsealed
    WHEN NOT EXISTS (SELECT 1 FROM journal_seals WHERE entry_id = OLD.entry_id)
    BEGIN SELECT RAISE(ABORT, 'journal_unsealed keeps what is not sealed: DELETE refused'); END
    """,
    """
    CREATE TRIGGER journal_entries_queue AFTER INSERT ON journal_entries
    BEGIN INSERT OR IGNORE INTO journal_unsealed (entry_id) VALUES (NEW.id); END
    """,
)


def by_hand() -> None:
    """The journal is append-only, and what is added to it waits for the sealer until it is sealed."""
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)
