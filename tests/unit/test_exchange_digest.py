"""Digests: canonical JSON, SM3, chains."""

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from exchange import digest

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


EVERY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=5)
"""Lone surrogates and control characters too."""
MEMBERS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | EVERY_TEXT | st.floats() | JSON_VALUES


def test_sm3_is_that_of_the_standard() -> None:
    assert digest.sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


@given(st.binary(max_size=64), st.binary(max_size=200))
def test_hmac_sm3_is_that_of_rfc_2104(key: bytes, data: bytes) -> None:
    padded = key.ljust(64, b"\0")
    inner = digest.sm3(bytes(byte ^ 0x36 for byte in padded) + data)
    assert digest.keyed_sm3(key, data) == digest.sm3(bytes(byte ^ 0x5C for byte in padded) + inner)


def test_canonical_json_is_that_of_rfc_8785() -> None:
    value = {"𠮷": 1.0, "a": [True, None], "1": "é\n", "é": 1e21}
    assert digest.canonical(value).decode() == '{"1":"é\\n","a":[true,null],"é":1e+21,"𠮷":1}'


@given(st.dictionaries(EVERY_TEXT, MEMBERS, max_size=4))
@example({"a": 1.0})
@example({"a": [1e16]})
@example({'\x7f\u2028\x00\x1f\\"/': "\b\t\x7f", "\uffff": 1, "𠮷": 2})
@example({"a": 2**53 - 1, "b": True, "c": None})
@example({"a": 2**53})
@example({"\ud800": 1})
def test_records_are_written_as_the_library_writes_them(value: dict[str, object]) -> None:
    try:
        theirs = rfc8785.dumps(value)  # type: ignore[arg-type] # what it refuses too
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011
            digest.canonical(value)
    else:
        assert digest.canonical(value) == theirs


@given(JSON_VALUES)
@example(1e16)
@example(-(2.0**53))
def test_what_was_written_as_canonical_json_is_read_so_that_it_is_written_so_again(value: object) -> None:
    written = digest.canonical(value)
    assert digest.canonical(digest.read_canonical(written)) == written


@given(st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=5))
def test_the_digest_of_a_record_does_not_see_the_order_of_its_items(value: dict[str, object]) -> None:
    backwards = dict(reversed(list(value.items())))
    assert digest.record_digest(value) == digest.record_digest(backwards)
    assert digest.record_digest(value) != digest.record_digest(value, delete=True)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, "\ud800", b"x", {1: 2}, {"a": "\ud800"}]
)
def test_what_has_no_canonical_json_is_refused_but_still_told_apart(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — its messages are the library's
        digest.canonical(value)
    assert digest.uncanonical(value) == digest.uncanonical(value)
    assert digest.uncanonical(value) != digest.uncanonical([value])
    assert digest.uncanonical(value).isascii()


def test_what_json_cannot_write_at_all_still_has_a_text() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert digest.uncanonical(loop).isascii()
    assert digest.uncanonical({1: 1, "a": 2}).isascii()


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(min_size=32, max_size=32))))
def test_partitions_are_chained_each_for_itself(records: list[tuple[int, bytes]]) -> None:
    chained = digest.chain_by_partition(records)
    assert set(chained) == {p for p, _ in records}
    for partition, found in chained.items():
        assert found == digest.chain(d for p, d in records if p == partition)


def test_order_and_place_count() -> None:
    a, b = digest.sm3(b"a"), digest.sm3(b"b")
    assert digest.chain([a, b]) != digest.chain([b, a])
    assert digest.chain([a, b]) == digest.sm3(a + b).hex()
    assert (
        digest.combine({0: "x", 1: "y"})
        == digest.combine({1: "y", 0: "x"})
        != digest.combine({0: "y", 1: "x"})
    )


@given(st.binary(max_size=40), st.integers(1, 50))
def test_a_key_has_one_partition(key: bytes, partitions: int) -> None:
    assert 0 <= digest.partition_of(key, partitions) < partitions
    assert digest.partition_of(key, partitions) == digest.partition_of(key, partitions)


def test_keys_spread_over_the_partitions() -> None:
    counts = [0] * 4
    for n in range(4_000):
        counts[digest.partition_of(digest.canonical({"code": str(n)}), 4)] += 1
    assert min(counts) > 850
