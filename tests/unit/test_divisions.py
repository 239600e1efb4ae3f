"""The tree's file: each row by itself, and whether all rows together make a tree."""

import csv
import io
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.data import DIVISIONS
from identity.divisions import parse
from identity.levels import LEVELS, Place, place_fault
from identity.tree_plan import Change, Plan, Unit, make_plan

HEADER = "code,parent_code,level,name\n"
CITY = "13,,city,甲市\n"
COUNTY = "1301,13,county,乙县\n"


def text(*rows: str) -> str:
    return HEADER + "".join(rows)


def plan(
    *rows: str, present: dict[str, Unit] | None = None, **options: Any
) -> tuple[Plan, list[tuple[int, str]]]:
    made, problems = make_plan(parse(text(*rows)), present or {}, **options)
    return made, [(problem.row, problem.fault.reason) for problem in problems]


def tree(*rows: str) -> dict[str, Unit]:
    made, problems = plan(*rows)
    assert problems == []
    return {step.unit.code: step.unit for layer in made.layers for step in layer}


def test_the_citys_own_file_is_sound() -> None:
    parsed = parse(DIVISIONS.read_text(encoding="utf-8"))
    made, problems = make_plan(parsed, {})
    assert problems == []
    assert [len(layer) for layer in made.layers] == [1, 26, 359, 6899]


def test_children_may_come_before_parents_and_columns_in_any_order() -> None:
    made, problems = make_plan(
        parse("name,level,code,parent_code\r\n乙县,county,1301,13\r\n\r\n甲市,city,13,\r\n"), {}
    )
    assert problems == []
    assert [[step.unit.code for step in layer] for layer in made.layers] == [["13"], ["1301"]]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["1301,99,county,乙县\n"], [(2, "unknown_parent")]),
        ([CITY, "1301,1302,county,乙\n", "1302,1301,county,丙\n"], [(3, "cycle")]),
        (["13,13,city,甲市\n"], [(2, "cycle")]),
        ([CITY, COUNTY, "1301,13,county,丙县\n"], [(4, "duplicate_code")]),
        ([CITY, COUNTY, "1302,13,county,乙县\n"], [(4, "twin")]),
        ([CITY, "1,13,county,㈱村\n", "2,13,county,(株)村\n"], [(4, "twin")]),
        ([CITY, "1,13,county,A村\n", "2,13,county,A村\n"], [(4, "twin")]),
        ([CITY, "1,13,county,乙\u202e县\n"], [(3, "bidi")]),
        ([CITY, "1,13,county,乙\u2067县\n"], [(3, "bidi")]),
        ([CITY, "1,13,county,乙\x07县\n"], [(3, "control")]),
        ([CITY, "1,13,county,乙\u200b县\n"], [(3, "control")]),
        ([CITY, '1,13,county,"乙\n县"\n'], [(3, "control")]),
        ([CITY, f"1,13,county,{'村' * 256}\n"], [(3, "too_long")]),
        ([CITY, f"{'1' * 65},13,county,村\n"], [(3, "too_long")]),
        ([CITY, "1,13,county,\n"], [(3, "empty")]),
        ([CITY, ",13,county,村\n", ",13,county,庄\n"], [(3, "empty"), (4, "empty")]),
        ([CITY, "1,13,,村\n"], [(3, "empty")]),
        ([CITY, "1,13,province,村\n"], [(3, "unknown_level")]),
        ([CITY, "1,13,city,村\n"], [(3, "level_not_below")]),
        ([CITY, COUNTY, "1,1301,county,村\n"], [(4, "level_not_below")]),
        ([CITY, "13-a,13,county,局\n"], [(3, "level_not_beside")]),
        ([CITY, "13-a,13,city,局\n", "1,13-a,county,县\n"], [(4, "below_bureau")]),
        (["1301,,county,乙县\n"], [(2, "no_parent")]),
        ([CITY, "1 2,13,county,村\n"], [(3, "bad_code")]),
        ([CITY, "=1+2,13,county,村\n"], [(3, "bad_code")]),
        ([CITY, "1,13,county\n"], [(3, "ragged")]),
        ([CITY, "1,13,county,村,\n"], [(3, "ragged")]),
        ([CITY, '1,13,county,"村\n'], [(3, "malformed")]),
        ([CITY, '1,13,county,"村"x\n'], [(3, "malformed")]),
        ([CITY, "1,13,county," + "村" * 200_000 + "\n"], [(3, "malformed")]),
        ([], [(1, "no_rows")]),
    ],
)
def test_a_fault_is_told_with_its_row(rows: list[str], expected: list[tuple[int, str]]) -> None:
    assert plan(*rows)[1] == expected


