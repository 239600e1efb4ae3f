"""Items, the rules that records are held to, and that reasons never carry a value."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.batch import Change, encode, request_digest, sort_batch
from exchange.digest import combine
from exchange.masking import Mask
from exchange.schema import TYPES, BadItems, Item, Reason, RecordRules, check_items, read_item

RESIDENT = "130602199003070078"
ITEMS = (
    Item("id", "resident_id", sensitivity="sensitive", mask=Mask("digest")),
    Item("姓名", "text", length=4, required=True),
    Item("n", "integer"),
    Item("born", "date"),
)
RULES = RecordRules(ITEMS, ["id"])


def check(value: Any, *, rules: RecordRules = RULES, delete: bool = False) -> list[Reason]:
    return rules.check(value, encoded=encode([Change(value)])[0], delete=delete)


def codes(value: Any, *, delete: bool = False) -> list[tuple[str, str | None]]:
    return [(reason.code, reason.item) for reason in check(value, delete=delete)]


def of_type(name: str) -> RecordRules:
    return RecordRules([Item("k", "text"), Item("v", name)], ["k"])


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("text", ["", "吉𠮷", "\0"], [1, True, [], {}]),
        ("integer", [0, -5, 2**53 - 1, 1.0], ["1", 1.5, True, 2**53, float("nan")]),
        ("number", [0, 1.5, -1e300], ["1.5", True, float("inf")]),
        ("boolean", [True, False], [0, "true"]),
        (
            "date",
            ["2024-02-29"],
            ["2023-02-29", "2024-2-9", "20240229", "２０２４-02-29", "2024-02-29T00:00:00Z"],
        ),
        (
            "datetime",
            ["2024-02-29T08:00:00+08:00", "2024-02-29T00:00:00.123Z"],
            ["2024-02-29T08:00:00", "2024-02-29", "2023-02-29T08:00:00Z", "2024-02-29 08:00:00Z"],
        ),
        (
            "resident_id",
            [RESIDENT, "13060219900307006X"],
            [
                "130602199003070079",
                "13060219900307006x",
                "130602199013070078",
                "１３０６０２199003070078",
                RESIDENT + " ",
                " " + RESIDENT,
                "130602900307007",
                RESIDENT + "\n",
            ],
        ),
        (
            "uscc",
            ["91110000600037341L"],
            ["91110000600037341l", "91110000600037342L", "91110000-600037341L", ""],
        ),
        (
            "division_code",
            ["13", "1306", "130602", "130602001", "130602001001"],
            ["1", "130", "13060", "1306021", "030602", "1306020010011", "１３０６", "1306\n"],
        ),
        ("mobile", ["13800138000"], ["23800138000", "1380013800", "+8613800138000", "138001380001"]),
        (
            "money",
            ["0", "-1.50", "999999999999999999.99"],
            ["01", "1.234", "1,000", "", ".5", 1.5, "1.", "￥1"],
        ),
    ],
)
def test_a_type_takes_what_is_of_it_and_nothing_else(
    kind: str, good: Sequence[Any], bad: Sequence[Any]
) -> None:
    rules = of_type(kind)
    for value in good:
        assert check({"k": "a", "v": value}, rules=rules) == [], value
    for value in bad:
        reasons = check({"k": "a", "v": value}, rules=rules)
        assert [reason.item for reason in reasons] == ["v"], value


def test_every_type_is_tried_above() -> None:
    mark = next(m for m in test_a_type_takes_what_is_of_it_and_nothing_else.pytestmark)
    assert {case[0] for case in mark.args[1]} == set(TYPES)


def test_districts_made_since_the_tables_are_known() -> None:
    """莲池区 (130606) came in 2015: python-stdnum's table of places does not have it."""
    assert check({"k": "a", "v": "130606199003070073"}, rules=of_type("resident_id")) == []


