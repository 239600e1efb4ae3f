"""A capacity report laid out for a page: a column for each resource, with its unit in the heading."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from infra.errors import Language
from metrics.export import HEADINGS, WRAPPED, Cell, shown

MEASURES = ("total", "reserved", "ratio", "capacity", "granted", "used", "in_flight", "below", "headroom")
KEYS = ("region", "level", "bureau_code", "bureau", "system_code", "system")


@dataclass(frozen=True)
class Matrix:
    """Headings of the key columns, of the resources, and rows of as many cells, the keys' first; `wraps`
    are the places (from 0) of the columns of names and codes, whose cells may take several lines.
    """

    key_headings: list[str]
    wraps: list[int]
    headings: list[str]
    rows: list[list[Cell]]


def measures_of(report: pd.DataFrame) -> list[str]:
    """Which figures the report has, in order."""
    return [name for name in MEASURES if name in report.columns]


def as_matrix(report: pd.DataFrame, *, measures: Sequence[str], language: Language) -> Matrix:
    """The `measures` of the report; with more than one, a key column says which a row is of."""
    keys = [name for name in KEYS if name in report.columns]
    dimensions = list(dict.fromkeys(report["dimension"].tolist()))
    rows: list[list[Cell]] = []
    for values, part in report.groupby(keys, sort=False):
        place = [shown(name, value, language) for name, value in zip(keys, values, strict=True)]
        for measure in measures:
            which = [HEADINGS[measure][language]] if len(measures) > 1 else []
            figures = dict(zip(part["dimension"].tolist(), part[measure].tolist(), strict=True))
            rows.append([*place, *which, *(shown(measure, figures[one], language) for one in dimensions)])
    which = [{"zh": "指标", "en": "Figure"}[language]] if len(measures) > 1 else []
    return Matrix(
        [*(HEADINGS[name][language] for name in keys), *which],
        [place for place, name in enumerate(keys) if name in WRAPPED],
        [str(shown("dimension", one, language)) for one in dimensions],
        rows,
    )
