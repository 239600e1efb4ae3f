"""Row filters: what holds for which values, and what may be seen of a record."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.filtering import (
    EMPTIES,
    HOLD_FOR_NOTHING,
    LISTS,
    MAX_CHARACTERS,
    MAX_FILTERS,
    MAX_VALUES,
    OPERATORS,
    BadFilter,
    Filter,
    comparable,
    declare,
    operators_of,
    read_filter,
    sight,
)
from exchange.masking import Mask
from exchange.schema import TYPES, Item

ITEMS = {name: Item(name, name) for name in TYPES}
EXAMPLES: dict[str, Any] = {
    "text": "甲",
    "integer": 7,
    "number": 7.5,
    "boolean": True,
    "date": "2026-02-28",
    "datetime": "2026-02-28T23:59:59.5+08:00",
    "resident_id": "11010519491231002X",
    "uscc": "91350100M000100Y43",
    "division_code": "130602",
    "mobile": "13800138000",
    "money": "-0.50",
}
JUNK = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
)
ZONED = st.tuples(
    st.datetimes().filter(lambda at: date.min + timedelta(2) < at.date() < date.max - timedelta(2)),
    st.integers(-23 * 60, 23 * 60),
)


def one(operator: str, *values: Any, type: str = "text", silent: bool = False, item: str = "v") -> Filter:
    return Filter(item, operator, values, type, silent)


@pytest.mark.parametrize(
    ("given_one", "value", "holds"),
    [
        (one("eq", "甲"), "甲", True),
        (one("eq", "a"), "A", False),
        (one("eq", "1"), "１", False),
        (one("ne", "甲"), "乙", True),
        (one("in", "甲", "乙"), "乙", True),
        (one("not_in", "甲", "乙"), "乙", False),
        (one("lt", "b"), "a", True),
        (one("lt", "￿"), "𠮷", False),
        (one("le", 2, type="integer"), 2.0, True),
        (one("gt", 2**53 - 1, type="number"), float(2**53), True),
        (one("ge", 10, type="integer"), 9, False),
        (one("eq", 1, type="integer"), True, False),
        (one("eq", True, type="boolean"), 1, False),
        (one("eq", False, type="boolean"), False, True),
        (one("starts_with", "1306"), "130602", True),
        (one("starts_with", "1306"), "213060", False),
        (one("eq", "1.5", type="money"), "1.50", True),
        (one("lt", "10", type="money"), "9.99", True),
        (one("gt", "-0.01", type="money"), "-0", True),
        (one("lt", "2026-10-01", type="date"), "2026-09-30", True),
        (one("ge", "2026-10-01", type="date"), "2026-9-30", False),
        (one("eq", "2026-01-01T00:00:00Z", type="datetime"), "2026-01-01T08:00:00.000+08:00", True),
        (one("lt", "2026-01-01T00:00:00.10Z", type="datetime"), "2026-01-01T00:00:00.09999Z", True),
        (one("gt", "2026-01-01T00:00:00.000000001Z", type="datetime"), "2026-01-01T00:00:00Z", False),
        (one("lt", "0001-01-01T00:00:00Z", type="datetime"), "0000-12-31T23:59:59Z", True),
        (one("lt", "0001-01-01T00:00:00Z", type="datetime"), "0001-01-01T00:00:00+01:00", True),
        (one("ge", "0001-01-01T00:00:00Z", type="datetime"), "2026-02-31T00:00:00Z", False),
        (one("ge", "0001-01-01T00:00:00Z", type="datetime"), "yesterday", False),
        (one("is_empty"), "甲", False),
        (one("is_not_empty"), "甲", True),
        (one("is_not_empty", type="integer"), 0, True),
        (one("is_not_empty", type="boolean"), False, True),
    ],
)
def test_values_are_compared_by_the_items_type(given_one: Filter, value: Any, holds: bool) -> None:
    assert given_one.holds(value) is holds


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_holds_for_three_operators_alone(operator: str, nothing: Any) -> None:
    assert one(operator, "甲").holds(nothing) is (operator in HOLD_FOR_NOTHING)


@given(st.sampled_from(sorted(TYPES)), st.sampled_from(OPERATORS), JUNK)
def test_what_is_not_of_the_type_is_compared_with_nothing(type_: str, operator: str, value: Any) -> None:
    found = one(operator, EXAMPLES[type_], type=type_).holds(value)
    if value in (None, "") or operator in EMPTIES or comparable(value, type_) is not None:
        return
    assert found is False


@given(ZONED, ZONED)
def test_instants_have_the_order_of_time(one_at: Any, other_at: Any) -> None:
    def told(at: datetime, minutes: int) -> str:
        hours, rest = divmod(abs(minutes), 60)
        sign = "-" if minutes < 0 else "+"
        return f"{at.isoformat()}{sign}{hours:02}:{rest:02}"

    first, second = told(*one_at), told(*other_at)
    earlier = datetime.fromisoformat(first) < datetime.fromisoformat(second)
    assert (comparable(first, "datetime") < comparable(second, "datetime")) is earlier


@given(st.dates(), st.dates(), st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_dates_and_amounts_have_their_own_order(one_on: date, other_on: date, a: int, b: int) -> None:
    assert one("lt", str(other_on), type="date").holds(str(one_on)) is (one_on < other_on)
    first, second = f"{Decimal(a) / 100:.2f}", str(b)
    assert one("le", second, type="money").holds(first) is (Decimal(first) <= b)


@pytest.mark.parametrize("type_", sorted(TYPES))
def test_each_type_has_operators_that_take_its_values(type_: str) -> None:
    for operator in operators_of(type_):
        values = [] if operator in EMPTIES else [EXAMPLES[type_]]
        document = {"item": type_, "operator": operator, "values": values}
        [found] = declare([document], items=ITEMS, key_items=(), before_grant=True)
        assert read_filter(found.document()) == found
        assert found.holds(EXAMPLES[type_]) is (operator not in ("ne", "not_in", "lt", "gt", "is_empty"))
    assert ("starts_with" in operators_of(type_)) is (
        type_ in ("text", "resident_id", "uscc", "division_code", "mobile")
    )


def test_numbers_and_booleans_may_come_as_texts() -> None:
    told = [
        {"item": "integer", "operator": "eq", "values": ["7"]},
        {"item": "number", "operator": "lt", "values": ["7.5"]},
        {"item": "boolean", "operator": "eq", "values": ["是"]},
        {"item": "text", "operator": "eq", "values": ["007"]},
    ]
    found = declare(told, items=ITEMS, key_items=("text",), before_grant=True)
    assert [one.values for one in found] == [(7,), (7.5,), (True,), ("007",)]
    assert [one.silent for one in found] == [False, False, False, True]
    [later] = declare(told[3:], items=ITEMS, key_items=("text",), before_grant=False)
    assert later.silent is False
    assert later.says_the_same(found[3])


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"item": "secret-value", "operator": "eq", "values": ["secret-value"]},
        {"item": ["text"], "operator": "eq", "values": ["secret-value"]},
        {"item": "text", "operator": "eq", "values": ["x"], "code": "secret-value"},
        {"item": "text", "operator": "matches", "values": ["secret-value"]},
        {"item": "boolean", "operator": "lt", "values": [True]},
        {"item": "mobile", "operator": "lt", "values": ["13800138000"]},
        {"item": "integer", "operator": "starts_with", "values": [1]},
        {"item": "text", "operator": "eq", "values": []},
        {"item": "text", "operator": "eq", "values": "secret-value"},
        {"item": "text", "operator": "eq", "values": ["secret-value", "b"]},
        {"item": "text", "operator": "is_empty", "values": ["secret-value"]},
        {"item": "text", "operator": "in", "values": []},
        {"item": "text", "operator": "in", "values": ["a"] * (MAX_VALUES + 1)},
        {"item": "text", "operator": "eq", "values": [""]},
        {"item": "text", "operator": "starts_with", "values": [""]},
        {"item": "text", "operator": "starts_with", "values": [1]},
        {"item": "text", "operator": "eq", "values": ["x" * (MAX_CHARACTERS + 1)]},
        {"item": "text", "operator": "eq", "values": [None]},
        {"item": "text", "operator": "eq", "values": ["\ud800"]},
        {"item": "text", "operator": "starts_with", "values": ["\ud800"]},
        {"item": "integer", "operator": "eq", "values": ["secret-value"]},
        {"item": "integer", "operator": "eq", "values": [2**53]},
        {"item": "number", "operator": "eq", "values": [float("nan")]},
        {"item": "date", "operator": "eq", "values": ["2026-02-30"]},
        {"item": "money", "operator": "in", "values": ["1.00", "secret-value"]},
    ],
)
def test_a_filter_that_cannot_be_applied_is_refused_without_its_value(document: dict[str, Any]) -> None:
    with pytest.raises(BadFilter) as refused:
        declare([document], items=ITEMS, key_items=(), before_grant=True)
    assert "secret-value" not in refused.value.why_zh + refused.value.why_en


def test_there_are_not_too_many() -> None:
    fine = [{"item": "text", "operator": "is_empty"}] * MAX_FILTERS
    assert len(declare(fine, items=ITEMS, key_items=(), before_grant=True)) == MAX_FILTERS
    with pytest.raises(BadFilter):
        declare([*fine, *fine], items=ITEMS, key_items=(), before_grant=True)


def test_the_items_mask_says_nothing_about_what_is_compared() -> None:
    masked = {"text": Item("text", "text", mask=Mask("drop"))}
    [found] = declare(
        [{"item": "text", "operator": "in", "values": ["b", "a"]}],
        items=masked,
        key_items=(),
        before_grant=True,
    )
    assert found.holds("a")
    assert found.operator in LISTS
    assert found.says_the_same(one("in", "a", "b", item="text"))
    assert not found.says_the_same(one("not_in", "a", "b", item="text"))


OWN = one("eq", "a", item="key", silent=True)
LATER = one("eq", "a", item="key")
REST = one("eq", 1, type="integer", item="n")


@pytest.mark.parametrize(
    ("filters", "record", "delete", "seen"),
    [
        ((), {"key": "b"}, False, "shown"),
        ((), {"key": "b"}, True, "shown"),
        ((OWN,), {"key": "a"}, True, "shown"),
        ((OWN,), {"key": "b"}, True, "hidden"),
        ((OWN,), {"key": "b", "n": 1}, False, "hidden"),
        ((LATER,), {"key": "b"}, True, "gone"),
        ((LATER,), {"key": "b", "n": 1}, False, "gone"),
        ((REST,), {"key": "a", "n": 1}, False, "shown"),
        ((REST,), {"key": "a", "n": 2}, False, "gone"),
        ((REST,), {"key": "a"}, False, "gone"),
        ((REST,), {"key": "a"}, True, "gone"),
        ((one("is_empty", item="n"),), {"key": "a"}, True, "gone"),
        ((one("is_empty", item="n"),), {"key": "a"}, False, "shown"),
        ((OWN, REST), {"key": "a"}, True, "gone"),
        ((OWN, REST), {"key": "b"}, True, "hidden"),
        ((OWN, REST), {"key": "b", "n": 2}, False, "hidden"),
    ],
)
def test_what_may_have_been_seen_is_said_to_be_gone(
    filters: tuple[Filter, ...], record: dict[str, Any], delete: bool, seen: str
) -> None:
    assert sight(filters, record, delete=delete, full=False) == seen
    in_full = "hidden" if seen == "gone" else seen
    assert sight(filters, record, delete=delete, full=True) == in_full
