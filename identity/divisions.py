"""Reads the tree's CSV (code, parent_code, level, name) and checks each row by itself. Pure.

Whether the rows make a tree, together with what is there already, is decided in tree_plan.py.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from identity.faults import Fault, Problem
from identity.levels import LEVELS
from identity.names import code_fault, shown, text_fault

COLUMNS = ("code", "parent_code", "level", "name")
MAX_ROWS = 200_000
HEADER_ROW = 1
BLANKS = " \t\u00a0\u3000"


@dataclass(frozen=True)
class Division:
    """A sound row of the file; `row` counts from 1 with the header, as a spreadsheet does."""

    code: str
    parent_code: str | None
    level: str
    name: str
    row: int = field(compare=False)


@dataclass(frozen=True)
class Parsed:
    """The sound rows, what is wrong with the others, and every code that was read, sound or not."""

    divisions: list[Division]
    problems: list[Problem]
    codes: frozenset[str]
    has_too_many_rows: bool = False


def parse(text: str) -> Parsed:
    """Read `text`; empty lines count as rows and are passed over. Faults are returned, not raised."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    divisions: list[Division] = []
    problems: list[Problem] = []
    first_row: dict[str, int] = {}
    order: list[int] | None = None
    row = 0
    try:
        for row, cells in enumerate(_stripped(reader), HEADER_ROW):
            if order is None:
                order = _column_order(cells)
                if order is None:
                    found = shown(",".join(cells)) or "（空 empty）"
                    return _refuse(row, "wrong_columns", expected=",".join(COLUMNS), found=found)
            elif row > MAX_ROWS + HEADER_ROW:
                return Parsed([], [], frozenset(), has_too_many_rows=True)
            elif any(cells):
                parsed = _read_row(row, cells, order, first_row)
                if isinstance(parsed, Division):
                    divisions.append(parsed)
                else:
                    problems += parsed
    except csv.Error as error:
        problems.append(Problem(row + 1, Fault("malformed", {"detail": str(error)})))
    if order is None and not problems:
        return _refuse(HEADER_ROW, "wrong_columns", expected=",".join(COLUMNS), found="（空 empty）")
    if not divisions and not problems:
        return _refuse(HEADER_ROW, "no_rows")
    return Parsed(divisions, problems, frozenset(first_row))


def _stripped(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    for cells in rows:
        yield [cell.strip(BLANKS) for cell in cells]


def _column_order(header: list[str]) -> list[int] | None:
    if sorted(header) != sorted(COLUMNS):
        return None
    return [header.index(column) for column in COLUMNS]


def _read_row(
    row: int, cells: list[str], order: list[int], first_row: dict[str, int]
) -> Division | list[Problem]:
    """The row's division, or all that is wrong with it; notes its code in `first_row`."""
    if len(cells) != len(COLUMNS):
        return [Problem(row, Fault("ragged", {"expected": len(COLUMNS), "found": len(cells)}))]
    code, parent_code, level, name = (cells[place] for place in order)
    faults = [
        code_fault(code),
        code_fault(parent_code, field="parent_code") if parent_code else None,
        _level_fault(level),
        text_fault(name, field="name"),
        _duplicate_fault(code, row, first_row),
    ]
    problems = [Problem(row, fault) for fault in faults if fault]
    return problems or Division(code, parent_code or None, level, name, row)


def _level_fault(level: str) -> Fault | None:
    if not level:
        return Fault("empty", {"field": "level"})
    if level not in LEVELS:
        return Fault("unknown_level", {"level": shown(level), "expected": ", ".join(LEVELS)})
    return None


def _duplicate_fault(code: str, row: int, first_row: dict[str, int]) -> Fault | None:
    first = first_row.setdefault(code, row)
    return (
        None if first == row or not code else Fault("duplicate_code", {"code": shown(code), "first": first})
    )


def _refuse(row: int, reason: str, **facts: str) -> Parsed:
    return Parsed([], [Problem(row, Fault(reason, facts))], frozenset())
