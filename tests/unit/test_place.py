"""Where a subscriber stands: cursors, and acknowledgements in any order."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.place import BEGINNING, NotOurs, Place, later, read_cursor, read_place, write_cursor

KEY = bytes(range(32))
OFFSETS = st.dictionaries(st.integers(0, 3), st.integers(0, 2**53 - 1))
PLACES = st.builds(
    Place,
    OFFSETS,
    st.integers(0, 3),
    st.none() | st.integers(1, 3),
    st.none() | st.integers(1, 9),
    st.integers(0, 1),
)


@given(PLACES)
def test_a_cursor_holds_its_place(place: Place) -> None:
    cursor = write_cursor(place, key=KEY, subscription_id=7)
    assert read_cursor(cursor, key=KEY, subscription_id=7) == place
    for other in ({"key": KEY, "subscription_id": 8}, {"key": KEY[::-1], "subscription_id": 7}):
        with pytest.raises(NotOurs):
            read_cursor(cursor, **other)  # type: ignore[arg-type]


@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_what_was_never_written_is_no_cursor(text: str) -> None:
    with pytest.raises(NotOurs):
        read_cursor(text, key=KEY, subscription_id=7)


def test_a_place_that_an_older_version_wrote_is_read() -> None:
    assert read_place({"p": {"1": 5}, "t": 1, "g": None}) == Place({1: 5}, 1)


def lies_before(partition: int, offset: int, place: Place) -> bool:
    return offset < place.positions.get(partition, 0)


@given(PLACES, PLACES, st.integers(0, 3), st.integers(0, 2**53 - 1))
def test_behind_the_later_place_lies_what_lies_before_either(
    one: Place, other: Place, partition: int, offset: int
) -> None:
    both, back = later(one, other), later(other, one)
    if one.rewinds != other.rewinds:
        assert both == back == max(one, other, key=lambda place: place.rewinds)
        return
    assert (both.positions, both.generation) == (back.positions, back.generation) or (
        one.generation == other.generation
    )
    newest = max(one.generation or 0, other.generation or 0)
    counting = [place for place in (one, other) if (place.generation or 0) == newest]
    assert (both.generation or 0) == newest
    if one.generation == other.generation:
        wanted = any(lies_before(partition, offset, place) for place in counting)
        assert lies_before(partition, offset, both) == wanted


@given(PLACES)
def test_a_place_said_twice_stays(place: Place) -> None:
    assert later(place, place) == place
    assert later(replace(BEGINNING, rewinds=place.rewinds), place).positions == place.positions
