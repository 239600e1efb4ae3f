"""Table of the subscriptions' own topics: what fills each of them, and who may read it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key, NullableDocument


class Relay(Base):
    """A subscription's own topic, and the relay that fills it from the place `content` (`Place.document`) on.

    `name` is that of the topic, of the user who may read it, and the beginning of that user's groups. A run
    that is open has a `marker`, what it was `before` it and is `after` it, and its pending delivery, if it
    shows any records. Who is at it holds it, as `holder`, until `held_until_at`; `nudges` counts who came
    meanwhile, and since `nudged_at` a message is on its way to whoever takes it next. What was settled before
    `reached_at` has been relayed. `salt` and `salted_password` (hex) are of SCRAM-SHA-512; the password
    itself is kept by nobody but the subscriber.
    """

    __tablename__ = "relays"

    subscription_id: Mapped[int] = mapped_column(Key, ForeignKey("subscriptions.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    content: Mapped[dict[str, Any]]
    topic_made_at: Mapped[datetime | None]
    marker: Mapped[str | None] = mapped_column(String(64))
    delivery_id: Mapped[int | None] = mapped_column(Key, ForeignKey("deliveries.id"))
    before: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)
    after: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)
    holder: Mapped[str | None] = mapped_column(String(32))
    held_until_at: Mapped[datetime | None]
    nudges: Mapped[int] = mapped_column(default=0)
    nudged_at: Mapped[datetime | None]
    reached_at: Mapped[datetime | None]
    salt: Mapped[str] = mapped_column(String(64), default="")
    salted_password: Mapped[str] = mapped_column(String(128), default="")
    iterations: Mapped[int] = mapped_column(default=0)
    issued_at: Mapped[datetime | None]
    made_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
