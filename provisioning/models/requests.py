"""Tables of what bureaus ask of the cloud."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key, NullableDocument
from provisioning.models.amounts import AmountsOfLimits, one_of
from provisioning.quota import Limits

KINDS = (
    "new_system", "servers", "adoption", "removal", "volumes", "enlargement", "resize", "quota_change",
    "extension", "release",
)  # fmt: skip
REQUEST_STATES = (
    "draft", "submitted", "refused", "withdrawn", "provisioning", "confirming", "active", "closed", "failed",
)  # fmt: skip
LINE_STATES = ("pending", "done", "failed")


class Request(Base):
    """What a bureau asks of the cloud; who must say yes is its case, whose revision is the request's too.

    An adoption that an operator imported has no case: the import was the decision. `limit` is what a quota
    change asks for; `end_on` is the last day in the city, inclusive.
    """

    __tablename__ = "requests"
    __table_args__ = (
        one_of("kind", KINDS),
        one_of("state", REQUEST_STATES),
        CheckConstraint("kind IN ('quota_change', 'removal') OR system_id IS NOT NULL", name="system"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), index=True)
    bureau_id: Mapped[int] = mapped_column(Key, ForeignKey("bureaus.id"), index=True)
    system_id: Mapped[int | None] = mapped_column(Key, ForeignKey("systems.id"), index=True)
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    zone: Mapped[str | None] = mapped_column(String(16))
    end_on: Mapped[date | None]
    purpose: Mapped[str] = mapped_column(String(2000))
    limit: Mapped[Limits | None] = mapped_column("limits", AmountsOfLimits)
    applicant_id: Mapped[int] = mapped_column(Key, ForeignKey("persons.id"), index=True)
    case_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class RequestLine(Base):
    """One line of a request: `count` new servers of a kind, or what to do with the server `target_id`, or a
    server that the cloud has and no record yet: `cloud_id`; of a removal, what `finding_id` is about. The
    volume `volume_id` of the server `target_id` is to have `volume_gib` in all.

    `state` is that of a line with a target; `target_id` has no foreign key, since servers point to lines;
    nor has `finding_id`, as findings are kept.
    `seen` is a `Sighting` of the server `cloud_id` (of a removal a `Sight`), or why there is none (zh, en);
    None: not asked yet.
    """

    __tablename__ = "request_lines"
    __table_args__ = (
        UniqueConstraint("request_id", "position"),
        one_of("state", LINE_STATES),
        CheckConstraint("count BETWEEN 1 AND 1000", name="count"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    request_id: Mapped[int] = mapped_column(Key, ForeignKey("requests.id"))
    position: Mapped[int]
    count: Mapped[int]
    flavor: Mapped[str | None] = mapped_column(String(255))
    image: Mapped[str | None] = mapped_column(String(255))
    volume_gib: Mapped[int] = mapped_column(BigInteger, default=0)
    target_id: Mapped[int | None] = mapped_column(Key, index=True)
    volume_id: Mapped[int | None] = mapped_column(Key)
    cloud_id: Mapped[str | None] = mapped_column(String(64), index=True)
    finding_id: Mapped[int | None] = mapped_column(Key, index=True)
    seen: Mapped[dict[str, Any] | None] = mapped_column(NullableDocument)
    state: Mapped[str] = mapped_column(String(16), default="pending")
