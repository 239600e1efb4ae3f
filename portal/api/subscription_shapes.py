"""How the API speaks of a subscription: what is sent, and how one is shown with its items and their masks."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from fastapi import Response
from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.orm import Session

from approval.flow import Decision
from exchange.filtering import MAX_FILTERS, MAX_VALUES
from exchange.models import Position, Subscription
from exchange.place import read_place
from exchange.queries import SubscriptionRow, get_subscription_row
from exchange.service.standing import mask_on, plain
from exchange.service.subscriptions import revision_to_act_on
from exchange.version_queries import known_items
from portal.api.dataset_shapes import MaskShape
from portal.api.shapes import In, Instant, Out
from portal.numbers import LARGEST_ID
from portal.revisions import tag

LONGEST_CURSOR = 32_768
State = Literal["pending", "active", "paused", "refused", "withdrawn", "revoked", "expired"]
Operator = Literal[
    "eq", "ne", "in", "not_in", "lt", "le", "gt", "ge", "starts_with", "is_empty", "is_not_empty"
]
MasksIn = dict[str, MaskShape | None]
MASKS_EXAMPLE = {"身份证号": {"kind": "keep_ends", "head": 6, "tail": 2}, "姓名": None}


class FilterIn(In):
    """A condition on the records that are shown; all of them must hold."""

    item: str = Field(max_length=64, examples=["区划"])
    operator: Operator = Field(examples=["starts_with"])
    values: list[str | StrictInt | StrictFloat | StrictBool] = Field(
        default=[],
        max_length=MAX_VALUES,
        examples=[["1306"]],
        description="is_empty、is_not_empty 无值，in、not_in 一个或多个，其余一个 · "
        "none for is_empty and is_not_empty, one or more for in and not_in, else one",
    )


class FilterOut(Out):
    """A condition on the records that are shown; all of them hold."""

    item: str = Field(examples=["区划"])
    operator: str = Field(examples=["starts_with"])
    values: list[Any] = Field(examples=[["1306"]])


FiltersIn = Annotated[list[FilterIn], Field(max_length=MAX_FILTERS)]


class SubscriptionIn(In):
    """What a system of the bureau asks for."""

    dataset: str = Field(max_length=64, examples=["307003003/000001"])
    system: str = Field(max_length=64, examples=["1306-rsj-s1"])
    items: list[str] = Field(max_length=500, examples=[["姓名", "身份证号"]])
    purpose: str = Field(max_length=2000, examples=["社会保险待遇资格核验"])
    basis: str = Field(default="", max_length=2000, examples=["《社会保险法》第七十四条"])
    until_on: date = Field(examples=["2026-12-31"])
    masks: dict[str, MaskShape] = Field(default={}, description="申请方自愿脱敏 · the subscriber's own wish")
    filters: FiltersIn = Field(default=[], description="只要符合这些条件的记录 · only records that fit")


class SubscriptionEdit(In):
    """What is to change of a pending subscription; what is left out stays."""

    items: list[str] | None = Field(default=None, max_length=500, examples=[["姓名", "身份证号"]])
    purpose: str | None = Field(default=None, max_length=2000, examples=["社会保险待遇资格核验"])
    basis: str | None = Field(default=None, max_length=2000, examples=["《社会保险法》第七十四条"])
    until_on: date | None = Field(default=None, examples=["2026-12-31"])
    filters: FiltersIn | None = Field(default=None, description="取代原有条件 · in place of those asked for")


class SubscriptionDecisionIn(In):
    """The provider's answer; `masks` go before the catalogue's, and null releases an item as it is.

    `filters` are added to those that were asked for.
    """

    decision: Decision = Field(examples=["approve"])
    reason: str = Field(default="", max_length=2000)
    masks: MasksIn = Field(default={}, examples=[MASKS_EXAMPLE])
    filters: FiltersIn = Field(default=[])


class ReasonIn(In):
    """Why."""

    reason: str = Field(default="", max_length=2000, examples=["用途已终止"])


class ReleaseIn(In):
    """Further items, or other masks of those that are seen already; `filters`, if given, in place of all."""

    items: list[str] = Field(default=[], max_length=500)
    masks: MasksIn = Field(default={}, examples=[MASKS_EXAMPLE])
    filters: FiltersIn | None = None


class NarrowingIn(In):
    """Conditions that hold beside those there are."""

    filters: FiltersIn = Field(min_length=1)


class ProlongationIn(In):
    """A later last day, inclusive."""

    until_on: date = Field(examples=["2027-12-31"])


class SubscriptionOut(Out):
    """A line of a list: whose, to what, until when."""

    id: int
    dataset: str = Field(examples=["307003003/000001"])
    dataset_name: str
    provider: str = Field(examples=["1306-mzj"])
    provider_name: str
    system: str = Field(examples=["1306-rsj-s1"])
    system_name: str
    subscriber: str = Field(examples=["1306-rsj"])
    subscriber_name: str
    state: str = Field(examples=["active"])
    until_on: date
    case: str | None = Field(examples=["BD-2026-000001"])
    requested_at: datetime


class SeenItem(Out):
    """An item as its subscriber sees it, or would; without a mask as it is."""

    name: str
    label: str
    sensitivity: str
    mask: dict[str, Any] | None


class SubscriptionDetail(SubscriptionOut):
    """All of a subscription; `items` with the masks that hold, `filters` that its records fit."""

    items: list[SeenItem]
    filters: list[FilterOut]
    purpose: str
    basis: str
    reason: str
    decided_at: datetime | None
    ended_at: datetime | None
    continues_id: int | None = Field(
        description="接续的共享申请，从其停止处继续 · the ended one that it goes on from"
    )
    revision: int


class DeliveryOut(Out):
    """What one pull handed out: `ranges` are [first, last] offsets by partition; digests are after masks."""

    id: int = Field(examples=[41])
    at: datetime
    way: str = Field(examples=["pull"])
    items: list[str] = Field(examples=[["姓名", "身份证号"]])
    generation: int | None
    ranges: dict[int, list[int]] = Field(examples=[{0: [0, 499]}])
    count: int = Field(examples=[500])
    digest: str = Field(examples=["66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"])
    digests: dict[int, str]
    acknowledged_at: datetime | None = Field(
        description="订阅方以本次交付的游标确认收妥的时间 · when it was acknowledged by its own cursor"
    )


class AcknowledgementIn(In):
    """Everything before the cursor is with the subscriber."""

    cursor: str = Field(min_length=1, max_length=LONGEST_CURSOR, examples=["sMeWwfyM…"])


class RewindIn(In):
    """Where to go on: what was stored since `to`, or `offsets` by partition; with neither the beginning."""

    to: Instant | None = Field(default=None, examples=["2026-03-02T09:00:00+08:00"])
    offsets: dict[Annotated[int, Field(ge=0, le=999)], Annotated[int, Field(ge=0, le=LARGEST_ID)]] | None = (
        Field(default=None, examples=[{"0": 1200}])
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.to is not None and self.offsets is not None:
            raise PydanticCustomError("two_places", "it has either `to` or `offsets`")
        return self


class PositionOut(Out):
    """Where the subscriber goes on without a cursor; of a full dataset in which `generation`."""

    offsets: dict[int, int] = Field(examples=[{0: 1200}])
    generation: int | None
    acknowledged_at: datetime | None


def line(view: SubscriptionRow) -> SubscriptionOut:
    """The subscription in a list."""
    return SubscriptionOut(**_named(view))


def answer(session: Session, response: Response, changed: Subscription) -> SubscriptionDetail:
    """The subscription as it now is, with its ETag."""
    session.flush()
    view = get_subscription_row(session, subscription_id=changed.id)
    revision = revision_to_act_on(session, subscription=view.subscription)
    tag(response, revision)
    known = known_items(session, view.dataset)
    items = []
    for name in view.subscription.items:
        mask = mask_on(known[name], view.subscription)
        document = mask.document() if mask else None
        items.append(
            SeenItem(name=name, label=known[name].label, sensitivity=known[name].sensitivity, mask=document)
        )
    filters = [FilterOut(**one) for one in plain(view.subscription.filters)]
    own = ("purpose", "basis", "reason", "decided_at", "ended_at", "continues_id")
    told = {name: getattr(view.subscription, name) for name in own}
    return SubscriptionDetail(**_named(view), **told, items=items, filters=filters, revision=revision)


def position_out(position: Position) -> PositionOut:
    """The position as it is shown."""
    place = read_place(position.content)
    return PositionOut(
        offsets=dict(place.positions), generation=place.generation, acknowledged_at=position.acknowledged_at
    )


def masks_of(shapes: Mapping[str, MaskShape | None]) -> dict[str, dict[str, Any] | None]:
    """As the exchange takes masks by item."""
    return {name: shape.model_dump() if shape else None for name, shape in shapes.items()}


def filters_of(shapes: Sequence[FilterIn]) -> list[dict[str, Any]]:
    """As the exchange takes filters."""
    return [one.model_dump() for one in shapes]


def _named(view: SubscriptionRow) -> dict[str, Any]:
    plain = {name: getattr(view.subscription, name) for name in ("id", "state", "until_on", "requested_at")}
    return plain | {
        "dataset": view.dataset.code,
        "dataset_name": view.dataset.name,
        "provider": view.provider.code,
        "provider_name": view.provider.name,
        "system": view.system.code,
        "system_name": view.system.name,
        "subscriber": view.bureau.code,
        "subscriber_name": view.bureau.name,
        "case": view.case.number if view.case else None,
    }
