"""Quota arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import quota
from provisioning.quota import (
    DIMENSIONS,
    Dimension,
    Inventory,
    Limits,
    Resources,
    Room,
    Shortfall,
    UnknownDimension,
    capacity,
    decide,
    decide_change,
    find_excess,
    headroom,
    total_of,
    total_used,
)

KEYS = [d.key for d in DIMENSIONS]
amounts = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 1000)).map(Resources.parse)
bounds = st.dictionaries(st.sampled_from(KEYS), st.none() | st.integers(0, 1000)).map(Limits.parse)


def test_amounts_not_named_are_zero_and_zeros_are_not_stored() -> None:
    asked = Resources.of(vcpus=4, servers=0)
    assert (asked["vcpus"], asked["servers"], asked["addresses"]) == (4, 0, 0)
    assert asked.document() == {"vcpus": 4}
    assert list(asked) == [("vcpus", 4)]
    assert asked == Resources.of(servers=0, vcpus=4)
    assert asked
    assert not Resources.of(vcpus=0)


def test_none_is_unlimited_and_zero_is_zero() -> None:
    limit = Limits.of(vcpus=None, servers=0)
    assert (limit["vcpus"], limit["servers"], limit["ram_mib"]) == (None, 0, 0)
    assert limit.document() == {"vcpus": None}
    assert Limits.parse(limit.document()) == limit
    assert not Limits.of(servers=0)
    assert Limits.unlimited()
    assert all(Limits.unlimited()[key] is None for key in KEYS)


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "4"])
def test_what_is_no_amount_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="vcpus"):
        Resources.parse({"vcpus": wrong})  # type: ignore[dict-item]  # what a stranger's JSON may hold
    with pytest.raises(ValueError, match="vcpus"):
        Limits.parse({"vcpus": wrong})  # type: ignore[dict-item]  # what a stranger's JSON may hold


def test_a_key_that_is_no_dimension_is_refused() -> None:
    with pytest.raises(UnknownDimension, match="gpus"):
        Resources.of(gpus=1)
    with pytest.raises(UnknownDimension, match="gpus"):
        Limits.of(gpus=None)


def test_a_new_dimension_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Limits.of(vcpus=8)
    monkeypatch.setattr(quota, "DIMENSIONS", (*DIMENSIONS, Dimension("gpus", "", "GPU", "GPU", "host")))
    assert old["gpus"] == 0
    asked = Resources.of(gpus=1, vcpus=2)
    assert decide(asked, [Room(7, old, Limits())]) == [Shortfall(7, "gpus", 0, 0, 1)]
    assert capacity([Inventory("gpus", "host-1", 4, 0, 1.0)], reserve_largest_host=False)["gpus"] == 4


@given(amounts, amounts)
def test_taking_and_giving_back_is_the_identity(one: Resources, other: Resources) -> None:
    assert (one + other) - other == one
    assert total_used([one, other, Resources()]) == one + other


@given(amounts, amounts)
def test_the_larger_is_the_old_and_its_growth(old: Resources, new: Resources) -> None:
    assert old.larger(new) == old + old.growth_to(new)
    assert old.larger(new).growth_to(new) == Resources()


def test_taking_more_than_there_is_is_a_broken_counter() -> None:
    with pytest.raises(ValueError, match="vcpus"):
        Resources.of(vcpus=1) - Resources.of(vcpus=2)


@given(bounds, bounds)
def test_the_lower_and_the_higher_of_two_limits(one: Limits, other: Limits) -> None:
    assert one.lower(Limits.unlimited()) == one
    assert one.higher(Limits.unlimited()) == Limits.unlimited()
    for key in KEYS:
        pair = {one[key], other[key]}
        assert one.lower(other)[key] in pair
        assert {one.lower(other)[key], one.higher(other)[key]} == pair
    assert find_excess([Room(1, one, one.lower(other))]) == []


def test_a_sum_with_unlimited_is_unlimited() -> None:
    assert total_of([Limits.of(vcpus=1, servers=2), Limits.of(vcpus=None, servers=3)]) == Limits.of(
        vcpus=None, servers=5
    )


def test_every_shortfall_is_told_in_the_order_of_rooms_then_dimensions() -> None:
    town = Room(3, Limits.of(vcpus=10, servers=1, ram_mib=None), Limits.of(vcpus=9, servers=1))
    county = Room(2, Limits.of(vcpus=None, servers=100), Limits.of(vcpus=500, servers=100))
    asked = Resources.of(servers=1, vcpus=2, ram_mib=4096)
    assert decide(asked, [town, county]) == [
        Shortfall(3, "servers", 1, 1, 1),
        Shortfall(3, "vcpus", 10, 9, 2),
        Shortfall(2, "servers", 100, 100, 1),
        Shortfall(2, "ram_mib", 0, 0, 4096),
    ]


def test_what_just_fits_fits() -> None:
    room = Room(1, Limits.of(vcpus=10), Limits.of(vcpus=8))
    assert decide(Resources.of(vcpus=2), [room]) == []
    assert decide(Resources.of(vcpus=3), [room]) == [Shortfall(1, "vcpus", 10, 8, 3)]


@given(bounds, bounds, amounts)
def test_asking_nothing_in_a_dimension_is_never_short_there(
    limit: Limits, used: Limits, asked: Resources
) -> None:
    short = decide(asked, [Room(1, limit, used)])
    assert all(asked[one.dimension] > 0 for one in short)
    assert decide(Resources(), [Room(1, limit, used)]) == []


@given(amounts, amounts, bounds)
def test_shrinking_is_never_refused(held: Resources, less: Resources, limit: Limits) -> None:
    smaller = Resources.parse({key: min(held[key], less[key]) for key in KEYS})
    assert decide(held.growth_to(smaller), [Room(1, limit, Limits.exactly(held))]) == []


def test_unlimited_needs_unlimited_room() -> None:
    asked = Limits.of(vcpus=None)
    assert decide(asked, [Room(1, Limits.of(vcpus=None), Limits.of(vcpus=5))]) == []
    assert decide(asked, [Room(1, Limits.of(vcpus=10), Limits())]) == [Shortfall(1, "vcpus", 10, 0, None)]
    carved_without_end = Room(1, Limits.of(vcpus=10), Limits.of(vcpus=None))
    assert decide(Resources.of(vcpus=1), [carved_without_end]) == [Shortfall(1, "vcpus", 10, None, 1)]


def test_a_grant_falls_no_lower_than_what_is_held_and_grows_no_higher_than_its_parent_has() -> None:
    held = Room(2, Limits(), Limits.of(vcpus=6, servers=3))
    parent = Room(1, Limits.of(vcpus=20, servers=5), Limits.of(vcpus=12, servers=1))
    old = Limits.of(vcpus=8, servers=4)
    assert decide_change(old, Limits.of(vcpus=6, servers=4), at_least=[held], within=[parent]) == []
    assert decide_change(old, Limits.of(vcpus=5, servers=5), at_least=[held], within=[parent]) == [
        Shortfall(2, "vcpus", 5, 6, 0),
        Shortfall(1, "servers", 5, 1, 5),
    ]


def test_a_change_is_not_refused_for_an_excess_in_a_dimension_that_it_leaves_alone() -> None:
    above = Room(1, Limits.of(vcpus=1), Limits.of(vcpus=9))
    assert (
        decide_change(Limits.of(vcpus=4), Limits.of(vcpus=4, servers=0), at_least=[above], within=[above])
        == []
    )
    assert decide_change(Limits.of(vcpus=None), Limits.of(vcpus=4), at_least=[above], within=[above]) == [
        Shortfall(1, "vcpus", 4, 9, 0)
    ]


def test_excess_and_headroom() -> None:
    limit, used = Limits.of(vcpus=4, ram_mib=None, servers=3), Limits.of(vcpus=6, ram_mib=100, servers=1)
    assert find_excess([Room(1, limit, used)]) == [Shortfall(1, "vcpus", 4, 6, 0)]
    assert headroom(limit, used) == Limits.of(vcpus=0, ram_mib=None, servers=2)
    assert headroom(limit, Limits.of(vcpus=None))["vcpus"] == 0


def test_capacity_floors_each_provider_and_leaves_room_for_the_largest_host() -> None:
    inventories = [
        Inventory("vcpus", "host-1", 33, 1, 1.1),  # 35.2
        Inventory("vcpus", "host-2", 32, 1, 1.1),  # 34.1
        Inventory("volume_gib", "pool-1", 1000, 100, 1.0),
        Inventory("addresses", "network-1", 50, 0, 1.0),
    ]
    without = capacity(inventories, reserve_largest_host=False)
    assert without == Limits.of(vcpus=69, volume_gib=900, addresses=50, servers=None, volumes=None)
    reserved = capacity(inventories, reserve_largest_host=True)
    assert reserved == Limits.of(vcpus=34, volume_gib=900, addresses=50, servers=None, volumes=None)


def test_capacity_is_exact_where_floats_are_not_and_never_negative() -> None:
    assert capacity([Inventory("vcpus", "h", 10, 0, 0.7)], reserve_largest_host=False)["vcpus"] == 7
    assert capacity([Inventory("vcpus", "h", 100, 0, 1.15)], reserve_largest_host=False)["vcpus"] == 115
    assert capacity([Inventory("vcpus", "h", 2, 5, 16.0)], reserve_largest_host=True)["vcpus"] == 0
    assert capacity([], reserve_largest_host=True)["ram_mib"] == 0
