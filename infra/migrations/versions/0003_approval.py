"""Tables of approval/."""

import sqlalchemy as sa
from alembic import op

from infra.database import Document, Instant, Key

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "case_counters",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("year", name=op.f("pk_case_counters")),
    )
    op.create_table(
        "items",
        sa.Column("id", Key, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name_zh", sa.String(length=255), nullable=False),
        sa.Column("name_en", sa.String(length=255), nullable=False),
        sa.Column("asked_of", sa.String(length=16), nullable=False),
        sa.Column("materials", Document, nullable=False),
        sa.Column("steps", Document, nullable=False),
        sa.Column("promised_days", sa.Integer(), nullable=False),
        sa.Column("statutory_days", sa.Integer(), nullable=False),
        sa.Column("supplement_days", sa.Integer(), nullable=False),
        sa.Column("supplement_answer_days", sa.Integer(), nullable=False),
        sa.Column("loaded_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "promised_days > 0 AND promised_days <= statutory_days", name=op.f("ck_items_limits")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_items")),
        sa.UniqueConstraint("code", "version", name=op.f("uq_items_code_version")),
    )
    op.create_table(
        "cases",
        sa.Column("id", Key, nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("item_id", Key, nullable=False),
        sa.Column("applicant_id", Key, nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("subject_kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", Key, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("submitted_at", Instant(), nullable=True),
        sa.Column("accepted_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.CheckConstraint("(state = 'decided') = (outcome IS NOT NULL)", name=op.f("ck_cases_outcome")),
        sa.CheckConstraint(
            "state IN ('draft', 'submitted', 'supplement', 'accepted', 'returned', 'decided', 'withdrawn', 'abandoned')",
            name=op.f("ck_cases_state"),
        ),
        sa.ForeignKeyConstraint(["applicant_id"], ["persons.id"], name=op.f("fk_cases_applicant_id")),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_cases_bureau_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_cases_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("number", name=op.f("uq_cases_number")),
    )
    op.create_index(op.f("ix_cases_applicant_id"), "cases", ["applicant_id"], unique=False)
    op.create_index(op.f("ix_cases_bureau_id"), "cases", ["bureau_id"], unique=False)
    op.create_index(op.f("ix_cases_item_id"), "cases", ["item_id"], unique=False)
    op.create_index("ix_cases_state", "cases", ["state", "id"], unique=False)
    op.create_index("ix_cases_subject", "cases", ["subject_kind", "subject_id"], unique=False)
    op.create_table(
        "notices",
        sa.Column("id", Key, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("facts", Document, nullable=False),
        sa.Column("person_id", Key, nullable=True),
        sa.Column("role", sa.String(length=32), nullable=True),
        sa.Column("bureau_id", Key, nullable=True),
        sa.Column("subject_kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", Key, nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("read_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "(person_id IS NOT NULL AND role IS NULL AND bureau_id IS NULL) OR (person_id IS NULL AND role IS NOT NULL AND bureau_id IS NOT NULL)",
            name=op.f("ck_notices_recipient"),
        ),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_notices_bureau_id")),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_notices_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("key", name=op.f("uq_notices_key")),
    )
    op.create_index(op.f("ix_notices_person_id"), "notices", ["person_id"], unique=False)
    op.create_index("ix_notices_role_bureau_id", "notices", ["role", "bureau_id"], unique=False)
    op.create_table(
        "case_branches",
        sa.Column("id", Key, nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_branches_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_branches")),
        sa.UniqueConstraint("case_id", "key", name=op.f("uq_case_branches_case_id_key")),
    )
    op.create_table(
        "supplements",
        sa.Column("id", Key, nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.Column("asked_by", Key, nullable=False),
        sa.Column("missing", sa.String(length=2000), nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["asked_by"], ["persons.id"], name=op.f("fk_supplements_asked_by")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_supplements_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supplements")),
        sa.UniqueConstraint("case_id", name=op.f("uq_supplements_case_id")),
    )
    op.create_table(
        "suspensions",
        sa.Column("id", Key, nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("last_on", sa.Date(), nullable=True),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.CheckConstraint(
            "kind IN ('supplement', 'hearing', 'inspection', 'testing', 'quarantine', 'appraisal', 'expert_review')",
            name=op.f("ck_suspensions_kind"),
        ),
        sa.CheckConstraint("last_on IS NULL OR last_on >= first_on", name=op.f("ck_suspensions_interval")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_suspensions_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspensions")),
    )
    op.create_index(op.f("ix_suspensions_case_id"), "suspensions", ["case_id"], unique=False)
    op.create_index(
        "uq_suspensions_open",
        "suspensions",
        ["case_id", "kind"],
        unique=True,
        postgresql_where=sa.text("last_on IS NULL"),
        sqlite_where=sa.text("last_on IS NULL"),
    )
    op.create_table(
        "case_steps",
        sa.Column("id", Key, nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.Column("branch_id", Key, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=True),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("began_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'active', 'done', 'void')", name=op.f("ck_case_steps_state")
        ),
        sa.ForeignKeyConstraint(["branch_id"], ["case_branches.id"], name=op.f("fk_case_steps_branch_id")),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_case_steps_bureau_id")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_steps_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_steps")),
        sa.UniqueConstraint("branch_id", "round", "key", name=op.f("uq_case_steps_branch_id_round_key")),
    )
    op.create_index(op.f("ix_case_steps_case_id"), "case_steps", ["case_id"], unique=False)
    op.create_index(
        "ix_case_steps_inbox",
        "case_steps",
        ["role", "bureau_id"],
        unique=False,
        postgresql_where=sa.text("state = 'active'"),
        sqlite_where=sa.text("state = 'active'"),
    )
    op.create_index(
        "uq_case_steps_active",
        "case_steps",
        ["branch_id"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
        sqlite_where=sa.text("state = 'active'"),
    )
    op.create_table(
        "case_decisions",
        sa.Column("id", Key, nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.Column("step_id", Key, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("person_id", Key, nullable=True),
        sa.Column("basis", sa.String(length=16), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("revision_seen", sa.Integer(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.Column("voided_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "(basis = 'person') = (person_id IS NOT NULL)", name=op.f("ck_case_decisions_person")
        ),
        sa.CheckConstraint(
            "basis IN ('person', 'silence', 'automatic')", name=op.f("ck_case_decisions_basis")
        ),
        sa.CheckConstraint(
            "decision IN ('approve', 'refuse', 'return')", name=op.f("ck_case_decisions_decision")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_decisions_case_id")),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_case_decisions_person_id")),
        sa.ForeignKeyConstraint(["step_id"], ["case_steps.id"], name=op.f("fk_case_decisions_step_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_decisions")),
        sa.UniqueConstraint("step_id", name=op.f("uq_case_decisions_step_id")),
    )
    op.create_index(op.f("ix_case_decisions_case_id"), "case_decisions", ["case_id"], unique=False)
    op.create_index(op.f("ix_case_decisions_person_id"), "case_decisions", ["person_id"], unique=False)
    op.create_table(
        "clocks",
        sa.Column("id", Key, nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.Column("branch_id", Key, nullable=True),
        sa.Column("step_id", Key, nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("budget_days", sa.Integer(), nullable=False),
        sa.Column("start_on", sa.Date(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("missed_due_on", sa.Date(), nullable=True),
        sa.CheckConstraint("kind IN ('acceptance', 'handling', 'step')", name=op.f("ck_clocks_kind")),
        sa.CheckConstraint("budget_days > 0", name=op.f("ck_clocks_budget")),
        sa.ForeignKeyConstraint(["branch_id"], ["case_branches.id"], name=op.f("fk_clocks_branch_id")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_clocks_case_id")),
        sa.ForeignKeyConstraint(["step_id"], ["case_steps.id"], name=op.f("fk_clocks_step_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clocks")),
    )
    op.create_index(op.f("ix_clocks_case_id"), "clocks", ["case_id"], unique=False)
    op.create_index(
        "ix_clocks_running",
        "clocks",
        ["id"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "alarms",
        sa.Column("id", Key, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.Column("clock_id", Key, nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("raised_at", Instant(), nullable=False),
        sa.Column("cleared_at", Instant(), nullable=True),
        sa.CheckConstraint("kind IN ('calendar_not_published')", name=op.f("ck_alarms_kind")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_alarms_case_id")),
        sa.ForeignKeyConstraint(["clock_id"], ["clocks.id"], name=op.f("fk_alarms_clock_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
    )
    op.create_index(op.f("ix_alarms_case_id"), "alarms", ["case_id"], unique=False)
    op.create_index(
        "uq_alarms_open",
        "alarms",
        ["clock_id", "kind"],
        unique=True,
        postgresql_where=sa.text("cleared_at IS NULL"),
        sqlite_where=sa.text("cleared_at IS NULL"),
    )