def test_every_reason_is_given_in_the_order_of_the_items() -> None:
    assert codes({"id": "1", "姓名": "一二三四五", "n": "x", "born": "2023-02-29", "zz": 1}) == [
        ("unknown_item", None),
        ("bad_resident_id", "id"),
        ("too_long", "姓名"),
        ("wrong_type", "n"),
        ("bad_date", "born"),
    ]
    assert codes({}) == [("missing", "id"), ("missing", "姓名")]
    assert codes([]) == codes("x") == codes(None) == [("not_an_object", None)]
    assert codes({"id": RESIDENT, "姓名": "𠮷" * 4}) == []
    assert codes({"id": RESIDENT, "姓名": None}) == [("wrong_type", "姓名")]
    assert codes({"id": RESIDENT, "姓名": "甲", "n": None, "born": None}) == []


def test_a_delete_has_its_key_and_nothing_else() -> None:
    assert codes({"id": RESIDENT}, delete=True) == []
    assert codes({"id": RESIDENT, "姓名": "甲"}, delete=True) == [("unknown_item", None)]
    assert codes({}, delete=True) == [("missing", "id")]


def test_a_key_is_not_empty() -> None:
    rules = RecordRules([Item("k", "text"), Item("v", "text")], ["k"])
    assert [reason.code for reason in check({"k": ""}, rules=rules)] == ["empty_key"]
    assert [reason.code for reason in check({"k": None}, rules=rules)] == ["wrong_type"]
    assert rules.key({"v": "x", "k": "吉"}) == '{"k":"吉"}'.encode()


def test_a_key_has_a_greatest_size() -> None:
    rules = RecordRules([Item("k", "text"), Item("l", "text"), Item("v", "text")], ["k", "l"])
    fits = {"k": "证" * 1_000, "l": "x" * 1_081}
    assert len(rules.key(fits)) == 4_096
    for short in ({**fits, "v": "x" * 5_000}, fits):
        assert check(short, rules=rules, delete="v" not in short) == []
    long = {**fits, "l": "x" * 1_082}
    for delete in (False, True):
        reasons = check(long, rules=rules, delete=delete)
        assert [(reason.code, reason.item) for reason in reasons] == [("key_too_large", None)]
        assert "4097" in reasons[0].zh
        assert "4097" in reasons[0].en


def test_what_has_no_canonical_json_is_named_by_its_item() -> None:
    assert codes({"id": RESIDENT, "姓名": "甲", "n": 2**53}) == [("not_canonical", "n")]
    assert codes({"id": RESIDENT, "姓名": "\ud800"}) == [("not_canonical", "姓名")]
    assert codes({"id": RESIDENT, "姓名": "甲", "born\ud800": 1}) == [("not_canonical", None)]
    assert codes({"id": RESIDENT, "姓名": "甲", 5: 1}) == [("not_canonical", None)]


def test_a_record_has_a_greatest_size() -> None:
    rules = of_type("text")
    reasons = check({"k": "a", "v": "x" * 900_000}, rules=rules)
    assert [reason.code for reason in reasons] == ["too_large"]


PLANTED = "13060219900307007X"


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.sampled_from(
                [PLANTED, PLANTED.lower(), [PLANTED], {"a": PLANTED}, f"证件{PLANTED}号", 1, None]
            )
            for name in (
                "id",
                "姓名",
                "n",
                "born",
                PLANTED,
                f"x{PLANTED.lower()}",
                "１３０６０２１９９００３０７００７Ｘ",
            )
        },
    ),
    st.booleans(),
)
def test_reasons_never_carry_a_value_nor_an_unknown_name(value: dict[str, Any], delete: bool) -> None:
    reasons = check(value, delete=delete)
    assert reasons
    told = json.dumps([reason.document() for reason in reasons], ensure_ascii=False)
    assert "1306" not in told
    assert "１３０６" not in told
    assert all(reason.zh and reason.en for reason in reasons)


