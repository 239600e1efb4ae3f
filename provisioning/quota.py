"""Quota arithmetic: the dimensions, amounts and limits in them, what falls short, what a region can hold.

Pure: no row, no lock, no clock lives here. None is unlimited, 0 is zero.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from functools import reduce
from typing import Literal, Self


@dataclass(frozen=True)
class Dimension:
    """One thing that is granted and used; `source` is what holds it in the cloud, None: nothing bounds it."""

    key: str
    unit: str
    zh: str
    en: str
    source: Literal["host", "pool", "network"] | None


DIMENSIONS: tuple[Dimension, ...] = (
    Dimension("servers", "", "云服务器", "servers", None),
    Dimension("vcpus", "", "vCPU", "vCPU", "host"),
    Dimension("ram_mib", "MiB", "内存", "RAM", "host"),
    Dimension("root_gib", "GiB", "系统盘", "root disk", "host"),
    Dimension("volume_gib", "GiB", "云硬盘容量", "volume storage", "pool"),
    Dimension("volumes", "", "云硬盘", "volumes", None),
    Dimension("addresses", "", "公网地址", "public addresses", "network"),
)


class UnknownDimension(ValueError):
    """A key that is no dimension."""


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount, an int ≥ 0, in every dimension; those not named are 0."""

    _nonzero: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, **amounts: int) -> Self:
        """`Resources.of(servers=1, vcpus=4)`; `UnknownDimension` or `ValueError` for what is no amount."""
        return cls.parse(amounts)

    @classmethod
    def parse(cls, document: Mapping[str, int]) -> Self:
        """From a JSON object of dimension keys and amounts."""
        _check_keys(document)
        for key, amount in document.items():
            if type(amount) is not int or amount < 0:
                raise ValueError(f"{key}: an amount is a whole number of 0 or more, not {amount!r}")
        return cls(tuple((d.key, document[d.key]) for d in DIMENSIONS if document.get(d.key)))

    def document(self) -> dict[str, int]:
        """As a JSON object; zeros are left out."""
        return dict(self._nonzero)

    def __getitem__(self, key: str) -> int:
        return next((amount for k, amount in self._nonzero if k == key), 0)

    def __bool__(self) -> bool:
        return bool(self._nonzero)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._nonzero)

    def __add__(self, other: "Resources") -> "Resources":
        return self._each(other, lambda mine, its: mine + its)

    def __sub__(self, other: "Resources") -> "Resources":
        """`ValueError` below zero: a counter from which more is taken than it holds is broken."""
        return self._each(other, lambda mine, its: mine - its)

    def larger(self, other: "Resources") -> "Resources":
        """The larger of the two in each dimension: what a resize holds until it is settled."""
        return self._each(other, max)

    def growth_to(self, other: "Resources") -> "Resources":
        """What `other` has more than this in each dimension, 0 where it has less."""
        return self._each(other, lambda mine, its: max(0, its - mine))

    def _each(self, other: "Resources", combine: Callable[[int, int], int]) -> "Resources":
        return Resources.parse({d.key: combine(self[d.key], other[d.key]) for d in DIMENSIONS})


@dataclass(frozen=True, slots=True)
class Limits:
    """A bound in every dimension: an int ≥ 0, or None for unlimited; those not named are 0."""

    _nonzero: tuple[tuple[str, int | None], ...] = ()

    @classmethod
    def of(cls, **bounds: int | None) -> Self:
        """`Limits.of(vcpus=200, servers=None)`; `UnknownDimension` or `ValueError` for what is no bound."""
        return cls.parse(bounds)

    @classmethod
    def parse(cls, document: Mapping[str, int | None]) -> Self:
        """From a JSON object of dimension keys and bounds; null is unlimited."""
        _check_keys(document)
        for key, bound in document.items():
            if bound is not None and (type(bound) is not int or bound < 0):
                raise ValueError(f"{key}: a limit is a whole number of 0 or more, or null, not {bound!r}")
        return cls(tuple((d.key, document[d.key]) for d in DIMENSIONS if document.get(d.key, 0) != 0))

    @classmethod
    def unlimited(cls) -> Self:
        """No bound in any dimension."""
        return cls.parse({d.key: None for d in DIMENSIONS})

    @classmethod
    def exactly(cls, amounts: Resources) -> Self:
        """The bound that `amounts` just meet."""
        return cls.parse(amounts.document())

    def document(self) -> dict[str, int | None]:
        """As a JSON object; zeros are left out, null is unlimited."""
        return dict(self._nonzero)

    def __getitem__(self, key: str) -> int | None:
        return next((bound for k, bound in self._nonzero if k == key), 0)

    def __bool__(self) -> bool:
        """Whether it lets anything through."""
        return bool(self._nonzero)

    def __add__(self, other: "Limits") -> "Limits":
        """The sum in each dimension; with unlimited it is unlimited."""
        return self._each(other, lambda mine, its: None if mine is None or its is None else mine + its)

    def lower(self, other: "Limits") -> "Limits":
        """The stricter of the two in each dimension."""
        return self._each(
            other, lambda mine, its: its if mine is None else mine if its is None else min(mine, its)
        )

    def higher(self, other: "Limits") -> "Limits":
        """The laxer of the two in each dimension."""
        return self._each(other, lambda mine, its: None if mine is None or its is None else max(mine, its))

    def _each(self, other: "Limits", combine: Callable[[int | None, int | None], int | None]) -> "Limits":
        return Limits.parse({d.key: combine(self[d.key], other[d.key]) for d in DIMENSIONS})


