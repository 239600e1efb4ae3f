"""What every benchmark hands back, and how it is printed."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A ratio with the bound it is to keep: at least `bound` if `at_least`, else at most."""

    name: str
    ratio: float
    bound: float
    at_least: bool

    @property
    def is_met(self) -> bool:
        """Whether the ratio keeps its bound."""
        return self.ratio >= self.bound if self.at_least else self.ratio <= self.bound


@dataclass(frozen=True)
class Measured:
    """One benchmark's table, rows of cells below a header, and its goals."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    goals: Sequence[Goal]


def show(measured: Measured) -> str:
    """The table and its goals as text."""
    cells = [[str(cell) for cell in row] for row in (measured.header, *measured.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(measured.header))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    goals = [
        f"{'met   ' if goal.is_met else 'MISSED'} {goal.name}: {goal.ratio:.2f}"
        f" (goal: {'≥' if goal.at_least else '≤'} {goal.bound})"
        for goal in measured.goals
    ]
    return "\n".join([measured.title, "", *lines, "", *goals])
