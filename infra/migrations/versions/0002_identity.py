"""Tables of identity/."""

import sqlalchemy as sa
from alembic import op

from infra.database import Document, Instant, Key

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "bureaus",
        sa.Column("id", Key, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("parent_id", Key, nullable=True),
        sa.Column("is_territorial", sa.Boolean(), nullable=False),
        sa.Column("abolished_at", Instant(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["bureaus.id"], name=op.f("fk_bureaus_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bureaus")),
        sa.UniqueConstraint("code", name=op.f("uq_bureaus_code")),
    )
    op.create_index("ix_bureaus_parent_id_code", "bureaus", ["parent_id", "code"], unique=False)
    op.create_table(
        "bureau_versions",
        sa.Column("id", Key, nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("parent_id", Key, nullable=True),
        sa.Column("valid_from", Instant(), nullable=False),
        sa.Column("valid_to", Instant(), nullable=True),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_bureau_versions_interval")
        ),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_bureau_versions_bureau_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["bureaus.id"], name=op.f("fk_bureau_versions_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bureau_versions")),
    )
    op.create_index(op.f("ix_bureau_versions_bureau_id"), "bureau_versions", ["bureau_id"], unique=False)
    op.create_index(
        "uq_bureau_versions_open",
        "bureau_versions",
        ["bureau_id"],
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
        sqlite_where=sa.text("valid_to IS NULL"),
    )
    op.create_table(
        "persons",
        sa.Column("id", Key, nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("failed_sign_ins", sa.Integer(), nullable=False),
        sa.Column("locked_until", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("departed_at", Instant(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_persons_bureau_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_persons")),
        sa.UniqueConstraint("login", name=op.f("uq_persons_login")),
    )
    op.create_index(op.f("ix_persons_bureau_id"), "persons", ["bureau_id"], unique=False)
    op.create_table(
        "systems",
        sa.Column("id", Key, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("purpose", sa.String(length=2000), nullable=False),
        sa.Column("contacts", sa.String(length=500), nullable=False),
        sa.Column("mlps_grade", sa.Integer(), nullable=False),
        sa.Column("zone", sa.String(length=16), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("retired_at", Instant(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("zone IN ('internet', 'extranet')", name=op.f("ck_systems_zone")),
        sa.CheckConstraint("mlps_grade BETWEEN 1 AND 3", name=op.f("ck_systems_mlps_grade")),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_systems_bureau_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_systems")),
        sa.UniqueConstraint("code", name=op.f("uq_systems_code")),
    )
    op.create_index(op.f("ix_systems_bureau_id"), "systems", ["bureau_id"], unique=False)
    op.create_table(
        "role_assignments",
        sa.Column("id", Key, nullable=False),
        sa.Column("person_id", Key, nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("valid_from", Instant(), nullable=False),
        sa.Column("valid_to", Instant(), nullable=True),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_role_assignments_interval")
        ),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_role_assignments_bureau_id")),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_role_assignments_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_assignments")),
    )
    op.create_index(op.f("ix_role_assignments_bureau_id"), "role_assignments", ["bureau_id"], unique=False)
    op.create_index(op.f("ix_role_assignments_person_id"), "role_assignments", ["person_id"], unique=False)
    op.create_index(
        "uq_role_assignments_open",
        "role_assignments",
        ["person_id", "role", "bureau_id"],
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
        sqlite_where=sa.text("valid_to IS NULL"),
    )
    op.create_table(
        "sign_in_sessions",
        sa.Column("id", Key, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("person_id", Key, nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_sign_in_sessions_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_sign_in_sessions_digest")),
    )
    op.create_index(op.f("ix_sign_in_sessions_person_id"), "sign_in_sessions", ["person_id"], unique=False)
    op.create_table(
        "system_owners",
        sa.Column("id", Key, nullable=False),
        sa.Column("system_id", Key, nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("valid_from", Instant(), nullable=False),
        sa.Column("valid_to", Instant(), nullable=True),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_system_owners_interval")
        ),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_system_owners_bureau_id")),
        sa.ForeignKeyConstraint(["system_id"], ["systems.id"], name=op.f("fk_system_owners_system_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_system_owners")),
    )
    op.create_index(op.f("ix_system_owners_system_id"), "system_owners", ["system_id"], unique=False)
    op.create_index(
        "uq_system_owners_open",
        "system_owners",
        ["system_id"],
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
        sqlite_where=sa.text("valid_to IS NULL"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", Key, nullable=False),
        sa.Column("system_id", Key, nullable=False),
        sa.Column("label", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", Document, nullable=False),
        sa.Column("datasets", Document, nullable=True),
        sa.Column("issued_by", Key, nullable=False),
        sa.Column("issued_at", Instant(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("rotated_from", Key, nullable=True),
        sa.Column("ends_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("seen_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["issued_by"], ["persons.id"], name=op.f("fk_tokens_issued_by")),
        sa.ForeignKeyConstraint(["rotated_from"], ["tokens.id"], name=op.f("fk_tokens_rotated_from")),
        sa.ForeignKeyConstraint(["system_id"], ["systems.id"], name=op.f("fk_tokens_system_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
    )
    op.create_index(op.f("ix_tokens_system_id"), "tokens", ["system_id"], unique=False)