@dataclass(frozen=True)
class Room:
    """What a bureau may hold and what is taken of it; `used` is unlimited where an unlimited grant is carved
    out, and the ceiling of the bureau `child_id` where there is one.
    """

    bureau_id: int
    limit: Limits
    used: Limits
    child_id: int | None = None


@dataclass(frozen=True)
class Shortfall:
    """One bureau that falls short in one dimension: `used` + `asked` would be above `limit`; None is
    unlimited. With a `child_id`, `used` is that bureau's ceiling.
    """

    bureau_id: int
    dimension: str
    limit: int
    used: int | None
    asked: int | None
    child_id: int | None = None


def decide(asked: Resources | Limits, rooms: Iterable[Room]) -> list[Shortfall]:
    """Every shortfall, in the order of `rooms` and then of DIMENSIONS; an empty list is a yes.

    A dimension in which nothing is asked is never short: shrinking is always allowed.
    """
    return [
        Shortfall(room.bureau_id, d.key, limit, room.used[d.key], asked[d.key])
        for room in rooms
        for d in DIMENSIONS
        if asked[d.key] != 0
        and (limit := room.limit[d.key]) is not None
        and _above(_sum(room.used[d.key], asked[d.key]), limit)
    ]


def decide_change(
    old: Limits, new: Limits, *, at_least: Iterable[Room], within: Iterable[Room]
) -> list[Shortfall]:
    """Whether a limit may go from `old` to `new`: where it falls, not below what the `at_least` rooms use
    (their own limit does not matter); where it grows, `used` of the `within` rooms (without this limit) must
    leave room.
    """
    falls = [d.key for d in DIMENSIONS if _above(old[d.key], new[d.key])]
    grows = Limits.parse({d.key: new[d.key] for d in DIMENSIONS if _above(new[d.key], old[d.key])})
    below = [
        Shortfall(room.bureau_id, key, bound, room.used[key], 0, room.child_id)
        for room in at_least
        for key in falls
        if (bound := new[key]) is not None and _above(room.used[key], bound)
    ]
    return below + decide(grows, within)


def find_excess(rooms: Iterable[Room]) -> list[Shortfall]:
    """Where more is used than the limit, as in a bureau that was frozen below its usage; `asked` is 0."""
    return [
        Shortfall(room.bureau_id, d.key, limit, room.used[d.key], 0, room.child_id)
        for room in rooms
        for d in DIMENSIONS
        if (limit := room.limit[d.key]) is not None and _above(room.used[d.key], limit)
    ]


def headroom(limit: Limits, used: Limits) -> Limits:
    """What is left below `limit` in each dimension, never less than 0; None where there is no limit."""
    left = {}
    for d in DIMENSIONS:
        bound, taken = limit[d.key], used[d.key]
        left[d.key] = None if bound is None else 0 if taken is None else max(0, bound - taken)
    return Limits.parse(left)


@dataclass(frozen=True)
class Inventory:
    """What one provider of a region (host, pool, network) has of a dimension, as the cloud tells it."""

    dimension: str
    provider: str
    total: int
    reserved: int
    ratio: float


def capacity(inventories: Sequence[Inventory], *, reserve_largest_host: bool) -> Limits:
    """What a region can hold: Σ over its providers of floor((total − reserved) × ratio), less the largest
    host where its failure is reserved for. A dimension that no provider bounds is unlimited. Written once,
    here.
    """
    held: dict[str, int | None] = {}
    for d in DIMENSIONS:
        shares = [_usable(inventory) for inventory in inventories if inventory.dimension == d.key]
        spare = max(shares, default=0) if reserve_largest_host and d.source == "host" else 0
        held[d.key] = None if d.source is None else sum(shares) - spare
    return Limits.parse(held)


def total_of(limits: Iterable[Limits]) -> Limits:
    """The sum in each dimension."""
    return reduce(Limits.__add__, limits, Limits())


def total_used(amounts: Iterable[Resources]) -> Resources:
    """The sum in each dimension."""
    return reduce(Resources.__add__, amounts, Resources())


def _usable(inventory: Inventory) -> int:
    exact = (inventory.total - inventory.reserved) * Decimal(str(inventory.ratio))
    return max(0, int(exact.to_integral_value(ROUND_FLOOR)))


def _above(amount: int | None, bound: int | None) -> bool:
    return bound is not None and (amount is None or amount > bound)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _check_keys(document: Mapping[str, object]) -> None:
    if unknown := document.keys() - {d.key for d in DIMENSIONS}:
        raise UnknownDimension(f"no such dimension: {', '.join(sorted(unknown))}")
