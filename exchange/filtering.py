"""Row filters: which records of a dataset a subscription shows, declared as item, operator, values. Pure.

All filters of a subscription must hold. What is compared is the record as it was published, before any mask,
by the item's type: dates, instants and amounts as such, texts by code points as they are. Nothing (absent,
null or an empty text) holds for `is_empty`, `ne` and `not_in` only. A value that is not of the type that the
filter was declared for, as one of an older version may be, holds for `is_not_empty` only.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from exchange.cells import read_text_cell
from exchange.digest import canonical
from exchange.schema import TYPES, Item, RecordRules

Sight = Literal["shown", "gone", "hidden"]
EMPTIES = ("is_empty", "is_not_empty")
LISTS = ("in", "not_in")
EQUALITIES = ("eq", "ne", *LISTS)
ORDERS = ("lt", "le", "gt", "ge")
OPERATORS = (*EQUALITIES, *ORDERS, "starts_with", *EMPTIES)
HOLD_FOR_NOTHING = ("is_empty", "ne", "not_in")
CODES = ("resident_id", "uscc", "division_code", "mobile")
NUMERIC = ("integer", "number")
MAX_FILTERS = 20
MAX_VALUES = 1_000
MAX_CHARACTERS = 1_000
INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
MONEY = re.compile(TYPES["money"][1]["pattern"])
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
DAYS_IN_400_YEARS = 146_097


class BadFilter(ValueError):
    """A filter that cannot be applied; says why in both languages, and never a value."""

    def __init__(self, why_zh: str, why_en: str) -> None:
        super().__init__(why_en)
        self.why_zh, self.why_en = why_zh, why_en


@dataclass(frozen=True)
class Filter:
    """What must hold for one item. `type` is the item's when it was declared.

    `silent`: it is on a key item and has held since the grant, so that a key for which it does not hold was
    never shown.
    """

    item: str
    operator: str
    values: tuple[Any, ...]
    type: str
    silent: bool = False

    def holds(self, value: Any) -> bool:
        """Whether it does for an item's value; None is an item that is not there."""
        if value is None or value == "":
            return self.operator in HOLD_FOR_NOTHING
        if self.operator in EMPTIES:
            return self.operator == "is_not_empty"
        own = comparable(value, self.type)
        return own is not None and self._compares(own)

    def says_the_same(self, other: "Filter") -> bool:
        """Whether both hold for the same values."""
        return (self.item, self.operator, self.type, self._wanted) == (
            other.item,
            other.operator,
            other.type,
            other._wanted,
        )

    def document(self) -> dict[str, Any]:
        """JSON-able form, whole."""
        return {
            "item": self.item,
            "operator": self.operator,
            "values": list(self.values),
            "type": self.type,
            "silent": self.silent,
        }

    @cached_property
    def _wanted(self) -> frozenset[Any]:
        return frozenset(comparable(value, self.type) for value in self.values)

    @cached_property
    def _first(self) -> Any:
        return comparable(self.values[0], self.type)

    def _compares(self, own: Any) -> bool:
        match self.operator:
            case "eq" | "in":
                return own in self._wanted
            case "ne" | "not_in":
                return own not in self._wanted
            case "starts_with":
                return isinstance(own, str) and own.startswith(self.values[0])
            case "lt":
                return bool(own < self._first)
            case "le":
                return bool(own <= self._first)
            case "gt":
                return bool(own > self._first)
            case _:
                return bool(own >= self._first)


def sight(filters: Iterable[Filter], record: Mapping[str, Any], *, delete: bool, full: bool) -> Sight:
    """What a subscriber may see of a record (of a delete: of its key items).

    'shown': all of it that is released; 'gone': that a record which it may have had is none of its own any
    more; 'hidden': nothing. Of a dataset that is replaced in `full` nothing can have been there before.
    """
    failed = [one for one in filters if not _passes(one, record, delete)]
    if not failed:
        return "shown"
    return "hidden" if full or any(one.silent for one in failed) else "gone"


def operators_of(item_type: str) -> tuple[str, ...]:
    """The operators that fit an item of that type."""
    if item_type == "boolean":
        return ("eq", "ne", *EMPTIES)
    if item_type in CODES:
        return (*EQUALITIES, "starts_with", *EMPTIES)
    return OPERATORS if item_type == "text" else (*EQUALITIES, *ORDERS, *EMPTIES)


def declare(
    documents: Sequence[Mapping[str, Any]],
    *,
    items: Mapping[str, Item],
    key_items: Collection[str],
    before_grant: bool,
) -> list[Filter]:
    """The filters that `{item, operator, values}` documents declare for items of the dataset; BadFilter.

    Numbers and booleans may also come as their texts.
    """
    if len(documents) > MAX_FILTERS:
        raise BadFilter(f"筛选条件最多 {MAX_FILTERS} 条", f"there are at most {MAX_FILTERS} filters")
    return [_declare(one, items, key_items, before_grant) for one in documents]


