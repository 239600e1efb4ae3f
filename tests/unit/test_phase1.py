"""The phase-1 cloud's published totals, counted from the product's own copy of the file."""

from identity.data import DIVISIONS
from identity.divisions import parse
from identity.levels import is_territorial_code
from identity.phase1 import read_phase1


def test_the_totals_are_those_published() -> None:
    groups = read_phase1()
    assert sum(group.count for group in groups) == 262
    assert sum(group.count * group.vcpus for group in groups) == 1_332
    assert sum(group.storage_gib for group in groups) == 279_552 == 273 * 1024


def test_each_groups_bureau_is_of_the_tree_or_beside_the_city() -> None:
    units = {unit.code: unit for unit in parse(DIVISIONS.read_text(encoding="utf-8")).divisions}
    for group in read_phase1():
        if is_territorial_code(group.bureau_code):
            assert (group.bureau_name, group.level) == (
                units[group.bureau_code].name,
                units[group.bureau_code].level,
            )
        else:
            assert (group.bureau_code.partition("-")[0], group.level) == ("1306", "city")
