"""Tables of the tree, the information systems, people, roles and credentials."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from identity.levels import LEVELS as LEVELS
from infra.database import Base, Key


class Bureau(Base):
    """A unit of the tree as it is now; its id never changes, all else has history in `BureauVersion`."""

    __tablename__ = "bureaus"
    __table_args__ = (Index("ix_bureaus_parent_id_code", "parent_id", "code"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    code: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    level: Mapped[str] = mapped_column(String(16))
    parent_id: Mapped[int | None] = mapped_column(Key, ForeignKey("bureaus.id"))
    is_territorial: Mapped[bool] = mapped_column(default=True)
    abolished_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1)


class BureauVersion(Base):
    """What a bureau was called and where it stood from `valid_from` until `valid_to` (None: still)."""

    __tablename__ = "bureau_versions"
    __table_args__ = (
        Index(
            "uq_bureau_versions_open",
            "bureau_id",
            unique=True,
            postgresql_where=text("valid_to IS NULL"),
            sqlite_where=text("valid_to IS NULL"),
        ),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="interval"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"), index=True)
    code: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    level: Mapped[str] = mapped_column(String(16))
    parent_id: Mapped[int | None] = mapped_column(Key, ForeignKey("bureaus.id"))
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]


class System(Base):
    """An information system (信息系统); servers, tokens and subscriptions belong to it."""

    __tablename__ = "systems"
    __table_args__ = (
        CheckConstraint("mlps_grade BETWEEN 1 AND 3", name="mlps_grade"),
        CheckConstraint("zone IN ('internet', 'extranet')", name="zone"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    code: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"), index=True)
    purpose: Mapped[str] = mapped_column(String(2000), default="")
    contacts: Mapped[str] = mapped_column(String(500), default="")
    mlps_grade: Mapped[int]
    zone: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1)


class SystemOwner(Base):
    """Which bureau owned a system from `valid_from` until `valid_to` (None: still)."""

    __tablename__ = "system_owners"
    __table_args__ = (
        Index("uq_system_owners_open", "system_id", unique=True, postgresql_where=text("valid_to IS NULL"),
              sqlite_where=text("valid_to IS NULL")),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="interval"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    system_id: Mapped[int] = mapped_column(Key, ForeignKey("systems.id"), index=True)
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"))
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]


class Person(Base):
    """Somebody who signs in."""

    __tablename__ = "persons"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    login: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"), index=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    must_change_password: Mapped[bool] = mapped_column(default=False)
    failed_sign_ins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    departed_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1)


class RoleAssignment(Base):
    """A person holds `role` at a bureau and all below it, until `valid_to` (None: still)."""

    __tablename__ = "role_assignments"
    __table_args__ = (
        Index("uq_role_assignments_open", "person_id", "role", "bureau_id", unique=True,
              postgresql_where=text("valid_to IS NULL"), sqlite_where=text("valid_to IS NULL")),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="interval"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(Key, ForeignKey("persons.id"), index=True)
    role: Mapped[str] = mapped_column(String(32))
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"), index=True)
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]


class SignInSession(Base):
    """A browser that is signed in; only a digest of its secret is kept."""

    __tablename__ = "sign_in_sessions"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    person_id: Mapped[int] = mapped_column(Key, ForeignKey("persons.id"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Token(Base):
    """A credential of a system's service account; outlives the departure of who issued it."""

    __tablename__ = "tokens"
    __table_args__ = (UniqueConstraint("digest"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    system_id: Mapped[int] = mapped_column(Key, ForeignKey("systems.id"), index=True)
    label: Mapped[str] = mapped_column(String(255))
    digest: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column()
    datasets: Mapped[list[str] | None] = mapped_column()
    issued_by: Mapped[int] = mapped_column(Key, ForeignKey("persons.id"))
    issued_at: Mapped[datetime]
    expires_on: Mapped[date]
    rotated_from: Mapped[int | None] = mapped_column(Key, ForeignKey("tokens.id"))
    ends_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
