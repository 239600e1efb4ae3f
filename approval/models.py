"""Tables of items, cases with their branches, steps and decisions, clocks, alarms and notices."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key


class Item(Base):
    """An item (事项) in one version; a version never changes, and a running case stays on its own."""

    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("code", "version"),
        CheckConstraint("promised_days > 0 AND promised_days <= statutory_days", name="limits"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    code: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    name_zh: Mapped[str] = mapped_column(String(255))
    name_en: Mapped[str] = mapped_column(String(255))
    asked_of: Mapped[str] = mapped_column(String(16))
    materials: Mapped[list[Any]]
    steps: Mapped[list[Any]]
    promised_days: Mapped[int]
    statutory_days: Mapped[int]
    supplement_days: Mapped[int]
    supplement_answer_days: Mapped[int]
    loaded_at: Mapped[datetime]


class CaseCounter(Base):
    """The last case number given out in a year of the city's calendar."""

    __tablename__ = "case_counters"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]


class Case(Base):
    """A case (办件). `revision` counts edits of what is asked; `round` counts how often the steps began."""

    __tablename__ = "cases"
    __table_args__ = (
        Index("ix_cases_subject", "subject_kind", "subject_id"),
        Index("ix_cases_state", "state", "id"),
        CheckConstraint(
            "state IN ('draft', 'submitted', 'supplement', 'accepted', 'returned', 'decided', 'withdrawn',"
            " 'abandoned')",
            name="state",
        ),
        CheckConstraint("(state = 'decided') = (outcome IS NOT NULL)", name="outcome"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    number: Mapped[str] = mapped_column(String(32), unique=True)
    item_id: Mapped[int] = mapped_column(Key, ForeignKey("items.id"), index=True)
    applicant_id: Mapped[int] = mapped_column(Key, ForeignKey("persons.id"), index=True)
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"), index=True)
    subject_kind: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[int] = mapped_column(Key)
    state: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int] = mapped_column(default=1)
    round: Mapped[int] = mapped_column(default=1)
    outcome: Mapped[str | None] = mapped_column(String(16))
    opened_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class CaseBranch(Base):
    """A strand of steps of a case; every case has `main`, joint approval adds others beside it."""

    __tablename__ = "case_branches"
    __table_args__ = (UniqueConstraint("case_id", "key"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(Key, ForeignKey("cases.id"))
    key: Mapped[str] = mapped_column(String(32))


class CaseStep(Base):
    """One step of one round: who must decide it, and where; at most one step of a branch is active."""

    __tablename__ = "case_steps"
    __table_args__ = (
        UniqueConstraint("branch_id", "round", "key"),
        CheckConstraint("state IN ('waiting', 'active', 'done', 'void')", name="state"),
        Index("uq_case_steps_active", "branch_id", unique=True, postgresql_where=text("state = 'active'"),
              sqlite_where=text("state = 'active'")),
        Index("ix_case_steps_inbox", "role", "bureau_id", postgresql_where=text("state = 'active'"),
              sqlite_where=text("state = 'active'")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(Key, ForeignKey("cases.id"), index=True)
    branch_id: Mapped[int] = mapped_column(Key, ForeignKey("case_branches.id"))
    round: Mapped[int]
    position: Mapped[int]
    key: Mapped[str] = mapped_column(String(32))
    role: Mapped[str | None] = mapped_column(String(32))
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"))
    state: Mapped[str] = mapped_column(String(16))
    began_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class CaseDecision(Base):
    """What was decided on a step: once, by a named person unless by silence or automatically."""

    __tablename__ = "case_decisions"
    __table_args__ = (
        UniqueConstraint("step_id"),
        CheckConstraint("decision IN ('approve', 'refuse', 'return')", name="decision"),
        CheckConstraint("basis IN ('person', 'silence', 'automatic')", name="basis"),
        CheckConstraint("(basis = 'person') = (person_id IS NOT NULL)", name="person"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(Key, ForeignKey("cases.id"), index=True)
    step_id: Mapped[int] = mapped_column(Key, ForeignKey("case_steps.id"))
    round: Mapped[int]
    person_id: Mapped[int | None] = mapped_column(Key, ForeignKey("persons.id"), index=True)
    basis: Mapped[str] = mapped_column(String(16))
    decision: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(2000))
    revision_seen: Mapped[int]
    decided_at: Mapped[datetime]
    voided_at: Mapped[datetime | None]


class Supplement(Base):
    """What the applicant was asked to add (补正); the law allows asking once, so a case has one at most."""

    __tablename__ = "supplements"
    __table_args__ = (UniqueConstraint("case_id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(Key, ForeignKey("cases.id"))
    asked_by: Mapped[int] = mapped_column(Key, ForeignKey("persons.id"))
    missing: Mapped[str] = mapped_column(String(2000))
    asked_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class CaseClock(Base):
    """A limit that runs on a case or one of its branches: its budget in work days, never a target instant.

    `missed_due_on`: the due date that passed while it ran, which gave it a red card for good.
    """

    __tablename__ = "clocks"
    __table_args__ = (
        CheckConstraint("kind IN ('acceptance', 'handling', 'step')", name="kind"),
        CheckConstraint("budget_days > 0", name="budget"),
        Index("ix_clocks_running", "id", postgresql_where=text("ended_at IS NULL"),
              sqlite_where=text("ended_at IS NULL")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(Key, ForeignKey("cases.id"), index=True)
    branch_id: Mapped[int | None] = mapped_column(Key, ForeignKey("case_branches.id"))
    step_id: Mapped[int | None] = mapped_column(Key, ForeignKey("case_steps.id"))
    kind: Mapped[str] = mapped_column(String(16))
    budget_days: Mapped[int]
    start_on: Mapped[date]
    ended_at: Mapped[datetime | None]
    missed_due_on: Mapped[date | None]


class CaseSuspension(Base):
    """Days, first and last included, that a case's clocks do not count; no last day: still running."""

    __tablename__ = "suspensions"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('supplement', 'hearing', 'inspection', 'testing', 'quarantine', 'appraisal',"
            " 'expert_review')",
            name="kind",
        ),
        CheckConstraint("last_on IS NULL OR last_on >= first_on", name="interval"),
        Index("uq_suspensions_open", "case_id", "kind", unique=True, postgresql_where=text("last_on IS NULL"),
              sqlite_where=text("last_on IS NULL")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(Key, ForeignKey("cases.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    first_on: Mapped[date]
    last_on: Mapped[date | None]
    reason: Mapped[str] = mapped_column(String(2000))


class Alarm(Base):
    """Something the office must mend: a date of a case that needs a year that is not yet published."""

    __tablename__ = "alarms"
    __table_args__ = (
        CheckConstraint("kind IN ('calendar_not_published')", name="kind"),
        Index("uq_alarms_open", "clock_id", "kind", unique=True, postgresql_where=text("cleared_at IS NULL"),
              sqlite_where=text("cleared_at IS NULL")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    case_id: Mapped[int] = mapped_column(Key, ForeignKey("cases.id"), index=True)
    clock_id: Mapped[int] = mapped_column(Key, ForeignKey("clocks.id"))
    year: Mapped[int]
    raised_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]


class Notice(Base):
    """A message for a person, or for whoever holds a role at a bureau; `key` makes it come exactly once."""

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("key"),
        CheckConstraint(
            "(person_id IS NOT NULL AND role IS NULL AND bureau_id IS NULL)"
            " OR (person_id IS NULL AND role IS NOT NULL AND bureau_id IS NOT NULL)",
            name="recipient",
        ),
        Index("ix_notices_role_bureau_id", "role", "bureau_id"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    key: Mapped[str] = mapped_column(String(200))
    code: Mapped[str] = mapped_column(String(64))
    facts: Mapped[dict[str, Any]]
    person_id: Mapped[int | None] = mapped_column(Key, ForeignKey("persons.id"), index=True)
    role: Mapped[str | None] = mapped_column(String(32))
    bureau_id: Mapped[int | None] = mapped_column(Key, ForeignKey("bureaus.id"))
    subject_kind: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[int] = mapped_column(Key)
    made_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
