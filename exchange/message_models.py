"""Tables of the message log: what was said to publishers and subscribers, chained; and its signed heads.

Triggers of the database refuse to change or delete messages. No foreign keys: a message whose receipt or
delivery is gone is what the verification has to be able to see.
"""

from datetime import datetime

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key
from infra.journal import Chain


class Message(Base):
    """A receipt or a delivery in the chain: `content` is its canonical JSON, digests are SM3 in hex."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("kind", "about_id"),
        Index("ix_messages_dataset_id_seq", "dataset_id", "seq"),
        Index("ix_messages_subscription_id_seq", "subscription_id", "seq"),
    )

    seq: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    about_id: Mapped[int] = mapped_column(Key)
    dataset_id: Mapped[int] = mapped_column(Key)
    subscription_id: Mapped[int | None] = mapped_column(Key)
    at: Mapped[datetime]
    content: Mapped[str] = mapped_column(Text)
    content_digest: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))
    sealed_at: Mapped[datetime]


class MessageHead(Base):
    """A signed head of the chain, as the file of heads has it, to be handed out with proofs."""

    __tablename__ = "message_heads"

    seq: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(String(64))
    at: Mapped[str] = mapped_column(String(40))
    signature: Mapped[str] = mapped_column(String(128))


MESSAGES = Chain(Message.seq, Message.digest, "messages", "message-heads.ndjson", "siji messages verify")