@pytest.mark.parametrize(
    ("items", "key_items"),
    [
        ([], ["a"]),
        ([Item("a", "text"), Item("a", "text")], ["a"]),
        ([Item("a", "text"), Item("A", "text")], ["a"]),
        ([Item("a", "text")], []),
        ([Item("a", "text")], ["b"]),
        ([Item("a", "text")], ["a", "a"]),
        ([Item("a", "number")], ["a"]),
        ([Item("a", "blob")], ["a"]),
        ([Item("a b", "text")], ["a b"]),
        ([Item("1a", "text")], ["1a"]),
        ([Item("", "text")], [""]),
        ([Item("a" * 65, "text")], ["a" * 65]),
        ([Item("a", "text", length=0)], ["a"]),
        ([Item("a", "text", sensitivity="top")], ["a"]),
        ([Item("a", "text", required="yes")], ["a"]),  # type: ignore[arg-type]  # what comes from outside may be so
        ([Item("a", "date", mask=Mask("generalise"))], ["a"]),
        ([Item(f"a{n}", "text") for n in range(501)], ["a1"]),
    ],
)
def test_items_that_make_no_dataset_are_refused(items: list[Item], key_items: list[str]) -> None:
    with pytest.raises(BadItems) as refusal:
        check_items(items, key_items)
    assert refusal.value.why_zh
    assert refusal.value.why_en


def test_items_are_read_as_they_are_written() -> None:
    check_items(ITEMS, ["id"])
    assert tuple(read_item(item.document()) for item in ITEMS) == ITEMS


@pytest.mark.parametrize(
    "document",
    [
        {"name": "a"},
        {"name": "a", "type": "text", "x": 1},
        {"name": "a", "type": "text", "mask": {"kind": "?"}},
    ],
)
def test_what_is_no_item_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(BadItems):
        read_item(document)


def sort(changes: list[Change], *, full: bool = False, partitions: int = 3) -> Any:
    rules = RecordRules([Item("k", "text"), Item("v", "text")], ["k"])
    return sort_batch(changes, encode(changes), rules=rules, partitions=partitions, full=full)


def test_a_batch_is_sorted_with_places_and_order_per_key() -> None:
    changes = [
        Change({"k": "a", "v": "1"}),
        Change({"k": 5}),
        Change({"k": "a"}, delete=True),
        Change({"k": "a", "v": "2"}),
    ]
    batch = sort(changes)
    assert [(bad.place, bad.delete) for bad in batch.bad] == [(2, False)]
    assert len({good.partition for good in batch.good}) == 1
    assert [good.value for good in batch.good] == [b'{"k":"a","v":"1"}', None, b'{"k":"a","v":"2"}']
    assert batch.upserts == 2
    assert batch.digest == combine(batch.digests)
    assert set(batch.digests) == {good.partition for good in batch.good}


def test_a_full_batch_has_each_key_once_and_no_deletes() -> None:
    batch = sort(
        [Change({"k": "a"}), Change({"k": "a"}), Change({"k": "b"}, delete=True), Change({"k": "c"})],
        full=True,
    )
    assert [(bad.place, [r.code for r in bad.reasons]) for bad in batch.bad] == [
        (2, ["repeated_key"]),
        (3, ["delete_in_full"]),
    ]
    assert len(batch.good) == 2


SOME_CHANGES = st.lists(
    st.tuples(st.sampled_from([{"k": "a"}, {"k": "b"}, 5, float("nan"), None]), st.booleans()), max_size=4
)


@given(SOME_CHANGES, SOME_CHANGES)
def test_equal_requests_and_only_they_have_equal_digests(one: list[Any], two: list[Any]) -> None:
    first, second = ([Change(value, delete) for value, delete in rows] for rows in (one, two))
    same = request_digest(first, encode(first)) == request_digest(second, encode(second))
    assert same == (repr(one) == repr(two))


def test_what_was_found_wrong_in_reading_counts_in_what_was_sent() -> None:
    value = {"k": "a", "v": "1"}
    faults = [(), *((Reason(code, "v", "错", "wrong"),) for code in ("formula", "digits_lost"))]
    changes = [Change(value, faults=found) for found in faults]
    assert len({request_digest([one], encode([one])) for one in changes}) == 3
