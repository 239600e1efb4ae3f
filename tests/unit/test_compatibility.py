"""Levels of compatibility between versions of a dataset's items."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.compatibility import LEVELS, Break, Level, backward_breaks, find_breaks, forward_breaks
from exchange.digest import canonical
from exchange.schema import Item, RecordRules


@pytest.mark.parametrize(
    ("new", "breaks"),
    [
        ([Item("a", "text", length=10), Item("n", "integer")], []),
        ([Item("a", "text", length=10), Item("n", "integer"), Item("new", "date")], []),
        ([Item("a", "text", length=20), Item("n", "number")], []),
        ([Item("a", "text"), Item("n", "integer")], []),
        ([Item("a", "text", length=10)], ["n"]),
        ([Item("a", "text", length=9), Item("n", "integer")], ["a"]),
        ([Item("a", "text", length=10), Item("n", "text")], ["n"]),
        ([Item("a", "text", length=10), Item("n", "integer", required=True)], ["n"]),
        (
            [Item("a", "date", length=10), Item("n", "integer"), Item("new", "text", required=True)],
            ["a", "new"],
        ),
    ],
)
def test_new_items_must_take_every_record_that_the_old_ones_took(new: list[Item], breaks: list[str]) -> None:
    old = [Item("a", "text", length=10), Item("n", "integer")]
    assert [found.item for found in backward_breaks(old, new)] == breaks


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(alphabet="a1-𠮷", max_size=4),
    "integer": st.integers(-3, 3),
    "number": st.sampled_from([0.5, 1, -2]),
    "date": st.just("2024-02-29"),
}
SOME_ITEM = st.builds(
    Item,
    st.sampled_from("abc"),
    st.sampled_from(sorted(VALUES)),
    st.none() | st.integers(1, 12),
    required=st.booleans(),
)
SOME_ITEMS = st.lists(SOME_ITEM, min_size=1, max_size=3, unique_by=lambda item: item.name)


@given(SOME_ITEMS, SOME_ITEMS, st.data())
def test_without_a_break_every_old_record_is_good_under_the_new_items(
    old: list[Item], new: list[Item], data: st.DataObject
) -> None:
    if backward_breaks(old, new):
        return
    before, after = (RecordRules([Item("k", "integer"), *items], ["k"]) for items in (old, new))
    value = {"k": 1} | {item.name: data.draw(VALUES[item.type]) for item in old}
    if not check(value, rules=before):
        assert check(value, rules=after) == []


@pytest.mark.parametrize(
    ("new", "breaks"),
    [
        ([Item("a", "text", length=10, required=True), Item("n", "number")], []),
        ([Item("a", "text", length=10, required=True)], []),
        ([Item("a", "date", length=9, required=True), Item("n", "integer", required=True)], []),
        ([Item("a", "text", length=10, required=True), Item("new", "text", required=True)], []),
        ([Item("n", "number")], ["a"]),
        ([Item("a", "text", length=10)], ["a"]),
        ([Item("a", "text", length=11, required=True)], ["a"]),
        ([Item("a", "text", required=True), Item("n", "text")], ["a", "n"]),
    ],
)
def test_readers_by_the_old_items_must_take_every_record_of_the_new_ones(
    new: list[Item], breaks: list[str]
) -> None:
    old = [Item("a", "text", length=10, required=True), Item("n", "number")]
    assert [found.item for found in forward_breaks(old, new)] == breaks


@given(SOME_ITEMS, SOME_ITEMS, st.data())
def test_without_a_break_every_new_record_is_good_for_readers_by_the_old_items(
    old: list[Item], new: list[Item], data: st.DataObject
) -> None:
    if forward_breaks(old, new):
        return
    before, after = (RecordRules([Item("k", "integer"), *items], ["k"]) for items in (old, new))
    value = {"k": 1} | {item.name: data.draw(VALUES[item.type]) for item in new}
    if not check(value, rules=after):
        released = {"k"} | {item.name for item in old}
        assert check({name: one for name, one in value.items() if name in released}, rules=before) == []


LONG, SHORT, GONE = [Item("a", "text", length=9)], [Item("a", "text", length=3)], [Item("b", "text")]


@pytest.mark.parametrize(
    ("level", "history", "new", "breaks"),
    [
        ("none", [LONG], SHORT, []),
        ("backward", [LONG], SHORT, ["a"]),
        ("backward", [SHORT], LONG, []),
        ("forward", [LONG], SHORT, []),
        ("forward", [SHORT], LONG, ["a"]),
        ("full", [SHORT], LONG, ["a"]),
        ("full", [LONG], SHORT, ["a"]),
        ("backward", [LONG, SHORT], SHORT, []),
        ("backward_transitive", [LONG, SHORT], SHORT, ["a"]),
        ("forward_transitive", [SHORT, LONG], LONG, ["a"]),
        ("full_transitive", [LONG, LONG], GONE, ["a"]),
        ("full_transitive", [], GONE, []),
    ],
)
def test_a_level_says_which_versions_are_held_to_what(
    level: Level, history: list[list[Item]], new: list[Item], breaks: list[str]
) -> None:
    assert [found.item for found in find_breaks(history, new, level=level)] == breaks


@given(st.sampled_from(LEVELS), st.lists(SOME_ITEMS, max_size=3), SOME_ITEMS)
def test_a_transitive_level_finds_whatever_its_plain_one_finds(
    level: Level, history: list[list[Item]], new: list[Item]
) -> None:
    plain: Any = level.removesuffix("_transitive")
    transitive: Any = plain if plain == "none" else f"{plain}_transitive"
    every: set[Break] = set(find_breaks(history, new, level=transitive))
    assert set(find_breaks(history, new, level=plain)) <= every
    assert find_breaks([new], new, level=transitive) == []


def check(value: dict[str, Any], *, rules: RecordRules) -> list[Any]:
    return rules.check(value, encoded=canonical(value))
