"""Decides what an import does to the tree, or all that forbids it. Pure: units in, plan or problems out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from identity.divisions import Division, Parsed
from identity.faults import Fault, Problem
from identity.levels import Place, is_territorial_code, place_fault
from identity.names import shown, twin_key

CYCLE_SHOWN = 8


@dataclass(frozen=True)
class Unit:
    """A unit as it is in the tree, or will be."""

    code: str
    name: str
    level: str
    parent_code: str | None
    is_territorial: bool
    is_abolished: bool = False

    @property
    def place(self) -> Place:
        """What decides where it may stand."""
        return Place(self.code, self.level, self.is_territorial)


class Change(StrEnum):
    """What happens to one unit."""

    create = "create"
    reorganise = "reorganise"
    restore = "restore"


@dataclass(frozen=True)
class Step:
    """One unit's change and what it will be."""

    change: Change
    unit: Unit


@dataclass(frozen=True)
class Plan:
    """Steps by depth, parents first; codes to abolish, the deepest first; how many units stay as they are."""

    layers: list[list[Step]]
    abolish: list[str]
    unchanged: int


def make_plan(
    parsed: Parsed, present: Mapping[str, Unit], *, abolish_missing: bool = False
) -> tuple[Plan, list[Problem]]:
    """The plan that brings `present` (by code, abolished ones too) to what the file says, and all problems.

    The plan counts only if there are no problems. With `abolish_missing`, living units that the file leaves
    out below a unit that it names are abolished; bureaus beside the territorial units only if it names any.
    """
    rows = {division.code: division for division in parsed.divisions}
    after = {code: unit for code, unit in present.items() if not unit.is_abolished}
    missing = _missing(parsed.codes, after) if abolish_missing else set()
    for code in missing:
        del after[code]
    steps: dict[str, Step] = {}
    for division in parsed.divisions:
        step = _step(division, present.get(division.code))
        after[division.code] = step.unit
        if step.unit != present.get(division.code):
            steps[division.code] = step
    cycles = _cycles(rows, after)
    in_cycles = {code for cycle in cycles for code in cycle}
    problems = [
        *parsed.problems,
        *(_cycle_problem(cycle, rows) for cycle in cycles),
        *_place_problems(rows, steps, after, present, parsed.codes, in_cycles),
        *_twin_problems(rows, steps, after),
    ]
    if problems:
        return Plan([], [], 0), sorted(problems, key=lambda problem: problem.row)
    depths = _depths({**present, **after})
    layers: defaultdict[int, list[Step]] = defaultdict(list)
    for code in sorted(steps):
        layers[depths[code]].append(steps[code])
    plan = Plan(
        layers=[layers[depth] for depth in sorted(layers)],
        abolish=sorted(missing, key=lambda code: (-depths[code], code)),
        unchanged=len(rows) - len(steps),
    )
    return plan, []


def _step(division: Division, present: Unit | None) -> Step:
    wanted = Unit(
        code=division.code,
        name=division.name,
        level=division.level,
        parent_code=division.parent_code,
        is_territorial=is_territorial_code(division.code),
    )
    if present is None:
        return Step(Change.create, wanted)
    change = Change.restore if present.is_abolished else Change.reorganise
    return Step(change, replace(wanted, is_territorial=present.is_territorial))


def _missing(named: frozenset[str], living: Mapping[str, Unit]) -> set[str]:
    names_bureaus = any(not is_territorial_code(code) for code in named)
    covered: dict[str, bool] = {}
    for code in living:
        path: list[str] = []
        at: str | None = code
        while at is not None and at not in covered and at not in named:
            path.append(at)
            at = living[at].parent_code if at in living else None
        verdict = at is not None and (at in named or covered[at])
        covered.update(dict.fromkeys(path, verdict))
    below = (code for code, found in covered.items() if found)
    return {code for code in below if names_bureaus or living[code].is_territorial}


def _cycles(rows: Mapping[str, Division], after: Mapping[str, Unit]) -> list[list[str]]:
    done: set[str] = set()
    cycles: list[list[str]] = []
    for start in rows:
        path: dict[str, int] = {}
        at: str | None = start
        while at is not None and at in after and at not in done and at not in path:
            path[at] = len(path)
            at = after[at].parent_code
        if at in path:
            cycles.append(list(path)[path[at] :])
        done.update(path)
    return cycles


def _cycle_problem(cycle: list[str], rows: Mapping[str, Division]) -> Problem:
    begin = min((code for code in cycle if code in rows), key=lambda code: rows[code].row)
    turned = [*cycle[cycle.index(begin) :], *cycle[: cycle.index(begin)], begin]
    if len(turned) > CYCLE_SHOWN:
        turned = [*turned[: CYCLE_SHOWN - 2], f"…({len(cycle)})…", begin]
    return Problem(rows[begin].row, Fault("cycle", {"codes": " → ".join(turned)}))


def _place_problems(
    rows: Mapping[str, Division],
    steps: Mapping[str, Step],
    after: Mapping[str, Unit],
    present: Mapping[str, Unit],
    read_codes: frozenset[str],
    in_cycles: set[str],
) -> Iterable[Problem]:
    """Parents that are not there and levels that do not fit, of changed units and of their children."""
    for code, unit in after.items():
        parent_code = unit.parent_code
        if (code not in steps and parent_code not in steps) or code in in_cycles:
            continue
        row = rows[code].row if code in rows else rows[parent_code or ""].row
        if parent_code is not None and parent_code not in after:
            if parent_code in present:
                yield Problem(row, Fault("abolished_parent", {"code": code, "parent": parent_code}))
            elif parent_code not in read_codes:
                yield Problem(row, Fault("unknown_parent", {"code": code, "parent": parent_code}))
            continue
        fault = place_fault(unit.place, None if parent_code is None else after[parent_code].place)
        if fault:
            yield Problem(row, fault)


def _twin_problems(
    rows: Mapping[str, Division], steps: Mapping[str, Step], after: Mapping[str, Unit]
) -> Iterable[Problem]:
    touched = {step.unit.parent_code for step in steps.values()}
    alike: defaultdict[tuple[str | None, str], list[Unit]] = defaultdict(list)
    for unit in after.values():
        if unit.parent_code in touched:
            alike[unit.parent_code, twin_key(unit.name)].append(unit)
    for group in alike.values():
        first, *others = sorted(group, key=lambda unit: (unit.code in steps, _row(unit, rows)))
        for unit in others:
            if unit.code in steps:
                facts = {"name": shown(unit.name), "other": first.code, "other_name": shown(first.name)}
                yield Problem(rows[unit.code].row, Fault("twin", facts))


def _row(unit: Unit, rows: Mapping[str, Division]) -> int:
    return rows[unit.code].row if unit.code in rows else 0


def _depths(units: Mapping[str, Unit]) -> dict[str, int]:
    depths: dict[str, int] = {}
    for code in units:
        path: list[str] = []
        at: str | None = code
        while at is not None and at not in depths:
            path.append(at)
            at = units[at].parent_code
        depth = -1 if at is None else depths[at]
        for passed in reversed(path):
            depth += 1
            depths[passed] = depth
    return depths
