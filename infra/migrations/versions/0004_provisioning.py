"""Tables of provisioning/."""

import sqlalchemy as sa
from alembic import op

from infra.database import Document, Instant, Key

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "regions",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("reserve_largest_host", sa.Boolean(), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("inventory_seen_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_regions")),
    )
    op.create_table(
        "grants",
        sa.Column("id", Key, nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("limits", Document, nullable=False),
        sa.Column("charged", Document, nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("frozen", Document, nullable=True),
        sa.Column("valid_from", Instant(), nullable=False),
        sa.Column("valid_to", Instant(), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("is_overcommit", sa.Boolean(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_grants_interval")),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_grants_bureau_id")),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_grants_region")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index("ix_grants_bureau_id_region", "grants", ["bureau_id", "region"], unique=False)
    op.create_index(
        "uq_grants_open",
        "grants",
        ["bureau_id", "region"],
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
        sqlite_where=sa.text("valid_to IS NULL"),
    )
    op.create_table(
        "pushed_quotas",
        sa.Column("id", Key, nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=True),
        sa.Column("wanted", Document, nullable=False),
        sa.Column("wanted_at", Instant(), nullable=False),
        sa.Column("read_back", Document, nullable=True),
        sa.Column("read_back_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_pushed_quotas_bureau_id")),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_pushed_quotas_region")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pushed_quotas")),
        sa.UniqueConstraint("bureau_id", "region", name=op.f("uq_pushed_quotas_bureau_id_region")),
    )
    op.create_table(
        "quota_accounts",
        sa.Column("id", Key, nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("limits", Document, nullable=False),
        sa.Column("charged", Document, nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("frozen", Document, nullable=True),
        sa.Column("used", Document, nullable=False),
        sa.Column("carved", Document, nullable=False),
        sa.Column("pooled_used", Document, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("mode IN ('reserved', 'shared')", name=op.f("ck_quota_accounts_mode")),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_quota_accounts_bureau_id")),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_quota_accounts_region")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_accounts")),
        sa.UniqueConstraint("bureau_id", "region", name=op.f("uq_quota_accounts_bureau_id_region")),
    )
    op.create_table(
        "region_flavors",
        sa.Column("id", Key, nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("ram_mib", sa.BigInteger(), nullable=False),
        sa.Column("root_gib", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_region_flavors_region")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_region_flavors")),
        sa.UniqueConstraint("region", "name", name=op.f("uq_region_flavors_region_name")),
    )
    op.create_table(
        "region_images",
        sa.Column("id", Key, nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("min_root_gib", sa.BigInteger(), nullable=False),
        sa.Column("min_ram_mib", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_region_images_region")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_region_images")),
        sa.UniqueConstraint("region", "name", name=op.f("uq_region_images_region_name")),
    )
    op.create_table(
        "region_inventories",
        sa.Column("id", Key, nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("dimension", sa.String(length=32), nullable=False),
        sa.Column("provider", sa.String(length=255), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("ratio", sa.Double(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_region_inventories_region")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_region_inventories")),
        sa.UniqueConstraint(
            "region", "dimension", "provider", name=op.f("uq_region_inventories_region_dimension_provider")
        ),
    )
    op.create_table(
        "allocations",
        sa.Column("id", Key, nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("system_id", Key, nullable=False),
        sa.Column("amounts", Document, nullable=False),
        sa.Column("settles_to", Document, nullable=True),
        sa.Column("reverts_to", Document, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("valid_from", Instant(), nullable=False),
        sa.Column("valid_to", Instant(), nullable=True),
        sa.CheckConstraint("state IN ('claimed', 'settled', 'releasing')", name=op.f("ck_allocations_state")),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_allocations_interval")
        ),
        sa.ForeignKeyConstraint(
            ["bureau_id", "region"],
            ["quota_accounts.bureau_id", "quota_accounts.region"],
            name="fk_allocations_account",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocations")),
    )
    op.create_index("ix_allocations_key", "allocations", ["key"], unique=False)
    op.create_index(
        "ix_allocations_open_bureau_id",
        "allocations",
        ["bureau_id", "region"],
        unique=False,
        postgresql_where=sa.text("valid_to IS NULL"),
        sqlite_where=sa.text("valid_to IS NULL"),
    )
    op.create_index("ix_allocations_system_id", "allocations", ["system_id"], unique=False)
    op.create_index(
        "uq_allocations_open",
        "allocations",
        ["key"],
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
        sqlite_where=sa.text("valid_to IS NULL"),
    )
    op.create_table(
        "requests",
        sa.Column("id", Key, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("system_id", Key, nullable=True),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("zone", sa.String(length=16), nullable=True),
        sa.Column("end_on", sa.Date(), nullable=True),
        sa.Column("purpose", sa.String(length=2000), nullable=False),
        sa.Column("limits", Document, nullable=True),
        sa.Column("applicant_id", Key, nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.CheckConstraint("kind = 'quota_change' OR system_id IS NOT NULL", name=op.f("ck_requests_system")),
        sa.CheckConstraint(
            "kind IN ('new_system', 'servers', 'volumes', 'resize', 'quota_change', 'extension', 'release')",
            name=op.f("ck_requests_kind"),
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'submitted', 'refused', 'withdrawn', 'provisioning', 'confirming', 'active', 'closed', 'failed')",
            name=op.f("ck_requests_state"),
        ),
        sa.ForeignKeyConstraint(["applicant_id"], ["persons.id"], name=op.f("fk_requests_applicant_id")),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_requests_bureau_id")),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_requests_region")),
        sa.ForeignKeyConstraint(["system_id"], ["systems.id"], name=op.f("fk_requests_system_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
        sa.UniqueConstraint("case_id", name=op.f("uq_requests_case_id")),
    )
    op.create_index(op.f("ix_requests_applicant_id"), "requests", ["applicant_id"], unique=False)
    op.create_index(op.f("ix_requests_bureau_id"), "requests", ["bureau_id"], unique=False)
    op.create_index(op.f("ix_requests_state"), "requests", ["state"], unique=False)
    op.create_index(op.f("ix_requests_system_id"), "requests", ["system_id"], unique=False)
    op.create_table(
        "request_lines",
        sa.Column("id", Key, nullable=False),
        sa.Column("request_id", Key, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("flavor", sa.String(length=255), nullable=True),
        sa.Column("image", sa.String(length=255), nullable=True),
        sa.Column("volume_gib", sa.BigInteger(), nullable=False),
        sa.Column("target_id", Key, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'done', 'failed')", name=op.f("ck_request_lines_state")),
        sa.CheckConstraint("count BETWEEN 1 AND 1000", name=op.f("ck_request_lines_count")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_request_lines_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_lines")),
        sa.UniqueConstraint("request_id", "position", name=op.f("uq_request_lines_request_id_position")),
    )
    op.create_index(op.f("ix_request_lines_target_id"), "request_lines", ["target_id"], unique=False)
    op.create_table(
        "servers",
        sa.Column("id", Key, nullable=False),
        sa.Column("tag", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("line_id", Key, nullable=False),
        sa.Column("work_line_id", Key, nullable=False),
        sa.Column("system_id", Key, nullable=False),
        sa.Column("bureau_id", Key, nullable=False),
        sa.Column("project_bureau_id", Key, nullable=True),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("zone", sa.String(length=16), nullable=False),
        sa.Column("image", sa.String(length=255), nullable=False),
        sa.Column("flavor", sa.String(length=255), nullable=False),
        sa.Column("wanted_flavor", sa.String(length=255), nullable=True),
        sa.Column("amounts", Document, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since_at", Instant(), nullable=False),
        sa.Column("cloud_id", sa.String(length=64), nullable=True),
        sa.Column("visits", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("repushes", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("next_try_at", Instant(), nullable=True),
        sa.Column("fault", Document, nullable=True),
        sa.Column("allocation_key", sa.String(length=128), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'creating', 'cleaning', 'attaching', 'pruning', 'resizing', 'reverting', 'stopping', 'starting', 'expiring', 'releasing', 'active', 'stopped', 'failed', 'given_up', 'released')",
            name=op.f("ck_servers_state"),
        ),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureaus.id"], name=op.f("fk_servers_bureau_id")),
        sa.ForeignKeyConstraint(["line_id"], ["request_lines.id"], name=op.f("fk_servers_line_id")),
        sa.ForeignKeyConstraint(
            ["project_bureau_id"], ["bureaus.id"], name=op.f("fk_servers_project_bureau_id")
        ),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_servers_region")),
        sa.ForeignKeyConstraint(["system_id"], ["systems.id"], name=op.f("fk_servers_system_id")),
        sa.ForeignKeyConstraint(["work_line_id"], ["request_lines.id"], name=op.f("fk_servers_work_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_servers")),
        sa.UniqueConstraint("allocation_key", name=op.f("uq_servers_allocation_key")),
        sa.UniqueConstraint("tag", name=op.f("uq_servers_tag")),
    )
    op.create_index(op.f("ix_servers_bureau_id"), "servers", ["bureau_id"], unique=False)
    op.create_index(op.f("ix_servers_line_id"), "servers", ["line_id"], unique=False)
    op.create_index(op.f("ix_servers_project_bureau_id"), "servers", ["project_bureau_id"], unique=False)
    op.create_index("ix_servers_state_next", "servers", ["state", "next_try_at"], unique=False)
    op.create_index(op.f("ix_servers_system_id"), "servers", ["system_id"], unique=False)
    op.create_index(op.f("ix_servers_work_line_id"), "servers", ["work_line_id"], unique=False)
    op.create_table(
        "leases",
        sa.Column("id", Key, nullable=False),
        sa.Column("server_id", Key, nullable=False),
        sa.Column("end_on", sa.Date(), nullable=False),
        sa.Column("notices_sent", Document, nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_leases_server_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leases")),
        sa.UniqueConstraint("server_id", name=op.f("uq_leases_server_id")),
    )
    op.create_index(op.f("ix_leases_end_on"), "leases", ["end_on"], unique=False)
    op.create_table(
        "volumes",
        sa.Column("id", Key, nullable=False),
        sa.Column("tag", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("server_id", Key, nullable=False),
        sa.Column("line_id", Key, nullable=False),
        sa.Column("size_gib", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("cloud_id", sa.String(length=64), nullable=True),
        sa.Column("allocation_key", sa.String(length=128), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'active', 'failed', 'released')", name=op.f("ck_volumes_state")
        ),
        sa.ForeignKeyConstraint(["line_id"], ["request_lines.id"], name=op.f("fk_volumes_line_id")),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_volumes_server_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_volumes")),
        sa.UniqueConstraint("allocation_key", name=op.f("uq_volumes_allocation_key")),
        sa.UniqueConstraint("tag", name=op.f("uq_volumes_tag")),
    )
    op.create_index(op.f("ix_volumes_line_id"), "volumes", ["line_id"], unique=False)
    op.create_index(op.f("ix_volumes_server_id"), "volumes", ["server_id"], unique=False)
