"""Where a subscriber stands in a dataset, and the cursor that says so in a signed text. Pure."""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exchange.digest import canonical, keyed_sm3, sm3

SIGNATURE_BYTES = 16


class NotOurs(ValueError):
    """A cursor that was not written with that key for that subscription."""


@dataclass(frozen=True)
class Place:
    """Offsets to go on from by partition, whose turn it is, the generation of a full dataset, the last
    delivery before it, and how often the subscriber had been put back by then.
    """

    positions: Mapping[int, int] = field(default_factory=dict)
    turn: int = 0
    generation: int | None = None
    delivery: int | None = None
    rewinds: int = 0

    def document(self) -> dict[str, Any]:
        """JSON-able form."""
        positions = {str(partition): offset for partition, offset in sorted(self.positions.items())}
        told = {"p": positions, "t": self.turn, "g": self.generation, "d": self.delivery}
        return told | {"r": self.rewinds}


BEGINNING = Place()


def read_place(document: Mapping[str, Any]) -> Place:
    """The place that `Place.document` wrote."""
    positions = {int(partition): offset for partition, offset in document["p"].items()}
    return Place(positions, document["t"], document["g"], document.get("d"), document.get("r", 0))


def later(one: Place, other: Place) -> Place:
    """The place that lies behind everything that lies before either of the two.

    Of two generations the newer one counts alone, and a place from before a rewind not at all. The order of
    the two matters only for whose turn it is.
    """
    if one.rewinds != other.rewinds:
        return max(one, other, key=lambda place: place.rewinds)
    if one.generation != other.generation:
        return max(one, other, key=lambda place: place.generation or 0)
    partitions = one.positions.keys() | other.positions.keys()
    positions = {p: max(one.positions.get(p, 0), other.positions.get(p, 0)) for p in partitions}
    delivery = max(one.delivery or 0, other.delivery or 0) or None
    return Place(positions, other.turn, one.generation, delivery, one.rewinds)


def write_cursor(place: Place, *, key: bytes, subscription_id: int) -> str:
    """The place as a text, signed with the subscription's own key."""
    content = canonical(place.document())
    signed = _signature(content, key, subscription_id) + content
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")


def read_cursor(cursor: str, *, key: bytes, subscription_id: int) -> Place:
    """The place that `write_cursor` wrote with the same key; NotOurs."""
    try:
        signed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotOurs() from error
    signature, content = signed[:SIGNATURE_BYTES], signed[SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(content, key, subscription_id)):
        raise NotOurs()
    return read_place(json.loads(content))


def _signature(content: bytes, key: bytes, subscription_id: int) -> bytes:
    return keyed_sm3(sm3(b"cursor" + key), b"%d:" % subscription_id + content)[:SIGNATURE_BYTES]
