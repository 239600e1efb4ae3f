"""Ids of records in a batch: what is a duplicate, what is bad, and what of it another batch has."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.batch import (
    LONGEST_ID,
    Change,
    Sorted,
    Taken,
    encode,
    request_digest,
    sort_batch,
    without_taken,
)
from exchange.schema import Item, RecordRules

RULES = RecordRules([Item("id", "text"), Item("name", "text")], ["id"])


def sort(*changes: Change) -> Sorted:
    return sort_batch(changes, encode(changes), rules=RULES, partitions=3, full=False)


def person(number: int, name: str = "n", id: str | None = None) -> Change:
    return Change({"id": f"{number}", "name": name}, id=id)


def test_the_first_of_an_id_counts() -> None:
    batch = sort(person(1, id="a"), person(2), person(1, id="a"), person(1, "x", id="a"), person(2))
    assert ([one.place for one in batch.good], batch.duplicates) == ([1, 2, 5], 1)
    [bad] = batch.bad
    assert (bad.place, bad.id, bad.reasons[0].code) == (4, "a", "id_repeated")
    assert batch.ids == {"a": batch.good[0].digest}


def test_a_delete_is_another_record_than_an_upsert() -> None:
    batch = sort(Change({"id": "1"}, id="a"), Change({"id": "1"}, delete=True, id="a"))
    assert [one.reasons[0].code for one in batch.bad] == ["id_repeated"]


@pytest.mark.parametrize("id", ["", "x" * (LONGEST_ID + 1), "a\0", "\ud800", "a\nb"])
def test_an_id_is_printable_and_no_longer_than_that(id: str) -> None:
    batch = sort(person(1, id=id))
    assert [(one.reasons[0].code, one.id) for one in batch.bad] == [("bad_id", None)]
    assert sort(person(1, id="号" * LONGEST_ID)).bad == ()


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("xy"), st.sampled_from("abc") | st.none())))
def test_of_what_another_batch_has_nothing_is_good(given: list[tuple[int, str, str | None]]) -> None:
    batch = sort(*(person(*one) for one in given))
    taken = {
        id: Taken(7, digest) for id, digest in sort(person(0, "x", "a"), person(1, "x", "b")).ids.items()
    }
    left = without_taken(batch, taken)
    assert left.ids.keys().isdisjoint(taken)
    counts = [len(one.good) + len(one.bad) + one.duplicates for one in (batch, left)]
    assert counts == [len(given)] * 2
    assert [one.place for one in left.bad] == sorted(one.place for one in left.bad)
    assert without_taken(batch, {}) is batch


def test_who_has_the_id_is_named_and_what_was_sent_is_kept() -> None:
    other = {"a": Taken(7, b""), "b": Taken(7, b"")}
    batch = without_taken(sort(person(1, id="a"), Change({"id": "2"}, delete=True, id="b")), other)
    assert (batch.good, [one.delete for one in batch.bad]) == ((), [False, True])
    assert [json.loads(one.raw) for one in batch.bad] == [{"id": "1", "name": "n"}, {"id": "2"}]
    assert all("receipt 7" in one.reasons[0].en for one in batch.bad)


def test_an_id_is_part_of_what_was_sent() -> None:
    sent = [[person(1)], [person(1, id="a")], [person(1, id="b")], [person(1, id="\ud800")]]
    assert len({request_digest(one, encode(one)) for one in sent}) == len(sent)
