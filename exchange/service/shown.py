"""What a subscription shows of the records in a dataset's log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from exchange.broker.driver import LogRecord
from exchange.digest import keyed_sm3, read_canonical, record_digest, sm3
from exchange.errors import SubscriptionInvalid
from exchange.filtering import Filter, read_filter, sight
from exchange.masking import Mask, apply_masks, read_mask
from exchange.models import Delivery, Subscription
from exchange.queries import get_dataset
from exchange.schema import PERSONAL
from exchange.service.standing import mask_on
from exchange.version_queries import known_items


@dataclass(frozen=True)
class DeliveredRecord:
    """A record as its subscriber sees it. `ref` stands for its key, for this subscriber only."""

    partition: int
    offset: int
    op: str
    ref: str
    value: dict[str, Any]
    published_at: str
    digest: str


@dataclass(frozen=True)
class Lens:
    """Which records are seen, with which items under which masks; `key` is the subscription's own.

    `full`: of a dataset whose batches replace everything.
    """

    items: tuple[str, ...]
    masks: Mapping[str, Mask]
    key: bytes
    filters: tuple[Filter, ...]
    full: bool

    def show(self, record: LogRecord) -> DeliveredRecord | None:
        """The record through it; None if its subscriber is to hear nothing of it.

        One that the filters refuse and that may have been seen before is a delete without any value.
        """
        delete = record.value is None
        value = read_canonical(record.key if record.value is None else record.value)
        seen: dict[str, Any] = {}
        match sight(self.filters, value, delete=delete, full=self.full):
            case "hidden":
                return None
            case "gone":
                delete = True
            case "shown":
                seen = apply_masks(value, items=self.items, masks=self.masks, key=self.key)
        return DeliveredRecord(
            partition=record.partition,
            offset=record.offset,
            op="delete" if delete else "upsert",
            ref=keyed_sm3(sm3(b"ref" + self.key), record.key).hex(),
            value=seen,
            published_at=record.headers.get("at", ""),
            digest=record_digest(seen, delete=delete).hex(),
        )


@dataclass(frozen=True)
class View:
    """What the subscription shows of which topic; `personal`: something that is seen is about persons."""

    dataset: str
    topic: str
    partitions: int
    bureau_id: int
    full: bool
    lens: Lens
    personal: bool


def view_of(session: Session, subscription: Subscription, items: Sequence[str] | None) -> View:
    """What it shows now, of its items or of those of them. Raises SubscriptionInvalid."""
    dataset = get_dataset(session, dataset_id=subscription.dataset_id)
    known = known_items(session, dataset)
    wanted = subscription.items if items is None else list(dict.fromkeys(items))
    if not set(wanted) <= set(subscription.items):
        raise SubscriptionInvalid(
            dataset=dataset.code,
            why_zh="所选信息项中有未授权项",
            why_en="an item was selected that is not released to it",
        )
    masks = {name: mask for name in wanted if (mask := mask_on(known[name], subscription))}
    shown = [known[name] for name in wanted if name not in masks or masks[name].kind != "drop"]
    return View(
        dataset=dataset.code,
        topic=dataset.topic,
        partitions=dataset.partitions,
        bureau_id=subscription.bureau_id,
        full=dataset.update_mode == "full",
        lens=Lens(
            items=tuple(wanted),
            masks=masks,
            key=bytes.fromhex(subscription.mask_key),
            filters=tuple(map(read_filter, subscription.filters)),
            full=dataset.update_mode == "full",
        ),
        personal=any(item.sensitivity in PERSONAL for item in shown),
    )


def lens_then(subscription: Subscription, delivery: Delivery) -> Lens:
    """Through which the delivery was seen."""
    return Lens(
        items=tuple(delivery.items),
        masks={name: read_mask(document) for name, document in delivery.masks.items()},
        key=bytes.fromhex(subscription.mask_key),
        filters=tuple(map(read_filter, delivery.filters)),
        full=delivery.generation is not None,
    )
