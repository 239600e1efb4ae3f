"""Acts that a caller asks for under a key of its own: done once, and answered again as the first time.

The row is written in the act's own transaction, so that neither is there without the other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, UniqueConstraint, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from infra.database import Base, Document, Key, insert_once
from infra.errors import Kind, SijiError

KEPT_FOR = timedelta(days=7)


class AnsweredCall(Base):
    """A call with its key, and what was answered; `digest` is of what was asked."""

    __tablename__ = "answered_calls"
    __table_args__ = (UniqueConstraint("actor", "key"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    actor: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(200))
    call: Mapped[str] = mapped_column(String(512))
    digest: Mapped[str] = mapped_column(String(64))
    answer: Mapped[Any] = mapped_column(Document)
    called_at: Mapped[datetime] = mapped_column(index=True)


class KeyReused(SijiError):
    """An idempotency key came again with another call or other content."""

    kind = Kind.conflict
    code = "idempotency_key_reused"
    zh = "幂等键“{key}”已用于另一次请求（{call}），内容不同；请换用新的幂等键"
    en = (
        "The idempotency key “{key}” was used for another request ({call}) with other content; choose another"
    )


@dataclass(frozen=True)
class Asked:
    """A call as its caller made it: `call` names it, `digest` is of its content."""

    actor: str
    key: str
    call: str
    digest: str


def begin(session: Session, asked: Asked, *, at: datetime) -> AnsweredCall | None:
    """Take the key for this transaction: None if it is new, else the call that was answered under it.

    A second caller with the same key waits until the first one's transaction has ended. Raises KeyReused.
    """
    new = insert_once(
        session,
        AnsweredCall,
        actor=asked.actor,
        key=asked.key,
        call=asked.call,
        digest=asked.digest,
        answer=None,
        called_at=at,
    )
    if new:
        return None
    known = _get(session, asked)
    if (known.call, known.digest) != (asked.call, asked.digest):
        raise KeyReused(key=asked.key, call=known.call)
    return known


def finish(session: Session, asked: Asked, *, answer: Any) -> None:
    """Keep what was answered, a JSON-able value, with the act."""
    _get(session, asked).answer = answer


def forget_old_calls(session: Session, *, at: datetime) -> int:
    """Forget calls older than `KEPT_FOR`; how many. May be repeated."""
    old = session.scalars(
        delete(AnsweredCall).where(AnsweredCall.called_at < at - KEPT_FOR).returning(AnsweredCall.id)
    )
    return len(old.all())


def _get(session: Session, asked: Asked) -> AnsweredCall:
    query = select(AnsweredCall).where(AnsweredCall.actor == asked.actor, AnsweredCall.key == asked.key)
    return session.scalars(query).one()
