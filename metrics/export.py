"""A capacity report as a terminal table, CSV and XLSX, in Chinese or English; no figure is made here.

A text cell that a spreadsheet would take for a formula gets an apostrophe in front. In the sample
city (`sample`) every form says that the split is illustrative.
"""

import csv
import io
import unicodedata
from collections.abc import Iterator

import pandas as pd
from openpyxl import Workbook
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from infra.errors import Language
from metrics.capacity import STORAGE
from metrics.notes import ILLUSTRATIVE, notes_of
from provisioning.quota import DIMENSIONS

Cell = str | int | float

BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
HEADINGS = {
    "region": {"zh": "区域", "en": "Region"},
    "level": {"zh": "层级", "en": "Level"},
    "bureau_code": {"zh": "单位代码", "en": "Bureau code"},
    "bureau": {"zh": "单位", "en": "Bureau"},
    "system_code": {"zh": "系统代码", "en": "System code"},
    "system": {"zh": "信息系统", "en": "System"},
    "dimension": {"zh": "资源", "en": "Resource"},
    "total": {"zh": "总量", "en": "Inventory"},
    "reserved": {"zh": "平台预留", "en": "Reserved"},
    "ratio": {"zh": "超配比", "en": "Ratio"},
    "capacity": {"zh": "可分配容量", "en": "Capacity"},
    "granted": {"zh": "已下达", "en": "Granted"},
    "used": {"zh": "已用", "en": "Used"},
    "in_flight": {"zh": "其中在途", "en": "Of it in flight"},
    "below": {"zh": "下级占用", "en": "Held below"},
    "headroom": {"zh": "余量", "en": "Headroom"},
}
WIDEST = 1000
WRAPPED = {"bureau_code", "bureau", "system_code", "system", "dimension"}
TEXTS = {"region", "level", "bureau_code", "bureau", "system_code", "system", "dimension"}
LEVEL_NAMES = {
    "city": {"zh": "市", "en": "city"},
    "county": {"zh": "县", "en": "county"},
    "township": {"zh": "乡镇", "en": "township"},
    "village": {"zh": "村", "en": "village"},
}
STORAGE_NAME = {"zh": "存储合计（GiB）", "en": "storage in all (GiB)"}
TITLES = {
    "region": {"zh": "容量报表：按区域", "en": "Capacity by region"},
    "level": {"zh": "容量报表：按层级", "en": "Capacity by level"},
    "bureau": {"zh": "容量报表：按单位", "en": "Capacity by bureau"},
    "system": {"zh": "容量报表：按信息系统", "en": "Capacity by information system"},
}
UNLIMITED = {"zh": "不限", "en": "unlimited"}
NOT_COUNTED = {"zh": "不适用", "en": "n/a"}
NOTES_SHEET = {"zh": "说明", "en": "Notes"}
COUNTED_BY_CLOUD = {"total", "reserved", "ratio"}


def as_table(report: pd.DataFrame, *, by: str, language: Language, sample: bool = False) -> Table:
    """For the terminal: thousands apart, numbers to the right; control characters in names are shown as �.

    Only names and codes wrap. A region that is the only one is in no column, unless rows are of regions.
    """
    table = Table(
        title=TITLES[by][language],
        caption="\n".join(notes_of(report, by=by, language=language, sample=sample)),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    there = without_lone_region(report, by=by)
    for name in there.columns:
        is_text = name in TEXTS
        table.add_column(
            HEADINGS[name][language],
            justify="left" if is_text else "right",
            no_wrap=name not in WRAPPED,
            overflow="fold",
        )
    for row in _rows(there, language):
        table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int | float) else cell) for cell in row))
    return table


def narrowest(table: Table) -> int:
    """How many columns of a terminal the table takes at least: in fewer its figures would be cut."""
    console = Console()
    return Measurement.get(console, console.options.update_width(WIDEST), table).minimum


def as_csv(report: pd.DataFrame, *, language: Language, sample: bool = False) -> bytes:
    """UTF-8 with a byte order mark, so that spreadsheets read the Chinese; RFC 4180 lines.

    In the sample city the last line is a note.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows(_sheet(report, language, sample))
    return text.getvalue().encode("utf-8-sig")


def as_xlsx(report: pd.DataFrame, *, by: str, language: Language, sample: bool = False) -> bytes:
    """A sheet of the report and one of notes; figures are numbers, all else is text, nothing is a formula."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(TITLES[by][language].translate({ord(colon): " " for colon in ":："}))
    sheet.freeze_panes = "A2"
    for row in _sheet(report, language, sample):
        sheet.append(row)
    notes = book.create_sheet(NOTES_SHEET[language])
    for line in notes_of(report, by=by, language=language, sample=sample):
        notes.append([line])
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def without_lone_region(report: pd.DataFrame, *, by: str) -> pd.DataFrame:
    """The report without the column of regions if it would say the same in every row."""
    is_lone = by != "region" and report["region"].nunique() == 1
    return report.drop(columns="region") if is_lone else report


def neutralise(text: str) -> str:
    """`text`, with an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{text}" if text.startswith(BEGINS_A_FORMULA) else text


def shown(column: str, value: object, language: Language) -> Cell:
    """A cell of the report as a person reads it: names in their language, figures as numbers."""
    if column == "dimension":
        return _dimension_name(str(value), language)
    if column == "level":
        return LEVEL_NAMES[str(value)][language]
    if column in TEXTS:
        return "".join("�" if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(value))
    if isinstance(value, int | float):
        return value
    return (NOT_COUNTED if column in COUNTED_BY_CLOUD else UNLIMITED)[language]


def _sheet(report: pd.DataFrame, language: Language, sample: bool) -> Iterator[list[Cell]]:
    yield [HEADINGS[name][language] for name in report.columns]
    for row in _rows(report, language):
        yield [neutralise(cell) if isinstance(cell, str) else cell for cell in row]
    if sample:
        note = ILLUSTRATIVE[0 if language == "zh" else 1]
        yield [note, *[""] * (len(report.columns) - 1)]


def _rows(report: pd.DataFrame, language: Language) -> Iterator[list[Cell]]:
    columns = [[shown(name, value, language) for value in report[name].tolist()] for name in report.columns]
    for row in zip(*columns, strict=True):
        yield list(row)


def _dimension_name(key: str, language: Language) -> str:
    if key == STORAGE:
        return STORAGE_NAME[language]
    dimension = next(d for d in DIMENSIONS if d.key == key)
    name, bracketed = (dimension.zh, "（{}）") if language == "zh" else (dimension.en, " ({})")
    return f"{name}{bracketed.format(dimension.unit)}" if dimension.unit else name