def test_all_faults_are_told_at_once_and_their_consequences_are_not() -> None:
    _, problems = plan(CITY, "1301,13,count,乙\u202a县\n", "130101,1301,township,丙镇\n", "x,y,village,\n")
    assert problems == [(3, "unknown_level"), (3, "bidi"), (5, "empty")]


@pytest.mark.parametrize(
    "header", ["", "code,level,name\n", "code,parent_code,level,name,x\n", "code;name\n", "\n"]
)
def test_wrong_columns_are_refused(header: str) -> None:
    parsed = parse(header + CITY if header else "")
    assert [(problem.row, problem.fault.reason) for problem in parsed.problems] == [(1, "wrong_columns")]


def test_too_many_rows_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("identity.divisions.MAX_ROWS", 2)
    assert not parse(text(CITY, COUNTY)).has_too_many_rows
    parsed = parse(text(CITY, COUNTY, COUNTY))
    assert parsed.has_too_many_rows
    assert parsed.divisions == []


def test_every_fault_reads_in_both_languages() -> None:
    parsed = parse(text(CITY, "1,13,county,\u202e\n"))
    _, problems = make_plan(parsed, {})
    fact = problems[0].as_fact()
    assert fact["row"] == 3
    assert fact["zh"] == "第 3 行：name 第 1 个字符是双向控制符 U+202E，不允许使用"
    assert (
        fact["en"] == "Row 3: Character 1 of name is the bidirectional control U+202E, which is not allowed"
    )


def test_astral_characters_are_welcome_and_count_as_one() -> None:
    name = "𠮷" * 255
    made, problems = plan(CITY, f"1,13,county,{name}\n")
    assert problems == []
    assert made.layers[1][0].unit.name == name


def test_equal_names_below_different_parents_are_fine() -> None:
    assert (
        plan(CITY, COUNTY, "1302,13,county,丙县\n", "1,1301,village,辛庄\n", "2,1302,village,辛庄\n")[1] == []
    )


def test_a_file_may_carry_a_part_of_the_tree() -> None:
    made, problems = plan("130101,1301,township,丙镇\n", present=tree(CITY, COUNTY))
    assert problems == []
    assert [[step.unit.code for step in layer] for layer in made.layers] == [["130101"]]


def test_the_same_file_again_changes_nothing() -> None:
    made, problems = plan(CITY, COUNTY, present=tree(CITY, COUNTY))
    assert (made, problems) == (Plan([], [], 2), [])


def test_a_cycle_may_go_through_units_that_the_file_leaves_out() -> None:
    present = tree(CITY, COUNTY, "130101,1301,township,丙镇\n")
    assert plan("1301,130101,county,乙县\n", present=present)[1] == [(2, "cycle")]


def test_a_long_cycle_is_told_by_its_beginning_and_its_length() -> None:
    rows = [f"{n},{n % 12 + 1},village,村{n}\n" for n in range(1, 13)]
    _, problems = make_plan(parse(text(*rows)), {})
    assert [problem.row for problem in problems] == [2]
    assert problems[0].fault.facts["codes"] == "1 → 2 → 3 → 4 → 5 → 6 → …(12)… → 1"


def test_a_new_level_is_checked_against_children_that_the_file_leaves_out() -> None:
    present = tree(CITY, COUNTY, "130101,1301,township,丙镇\n")
    assert plan("1301,13,village,乙县\n", present=present)[1] == [(2, "level_not_below")]


def test_a_new_name_is_checked_against_units_that_the_file_leaves_out() -> None:
    present = tree(CITY, COUNTY, "1302,13,county,丙县\n")
    assert plan("1302,13,county,乙县\n", present=present)[1] == [(2, "twin")]


def test_twins_of_old_are_not_held_against_a_file_that_leaves_them_alone() -> None:
    present = tree(CITY, COUNTY) | {"1302": Unit("1302", "乙县", "county", "13", True)}
    made, problems = plan("1303,13,county,丙县\n", present=present)
    assert problems == []
    assert [step.unit.code for layer in made.layers for step in layer] == ["1303"]


