"""JSON arrays and NDJSON are read strictly, and alike however their text is cut into pieces."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exchange.errors import Unreadable
from exchange.intake import as_change, lines_of, read_array, read_lines

Read = Callable[[Iterable[str]], Iterator[tuple[int, Any]]]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def cut(text: str, places: list[int]) -> list[str]:
    """`text` in pieces, some of them empty."""
    at = sorted(place % (len(text) + 1) for place in places)
    return [text[first:last] for first, last in zip([0, *at], [*at, len(text)], strict=True)]


@given(st.lists(values, max_size=5), st.lists(st.integers(0, 500), max_size=8), st.sampled_from([None, 1]))
@example([1e-300, 2.5], [3], None)
@example([1e-300, 2.5], [4], None)
@example([1e-300, 2.5], [11], None)
@example([1e-300, 2.5], [5, 10], None)
def test_an_array_in_pieces_is_read_as_it_was_written(
    written: list[Any], places: list[int], indent: int | None
) -> None:
    text = " " + json.dumps(written, ensure_ascii=False, indent=indent) + "\n"
    assert list(read_array(cut(text, places))) == list(enumerate(written, start=1))


@given(st.lists(values, max_size=5), st.lists(st.integers(0, 500), max_size=8))
def test_lines_in_pieces_are_read_as_they_were_written(written: list[Any], places: list[int]) -> None:
    text = "".join(f"{json.dumps(one)}\r\n\n" for one in written)
    assert [value for _, value in read_lines(cut(text, places))] == written


@given(st.text(alphabet='[]{}",:1e-\\nul Nat\n', max_size=30), st.lists(st.integers(0, 500), max_size=4))
def test_any_text_is_read_or_refused(text: str, places: list[int]) -> None:
    for read in (read_array, read_lines):
        first, second = outcome(read, [text]), outcome(read, cut(text, places))
        assert first == second
        if read is read_array and isinstance(first, list):
            assert json.loads(text) == [value for _, value in first]


def outcome(read: Read, pieces: list[str]) -> object:
    try:
        return list(read(pieces))
    except Unreadable as error:
        return error.facts


@given(st.text(alphabet="ab\n\r", max_size=20), st.lists(st.integers(0, 500), max_size=8))
def test_lines_are_those_of_the_whole_text(text: str, places: list[int]) -> None:
    assert list(lines_of(cut(text, places))) == text.split("\n")


@pytest.mark.parametrize(
    ("read", "text", "place"),
    [
        (read_array, "", 1),
        (read_array, "{}", 1),
        (read_array, "[1", 1),
        (read_array, "[1 2]", 1),
        (read_array, "[1,]", 2),
        (read_array, "[1] 2", 1),
        (read_array, "[NaN]", 1),
        (read_array, "[1,Infinity]", 2),
        (read_array, '[{"a":1,"a":2}]', 1),
        (read_array, "[" * 100_000, 1),
        (read_array, "[" + "9" * 5000 + "]", 1),
        (read_lines, "1\n2 3", 2),
        (read_lines, "1\n\n{", 3),
        (read_lines, '\n{"a":{"b":1,"b":1}}', 2),
    ],
)
def test_what_may_be_read_in_two_ways_is_refused_with_its_place(read: Read, text: str, place: int) -> None:
    with pytest.raises(Unreadable) as refusal:
        list(read([text]))
    assert refusal.value.facts["place"] == place


def test_a_change_says_upsert_or_delete() -> None:
    assert as_change(1, {"value": 1}).delete is False
    assert as_change(1, {"op": "delete", "value": {}}).delete is True
    for wrong in (1, {}, {"value": 1, "x": 1}, {"op": "merge", "value": 1}):
        with pytest.raises(Unreadable):
            as_change(1, wrong)
