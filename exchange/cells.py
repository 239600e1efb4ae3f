"""What a cell of a table says for an item: CSV has texts alone, spreadsheets numbers, dates and more. Pure.

Nothing is guessed: a cell that is not exactly of its item's type stays as it is, and is refused by the rules.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from exchange.schema import TYPES, Item, Reason

INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,308})(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?")
BOOLEANS = dict.fromkeys(("true", "TRUE", "True", "是"), True) | dict.fromkeys(
    ("false", "FALSE", "False", "否"), False
)
EXACT_BELOW = 10**15
"""A spreadsheet keeps 15 digits of a number; what comes after them is not what was typed."""
NEVER_ZERO_FIRST = ("mobile", "division_code")
"""Codes of digits that begin with another digit than 0, so that a number has lost none of theirs."""

Faulty = tuple[Any, Reason | None]


@dataclass(frozen=True)
class Formula:
    """A cell that holds a formula; `text` is how it is written."""

    text: str


@dataclass(frozen=True)
class CellError:
    """A cell that shows an error such as #N/A."""

    text: str


def read_text_cell(item: Item, text: str) -> Any:
    """The value that a text says for the item; the text itself where it says none of the item's type."""
    match item.type:
        case "integer" if INTEGER.fullmatch(text):
            return int(text)
        case "number" if NUMBER.fullmatch(text):
            return float(text) if any(mark in text for mark in ".eE") else int(text)
        case "boolean":
            return BOOLEANS.get(text, text)
        case _:
            return text


def read_sheet_cell(item: Item, value: Any, *, cell: str) -> Faulty:
    """(the value, why it is not to be had) of a spreadsheet's cell, as `cell` 'B3' names it.

    `value` is a str, bool, int, float, date, datetime, time, timedelta, Formula or CellError.
    """
    match value:
        case str():
            return read_text_cell(item, value), None
        case Formula(text):
            return text, _fault("formula", item, cell, *FORMULA)
        case CellError(text):
            return text, _fault("cell_error", item, cell, *CELL_ERROR)
        case bool():
            return (value, None) if item.type == "boolean" else (value, _unless_refused(item, cell))
        case int() | float():
            return _read_number(item, value, cell)
        case datetime() if item.type == "date" and value.time() == time():
            return value.date().isoformat(), None
        case date() | datetime() | time():
            return value.isoformat(), _unless_refused(item, cell)
        case timedelta():
            return str(value), _unless_refused(item, cell)
    raise TypeError(f"no cell holds a {type(value).__name__}")


FORMULA = (
    "是公式；请复制后“选择性粘贴为数值”再发布",
    "holds a formula; paste it as a value and publish again",
)
CELL_ERROR = ("显示的是错误值", "shows an error value")
DIGITS_LOST = (
    "是数字，电子表格只保留前 15 位，其余位数已丢失；请将该列设为文本格式后重新填写",
    "is a number, of which a spreadsheet keeps 15 digits, so the others are lost; "
    "format the column as text and type it anew",
)
NOT_TEXT = (
    "是数字、日期或逻辑值，而该信息项为文本，开头的 0 等可能已丢失；请将该列设为文本格式后重新填写",
    "is a number, a date or a truth value where a text belongs, and may have lost leading zeros; "
    "format the column as text and type it anew",
)


def _read_number(item: Item, value: float, cell: str) -> Faulty:
    if item.type == "number":
        return value, None
    if abs(value) >= EXACT_BELOW:
        return value, _fault("digits_lost", item, cell, *DIGITS_LOST)
    is_whole = isinstance(value, int) or value.is_integer()
    if item.type == "integer" and is_whole:
        return int(value), None
    if item.type in NEVER_ZERO_FIRST and is_whole:
        return str(int(value)), None
    if item.type == "money":
        return str(int(value)) if is_whole else format(Decimal(repr(value)), "f"), None
    if item.type in ("resident_id", "uscc"):
        return value, _fault("digits_lost", item, cell, *DIGITS_LOST)
    return value, _unless_refused(item, cell)


def _unless_refused(item: Item, cell: str) -> Reason | None:
    """The fault of a cell that is no text, for an item whose rules say nothing but that it is one."""
    kind, facets, _zh, _en = TYPES[item.type]
    return _fault("not_text", item, cell, *NOT_TEXT) if kind == "string" and not facets else None


def _fault(code: str, item: Item, cell: str, zh: str, en: str) -> Reason:
    return Reason(code, item.name, f"“{item.name}”的单元格 {cell} {zh}", f"cell {cell} of “{item.name}” {en}")