def test_two_units_may_swap_their_names() -> None:
    present = tree(CITY, COUNTY, "1302,13,county,丙县\n")
    made, problems = plan("1301,13,county,丙县\n", "1302,13,county,乙县\n", present=present)
    assert problems == []
    assert [step.change for step in made.layers[0]] == [Change.reorganise, Change.reorganise]


def test_absent_units_are_abolished_only_on_request_and_only_below_what_the_file_names() -> None:
    present = tree(
        CITY, COUNTY, "130101,1301,township,丙镇\n", "13010101,130101,village,丁村\n", "1302,13,county,戊县\n"
    )
    assert plan(COUNTY, present=present)[0].abolish == []
    assert plan(COUNTY, present=present, abolish_missing=True)[0].abolish == ["13010101", "130101"]


def test_a_file_of_territorial_units_says_nothing_of_bureaus_beside_them() -> None:
    present = tree(CITY, COUNTY, "13-spj,13,city,审批局\n", "13-slj,13,city,水利局\n")
    assert plan(CITY, present=present, abolish_missing=True)[0].abolish == ["1301"]
    made, _ = plan(CITY, "13-spj,13,city,审批局\n", present=present, abolish_missing=True)
    assert made.abolish == ["13-slj", "1301"]


def test_no_unit_is_put_below_one_that_goes_or_is_gone() -> None:
    present = tree(CITY, COUNTY, "1302,13,county,丙县\n")
    rows = (CITY, "1302,13,county,丙县\n", "130101,1301,township,丁镇\n")
    assert plan(*rows, present=present, abolish_missing=True)[1] == [(4, "abolished_parent")]
    gone = present | {"1301": Unit("1301", "乙县", "county", "13", True, is_abolished=True)}
    assert plan(*rows, present=gone)[1] == [(4, "abolished_parent")]
    restored, problems = plan(COUNTY, *rows[2:], present=gone)
    assert problems == []
    assert [step.change for layer in restored.layers for step in layer] == [Change.restore, Change.create]


@st.composite
def trees(draw: st.DrawFn) -> list[list[str]]:
    """Rows of a sound tree, parents first."""
    rows = [["0", "", "city", "市"]]
    for number in range(1, draw(st.integers(1, 25))):
        parents = [row for row in rows if row[2] != "village"]
        parent = draw(st.sampled_from(parents))
        level = draw(st.sampled_from(LEVELS[LEVELS.index(parent[2]) + 1 :]))
        rows.append([str(number), parent[0], level, f"𠮷{number}村"])
    return rows


def as_csv(rows: list[list[str]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([HEADER.strip().split(","), *rows])
    return file.getvalue()


@given(trees(), st.randoms(use_true_random=False))
def test_the_order_of_rows_is_without_effect(rows: list[list[str]], chance: random.Random) -> None:
    expected = make_plan(parse(as_csv(rows)), {})
    shuffled = chance.sample(rows, len(rows))
    assert make_plan(parse(as_csv(shuffled)), {}) == expected
    made, problems = expected
    assert problems == []
    seen: set[str | None] = {None}
    for layer in made.layers:
        assert {step.unit.parent_code for step in layer} <= seen
        seen |= {step.unit.code for step in layer}


@given(trees(), trees(), st.booleans())
def test_after_an_import_the_same_import_is_a_no_op(
    old: list[list[str]], new: list[list[str]], abolish: bool
) -> None:
    present = tree(*as_csv(old).splitlines(keepends=True)[1:])
    parsed = parse(as_csv(new))
    made, problems = make_plan(parsed, present, abolish_missing=abolish)
    if problems:
        return
    after = present | {step.unit.code: step.unit for layer in made.layers for step in layer}
    after = {code: unit for code, unit in after.items() if code not in made.abolish}
    again, problems = make_plan(parsed, after, abolish_missing=abolish)
    assert (again, problems) == (Plan([], [], len(new)), [])
    for unit in after.values():
        assert place_fault(unit.place, after[unit.parent_code].place if unit.parent_code else None) is None


@given(st.text(), st.booleans())
def test_any_text_is_either_read_or_refused(content: str, headed: bool) -> None:
    made, problems = make_plan(parse(HEADER + content if headed else content), {})
    assert bool(problems) != bool(made.layers)
    assert all(problem.as_fact()["zh"] and problem.as_fact()["en"] for problem in problems)


def test_a_bureau_may_stand_beside_any_territorial_unit() -> None:
    for level in LEVELS:
        assert place_fault(Place("1-a", level, False), Place("1", level, True)) is None