def read_filter(document: Mapping[str, Any]) -> Filter:
    """The filter that `Filter.document` wrote."""
    return Filter(
        document["item"],
        document["operator"],
        tuple(document["values"]),
        document["type"],
        document["silent"],
    )


def comparable(value: Any, item_type: str) -> Any:
    """What is compared of a value; None if it is not of the type."""
    if item_type in NUMERIC:
        return value if type(value) in (int, float) else None
    if item_type == "boolean":
        return value if isinstance(value, bool) else None
    if not isinstance(value, str):
        return None
    match item_type:
        case "datetime":
            return _instant(value)
        case "money":
            return Decimal(value) if MONEY.search(value) else None
        case "date":
            return value if DATE.fullmatch(value) else None  # in this form their texts have the dates' order
        case _:
            return value


def _passes(one: Filter, record: Mapping[str, Any], delete: bool) -> bool:
    """A delete does not say what the other items were: a filter on them is taken not to hold."""
    return one.holds(record.get(one.item)) and not (delete and one.item not in record)


def _declare(
    document: Mapping[str, Any], items: Mapping[str, Item], key_items: Collection[str], before_grant: bool
) -> Filter:
    name, operator = document.get("item"), document.get("operator")
    item = items.get(name) if isinstance(name, str) else None
    if item is None or set(document) - {"item", "operator", "values"}:
        raise BadFilter(
            "筛选条件由信息项（item）、比较方式（operator）和值（values）组成，信息项应为可用于筛选的信息项",
            "a filter has an item that may be filtered by, an operator and values, and nothing else",
        )
    if operator not in operators_of(item.type):
        known = "、".join(operators_of(item.type))
        raise BadFilter(
            f"信息项“{item.name}”的比较方式应为：{known}",
            f"the operators for “{item.name}” are {known.replace('、', ', ')}",
        )
    values = document.get("values", ())
    if not isinstance(values, list | tuple) or not _count_fits(operator, len(values)):
        raise BadFilter(
            f"信息项“{item.name}”的筛选值个数不符：is_empty、is_not_empty 无值，in、not_in 为 1 至 "
            f"{MAX_VALUES} 个，其余为 1 个",
            f"the filter on “{item.name}” has a wrong number of values: is_empty and is_not_empty have none, "
            f"in and not_in 1 to {MAX_VALUES}, the others one",
        )
    rules = RecordRules((Item(item.name, "text" if operator == "starts_with" else item.type),), ())
    read = tuple(_read_value(item, value, rules) for value in values)
    return Filter(item.name, operator, read, item.type, silent=before_grant and item.name in key_items)


def _count_fits(operator: str, count: int) -> bool:
    if operator in EMPTIES:
        return count == 0
    return 1 <= count <= (MAX_VALUES if operator in LISTS else 1)


def _read_value(item: Item, value: Any, rules: RecordRules) -> Any:
    if isinstance(value, str) and not 0 < len(value) <= MAX_CHARACTERS:
        raise BadFilter(
            f"信息项“{item.name}”的筛选值应为 1 至 {MAX_CHARACTERS} 个字符，空值请用 is_empty",
            f"a value for “{item.name}” has 1 to {MAX_CHARACTERS} characters; for none there is is_empty",
        )
    read = read_text_cell(item, value) if isinstance(value, str) else value
    if not _keeps(rules, {item.name: read}):
        _kind, _facets, zh, en = TYPES[item.type]
        raise BadFilter(
            f"信息项“{item.name}”的筛选值不是有效的{zh}", f"a value for “{item.name}” is not {en}"
        )
    return read


def _keeps(rules: RecordRules, record: Mapping[str, Any]) -> bool:
    try:
        encoded = canonical(record)
    except (ValueError, RecursionError):
        return False
    return None not in record.values() and not rules.check(record, encoded=encoded)


def _instant(text: str) -> tuple[int, str] | None:
    """Seconds since the year 0, and the digits of the fraction: exact to the last one."""
    found = INSTANT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.group(1, 2, 3, 4, 5, 6))
    fraction, sign, *offset = found.group(7, 8, 9, 10)
    try:
        days = date(year or 400, month, day).toordinal() - (0 if year else DAYS_IN_400_YEARS)
    except ValueError:
        return None
    ahead = (int(offset[0]) * 60 + int(offset[1])) * (-1 if sign == "-" else 1) if sign else 0
    return ((days * 24 + hour) * 60 + minute - ahead) * 60 + second, (fraction or "").rstrip("0")
