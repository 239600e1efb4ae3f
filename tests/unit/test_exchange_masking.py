"""Masks, by Unicode characters."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exchange.digest import LARGEST_INTEGER, canonical, keyed_sm3, read_canonical
from exchange.masking import DATED, KINDS, BadMask, Mask, apply_masks, check_mask, masked, read_mask
from exchange.schema import TYPES, Item, RecordRules

KEY = b"k" * 32
ENDS = Mask("keep_ends", head=1, tail=1)
INTEGERS = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
CANDIDATES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(),
    "integer": INTEGERS | INTEGERS.map(float),
    "number": INTEGERS | FINITE,
    "boolean": st.booleans(),
    "date": st.dates().map(str),
    "datetime": st.datetimes().map(lambda at: at.isoformat() + "Z"),
    "resident_id": st.sampled_from(["11010519491231002X"]),
    "uscc": st.just("91350100M000100Y43"),
    "division_code": st.from_regex(r"1306([0-9]{2}([0-9]{3}([0-9]{3})?)?)?", fullmatch=True),
    "mobile": st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    "money": st.from_regex(r"-?[1-9][0-9]{0,17}(\.[0-9]{1,2})?", fullmatch=True),
}
"""By type, values of which most are acceptable to a dataset."""
COUNTS = st.integers(0, 20) | st.integers(0, 10**9)
MASKS = st.builds(
    Mask, st.sampled_from(KINDS), head=COUNTS, tail=COUNTS, step=COUNTS, to=st.sampled_from(["", *DATED])
)


@pytest.mark.parametrize(
    ("value", "mask", "shown"),
    [
        ("𠮷野家", ENDS, "𠮷*家"),
        ("𠮷", ENDS, "*"),
        ("𠮷𠮷", ENDS, "**"),
        ("", ENDS, ""),
        ("１３０６０２", Mask("keep_ends", head=2), "１３****"),
        ("130602199003070078", Mask("keep_ends", head=6, tail=4), "130602********0078"),
        ("13060219900307007x", Mask("keep_ends", tail=1), "*" * 17 + "x"),
        ("abc", Mask("keep_ends"), "***"),
        (1234567, Mask("keep_ends", head=1, tail=1), "1*****7"),
        (True, Mask("keep_ends"), "****"),
        (None, ENDS, None),
        ("x", Mask("drop"), None),
        ("1990-03-07", Mask("generalise", to="year"), "1990"),
        ("1990-03-07", Mask("generalise", to="month"), "1990-03"),
        ("1990-03-07T08:00:00Z", Mask("generalise", to="day"), "1990-03-07"),
        ("130602001", Mask("generalise", head=6), "130602"),
        ("𠮷野家店", Mask("generalise", head=2), "𠮷野"),
        (1234, Mask("generalise", step=100), 1200),
        (-1, Mask("generalise", step=100), -100),
        (12.5, Mask("generalise", step=5), 10),
        (-12.3, Mask("generalise", step=5), -15),
        (-15.0, Mask("generalise", step=5), -15),
        (-0.1, Mask("generalise", step=5), -5),
        (1e16, Mask("generalise", step=10), 1e16),
        (-1.7e308, Mask("generalise", step=7), -1.7e308),
        (-LARGEST_INTEGER, Mask("generalise", step=10), -LARGEST_INTEGER),
        (LARGEST_INTEGER, Mask("generalise", step=10), LARGEST_INTEGER - 1),
        (12.5, Mask("generalise", head=5), None),
        (True, Mask("generalise", step=5), None),
    ],
)
def test_a_value_under_its_mask(value: object, mask: Mask, shown: object) -> None:
    assert masked(value, mask, key=KEY) == shown


@pytest.mark.parametrize("item_type", TYPES)
@given(st.data())
def test_whatever_is_acceptable_has_canonical_json_under_every_mask(
    item_type: str, data: st.DataObject
) -> None:
    """Else nobody could be given the record, nor any record behind it."""
    value = data.draw(CANDIDATES[item_type])
    rules = RecordRules([Item("id", "text"), Item("value", item_type)], ["id"])
    record = {"id": "1", "value": value}
    assume(not rules.check(record, encoded=canonical(record)))
    stored = read_canonical(canonical(value))
    assert canonical(masked(stored, data.draw(MASKS), key=KEY))


@given(INTEGERS | FINITE, st.integers(1, 10**9))
def test_a_number_is_generalised_down_by_less_than_a_step(value: float, step: int) -> None:
    shown = masked(value, Mask("generalise", step=step), key=KEY)
    assert shown <= value
    assert value - shown < step or shown == value - step  # rounded: -1e-20 lies in the step that begins at -5
    assert abs(value) > LARGEST_INTEGER - step or shown % step == 0


@given(st.text(), st.integers(0, 5), st.integers(0, 5))
def test_keep_ends_keeps_the_ends_only(text: str, head: int, tail: int) -> None:
    shown = masked(text, Mask("keep_ends", head=head, tail=tail), key=KEY)
    assert len(shown) == len(text)
    if len(text) > head + tail:
        assert shown == text[:head] + "*" * (len(text) - head - tail) + (text[-tail:] if tail else "")
    else:
        assert set(shown) <= {"*"}


def test_a_digest_depends_on_the_subscription_and_the_value() -> None:
    mask = Mask("digest")
    seen = masked("130602199003070078", mask, key=KEY)
    assert seen == keyed_sm3(KEY, b"130602199003070078").hex()
    assert seen != masked("130602199003070078", mask, key=b"o" * 32)
    assert masked(5, mask, key=KEY) == keyed_sm3(KEY, b"5").hex()


def test_only_released_items_are_seen() -> None:
    value = {"id": "130602199003070078", "name": "𠮷野", "new": "secret", "note": "x", "none": None}
    masks = {"id": Mask("drop"), "name": ENDS}
    seen = apply_masks(value, items=["id", "name", "none", "absent"], masks=masks, key=KEY)
    assert seen == {"name": "**", "none": None}


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "keep_ends", "head": 1, "tail": 2},
        {"kind": "digest"},
        {"kind": "drop"},
        {"kind": "generalise", "to": "year"},
        {"kind": "generalise", "step": 10},
    ],
)
def test_a_mask_is_read_as_it_is_written(document: dict[str, Any]) -> None:
    assert read_mask(document).document() == document


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": "hash"},
        {"kind": "keep_ends", "head": -1},
        {"kind": "keep_ends", "head": True},
        {"kind": "keep_ends", "head": "1"},
        {"kind": "digest", "salt": "x"},
        {"kind": "generalise", "to": "century"},
    ],
)
def test_what_is_no_mask_is_refused_in_both_languages(document: dict[str, Any]) -> None:
    with pytest.raises(BadMask) as refusal:
        read_mask(document)
    assert refusal.value.why_zh
    assert refusal.value.why_en


@pytest.mark.parametrize(
    ("mask", "item_type", "fits"),
    [
        (Mask("generalise", step=10), "integer", True),
        (Mask("generalise", head=10), "integer", False),
        (Mask("generalise", to="year"), "date", True),
        (Mask("generalise", to="day"), "date", False),
        (Mask("generalise", to="day"), "datetime", True),
        (Mask("generalise"), "date", False),
        (Mask("generalise", head=6), "division_code", True),
        (Mask("generalise"), "text", False),
        (Mask("digest"), "text", True),
        (Mask("keep_ends"), "integer", True),
    ],
)
def test_a_generalisation_fits_the_type(mask: Mask, item_type: str, fits: bool) -> None:
    if fits:
        check_mask(mask, item_type=item_type)
    else:
        with pytest.raises(BadMask):
            check_mask(mask, item_type=item_type)
