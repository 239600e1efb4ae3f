"""The journal's tables and the one way to add to it. How rows are chained lives in chain.py.

Triggers of the database refuse to change, delete or truncate entries and seals, queue each new entry for the
sealer, whoever inserts it, and let it leave the queue only once it is sealed.
"""

import math
from datetime import date, datetime
from enum import Enum
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, Session, mapped_column

from infra.database import Base, Key, NullableDocument

DIGEST_CHARACTERS = 64


class JournalEntry(Base):
    """One act: who did what to whom, when, with what before and after."""

    __tablename__ = "journal_entries"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(64))
    act: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(Text, index=True)
    bureau_id: Mapped[int | None] = mapped_column(Key, index=True)
    before: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)
    after: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)
    personal: Mapped[bool]


class JournalSeal(Base):
    """The place of a committed entry in the chain; `digest` is SM3 in hexadecimal.

    No foreign key: a seal whose entry is gone is what the verification has to be able to see.
    """

    __tablename__ = "journal_seals"

    seq: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    entry_id: Mapped[int] = mapped_column(Key, unique=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_CHARACTERS))
    sealed_at: Mapped[datetime]


class UnsealedEntry(Base):
    """An entry that waits for the sealer: a pass costs what waits and no more.

    A trigger puts it here, and another one keeps it here until it has its seal.
    """

    __tablename__ = "journal_unsealed"

    entry_id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)


def append(
    session: Session,
    *,
    actor: str,
    act: str,
    subject: str,
    bureau_id: int | None,
    at: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    personal: bool = False,
) -> None:
    """Write down one act; the row commits or vanishes with the session's transaction and waits for nobody.

    `actor` and `subject` are plain ids such as 'person:12', 'token:3', 'system:import'; `bureau_id` is the
    bureau concerned, if any; `personal` marks the processing of personal data (kept three years by PIPL,
    article 56).
    Values in `before` and `after` may be dates, instants, decimals and enums: they are stored as text.
    """
    session.add(
        JournalEntry(
            at=at,
            actor=actor,
            act=act,
            subject=_storable_text(subject),
            bureau_id=bureau_id,
            before=_storable(before),
            after=_storable(after),
            personal=personal,
        )
    )


def _storable(value: Any) -> Any:
    """A copy of `value` made of what both databases keep as JSON without a change."""
    match value:
        case None | bool():
            return value
        case Enum():
            return _storable(value.value)
        case str():
            return _storable_text(value)
        case int():
            return int(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case dict():
            return {_storable_text(str(key)): _storable(item) for key, item in value.items()}
        case list() | tuple():
            return [_storable(item) for item in value]
        case set() | frozenset():
            return sorted((_storable(item) for item in value), key=str)
        case datetime() | date():
            return value.isoformat()
        case _:
            return _storable_text(str(value))


def _storable_text(text: str) -> str:
    """Without NUL and lone surrogates, which PostgreSQL refuses: an act must not fail for its record."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
