"""Reads a year's work calendar from CSV (date,kind): all of it, or a refusal that names every bad row."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from infra.errors import SijiError
from infra.textfile import check_size, decode
from infra.work_calendar import DayKind

KINDS: dict[str, DayKind] = {"holiday": "holiday", "workday": "workday"}
DATE = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})", re.ASCII)
LARGEST_FILE_BYTES = 1024 * 1024
SHOWN = 20

PROBLEMS = {
    "date": ("“{value}”不是日期", "'{value}' is not a date"),
    "kind": ("“{value}”不是 holiday 或 workday", "'{value}' is neither holiday nor workday"),
    "duplicate": ("日期 {value} 重复", "the date {value} is there twice"),
    "year": ("{value} 与首个日期不在同一年", "{value} is of another year than the first date"),
    "columns": ("缺少 date 或 kind 列的值", "a value of the column date or kind is missing"),
    "csv": ("不是有效的 CSV：{value}", "not valid CSV: {value}"),
}


class CalendarFileUnreadable(SijiError):
    """The bytes are no table of dates at all."""

    code = "calendar_file_unreadable"
    zh = "{file} 不是工作日历文件：{why_zh}"
    en = "{file} is not a calendar file: {why_en}"


class CalendarFileRefused(SijiError):
    """Rows of the file are wrong; nothing of it was taken. `problems` lists row, kind and value."""

    code = "calendar_file_refused"
    zh = "{file} 有 {count} 处错误，未导入任何内容：\n{rows_zh}"
    en = "Nothing of {file} was imported; errors in it: {count}\n{rows_en}"


@dataclass(frozen=True)
class Problem:
    """What is wrong in which row (counted from 1, the header included)."""

    row: int
    what: str
    value: str


def read_calendar_file(
    content: bytes, *, name: str, encoding: str | None = None
) -> tuple[int, dict[date, DayKind]]:
    """The year and its listed days; a BOM or the declared `encoding` wins, else UTF-8 and GB18030.

    `CalendarFileRefused` names every wrong row; `CalendarFileUnreadable` and the errors of infra.textfile.
    """
    check_size(content, limit=LARGEST_FILE_BYTES)
    text = decode(content, declared=encoding).text
    days: dict[date, DayKind] = {}
    problems: list[Problem] = []
    for row, told, kind in _rows(text, name, problems):
        day = _date(told)
        if day is None:
            problems.append(Problem(row, "date", told))
        elif day in days:
            problems.append(Problem(row, "duplicate", day.isoformat()))
        elif days and day.year != next(iter(days)).year:
            problems.append(Problem(row, "year", day.isoformat()))
        elif kind not in KINDS:
            problems.append(Problem(row, "kind", kind))
        else:
            days[day] = KINDS[kind]
    if problems:
        raise _refusal(name, problems)
    if not days:
        raise CalendarFileUnreadable(file=name, why_zh="没有任何日期行", why_en="it has no row with a date")
    return next(iter(days)).year, days


def _rows(text: str, name: str, problems: list[Problem]) -> Iterator[tuple[int, str, str]]:
    """Row number, date and kind of each row that has both; rows that lack one join `problems`."""
    lines = csv.DictReader(io.StringIO(text, newline=""), strict=True, restval="", skipinitialspace=True)
    try:
        header = [column.strip() for column in lines.fieldnames or ()]
        if not {"date", "kind"} <= set(header):
            raise CalendarFileUnreadable(
                file=name,
                why_zh="首行须有 date 和 kind 两列",
                why_en="its first row must name the columns date and kind",
            )
        lines.fieldnames = header
        for line in lines:
            told, kind = line["date"].strip(), line["kind"].strip()
            if told and kind:
                yield lines.line_num, told, kind
            elif any(value for value in line.values()):
                problems.append(Problem(lines.line_num, "columns", ""))
    except csv.Error as error:
        problems.append(Problem(lines.reader.line_num, "csv", str(error)))


def _date(told: str) -> date | None:
    """2027-01-01, 2027/1/1; None if it is neither or no such day."""
    found = DATE.fullmatch(told)
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        return None


def _refusal(name: str, problems: list[Problem]) -> CalendarFileRefused:
    shown = sorted(problems, key=lambda problem: problem.row)[:SHOWN]
    rest = len(problems) - len(shown)
    zh = [f"第 {one.row} 行：{PROBLEMS[one.what][0].format(value=one.value)}" for one in shown]
    en = [f"row {one.row}: {PROBLEMS[one.what][1].format(value=one.value)}" for one in shown]
    return CalendarFileRefused(
        file=name,
        count=len(problems),
        problems=[[one.row, one.what, one.value] for one in shown],
        rows_zh="\n".join([*zh, *([f"另有 {rest} 处"] if rest else [])]),
        rows_en="\n".join([*en, *([f"and {rest} more"] if rest else [])]),
    )
