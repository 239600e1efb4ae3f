"""The file of an adoption as people review it: its columns, and what is wrong with what they wrote. Pure.

A cell is what a spreadsheet holds: text, a number, a date, or None.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from provisioning.adoption import Pair, plain
from provisioning.quota import DIMENSIONS

Cell = str | int | float | bool | date | datetime | None
Grid = Sequence[Sequence[Cell]]
T = TypeVar("T")

SERVERS: Pair = ("云服务器", "Servers")
GRANTS: Pair = ("配额", "Grants")
SERVER_COLUMNS: Mapping[str, Pair] = {
    "cloud_id": ("云平台编号", "id in the cloud"),
    "name": ("名称", "name"),
    "project": ("项目", "project"),
    "status": ("状态", "status"),
    "vcpus": ("vCPU", "vCPU"),
    "ram_mib": ("内存 MiB", "RAM MiB"),
    "root_gib": ("系统盘 GiB", "root disk GiB"),
    "volumes": ("云硬盘数", "volumes"),
    "volume_gib": ("云硬盘 GiB", "volumes GiB"),
    "bureau": ("单位代码（待核）", "bureau's code, to review"),
    "system": ("信息系统代码（待核）", "system's code, to review"),
    "system_name": ("信息系统名称（待核）", "system's name, to review"),
    "mlps_grade": ("等保级别（待核）", "MLPS grade, to review"),
    "zone": ("网络区（待核）", "network zone, to review"),
    "end_on": ("使用期限（待核）", "last day, to review"),
    "why": ("单位依据", "why this bureau"),
    "candidates": ("可能的单位", "bureaus that it may be"),
}
GRANT_COLUMNS: Mapping[str, Pair] = {
    "bureau": ("单位代码", "bureau's code"),
    "bureau_name": ("单位", "bureau"),
    "dimension": ("资源", "dimension"),
    "dimension_name": ("资源名称", "what that is"),
    "held": ("将占用", "would be held"),
    "granted": ("现有配额", "granted now"),
    "project_quota": ("项目现有配额", "quota of its projects now"),
    "grant": ("下达配额（待核）", "grant, to review"),
}
ZONES = ("internet", "extranet")
GRADES = (1, 2, 3)
UNLIMITED = ("unlimited", "不限")
LONGEST = 255
LARGEST = 2**53
CLOUD_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
KEYS = {d.key for d in DIMENSIONS}


@dataclass(frozen=True)
class Problem:
    """What is wrong in a sheet: its row, from 1 for the headings; the column by its key, None for the row."""

    sheet: Pair
    row: int
    column: str | None
    why: Pair

    def message(self, language: str) -> str:
        """One line that says where and what."""
        zh, en = self.why
        place = "" if self.column is None else self.column
        if language == "zh":
            column = f" {place} 列" if place else ""
            return f"“{self.sheet[0]}”表第 {self.row} 行{column}：{zh}"
        return f"Sheet {self.sheet[1]}, row {self.row}{f', column {place}' if place else ''}: {en}"


@dataclass(frozen=True, kw_only=True)
class ServerRow:
    """A server that the file says whose it is; `size` is what the file says it has, as `sizes` names it."""

    row: int
    cloud_id: str
    bureau: str
    system: str
    system_name: str
    mlps_grade: int
    zone: str
    end_on: date
    size: tuple[int, int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class GrantRow:
    """What a bureau is to be granted of a dimension, None for unlimited."""

    row: int
    bureau: str
    dimension: str
    grant: int | None


@dataclass(frozen=True)
class Sheets:
    """What a file asks for; `undecided` are the ids of servers whose bureau it leaves open."""

    servers: tuple[ServerRow, ...]
    grants: tuple[GrantRow, ...]
    undecided: tuple[str, ...]


def headings(columns: Mapping[str, Pair]) -> list[str]:
    """The first row of a sheet: the key of each column, and what it is called."""
    return [f"{key} {zh} {en}" for key, (zh, en) in columns.items()]


def read_sheets(servers: Grid, grants: Grid) -> tuple[Sheets, list[Problem]]:
    """What the two sheets say, and everything that is wrong with them, by row and column."""
    problems: list[Problem] = []
    rows, undecided = [], []
    for reader in _rows(SERVERS, SERVER_COLUMNS, servers, problems):
        server = _read_server(reader)
        if server is None and not reader.is_faulty:
            undecided.append(reader.text("cloud_id"))
        elif server is not None and not reader.is_faulty:
            rows.append(server)
    wanted = [
        row
        for reader in _rows(GRANTS, GRANT_COLUMNS, grants, problems)
        if (row := _read_grant(reader)) is not None and not reader.is_faulty
    ]
    problems += _repeated(SERVERS, "cloud_id", [(one.cloud_id, one.row) for one in rows])
    problems += _repeated(GRANTS, "dimension", [(f"{one.bureau} {one.dimension}", one.row) for one in wanted])
    problems += _disagreeing(rows)
    problems.sort(key=lambda one: (one.sheet != SERVERS, one.row))
    return Sheets(tuple(rows), tuple(wanted), tuple(undecided)), problems


class _Row:
    """One row of a sheet, read cell by cell; what is wrong is written down."""

    def __init__(self, sheet: Pair, number: int, cells: Mapping[str, Cell], problems: list[Problem]) -> None:
        self.sheet, self.number = sheet, number
        self._cells, self._problems = cells, problems
        self.is_faulty = False

    def refuse(self, column: str, zh: str, en: str) -> None:
        self.is_faulty = True
        self._problems.append(Problem(self.sheet, self.number, column, (zh, en)))

    def text(self, column: str, *, needed: bool = False) -> str:
        cell = self._cells.get(column)
        if isinstance(cell, float) and cell.is_integer():
            cell = int(cell)
        said = "" if cell is None else str(cell).strip()
        if isinstance(cell, bool | float | date) or len(said) > LONGEST or not said.isprintable():
            self.refuse(column, f"应为不超过 {LONGEST} 个字符的文本", f"it is no text of up to {LONGEST}")
            return ""
        if said.startswith("="):
            self.refuse(column, "是公式，请改为值", "it is a formula; put its value there")
        elif needed and not said:
            self.refuse(column, "不能为空", "it is empty")
        return said

    def code(self, column: str) -> str:
        said = self.text(column, needed=True)
        if said != plain(said):
            self.refuse(
                column,
                f"“{said}”含全角字符，请改为半角“{plain(said)}”",
                f"“{said}” has full-width characters; write “{plain(said)}”",
            )
        return said

    def whole(self, column: str, *, least: int = 0, most: int = LARGEST) -> int:
        cell = self._cells.get(column)
        if isinstance(cell, str) and cell.strip().isascii() and cell.strip().isdigit():
            cell = int(cell.strip()[:20])
        if isinstance(cell, float) and cell.is_integer():
            cell = int(cell)
        if not isinstance(cell, int) or isinstance(cell, bool) or not least <= cell <= most:
            self.refuse(
                column, f"应为 {least} 至 {most} 的整数", f"it is no whole number of {least} to {most}"
            )
            return least
        return cell

    def day(self, column: str) -> date:
        cell = self._cells.get(column)
        if isinstance(cell, datetime):
            return cell.date()
        if isinstance(cell, date):
            return cell
        try:
            return date.fromisoformat(str(cell).strip())
        except ValueError:
            self.refuse(column, "应为日期，如 2027-12-31", "it is no date such as 2027-12-31")
            return date.min

    def one_of(self, column: str, known: Sequence[str]) -> str:
        said = self.text(column, needed=True)
        if said and said not in known:
            self.refuse(column, f"应为 {'、'.join(known)} 之一", f"it is none of {', '.join(known)}")
        return said


def _rows(sheet: Pair, columns: Mapping[str, Pair], grid: Grid, problems: list[Problem]) -> Iterator[_Row]:
    """The rows below the headings; none if those are not all there. Empty rows are passed over."""
    first = grid[0] if grid else ()
    keys = [str(one or "").split(" ")[0] for one in first]
    missing = [key for key in columns if keys.count(key) != 1]
    if missing:
        listed = ", ".join(missing)
        why = (f"表头缺少或重复：{listed}", f"the headings lack these or have them twice: {listed}")
        problems.append(Problem(sheet, 1, None, why))
        return
    for number, cells in enumerate(grid[1:], start=2):
        if any(cell not in (None, "") for cell in cells):
            yield _Row(sheet, number, dict(zip(keys, cells, strict=False)), problems)


def _read_server(row: _Row) -> ServerRow | None:
    """None for a server whose bureau is left open."""
    cloud_id = row.text("cloud_id", needed=True)
    if cloud_id and not CLOUD_ID.fullmatch(cloud_id):
        row.refuse("cloud_id", "不是云平台上的编号", "it is no id of a server in a cloud")
    if not row.text("bureau"):
        return None
    return ServerRow(
        row=row.number,
        cloud_id=cloud_id,
        bureau=row.code("bureau"),
        system=row.code("system"),
        system_name=row.text("system_name", needed=True),
        mlps_grade=row.whole("mlps_grade", least=GRADES[0], most=GRADES[-1]),
        zone=row.one_of("zone", ZONES),
        end_on=row.day("end_on"),
        size=(
            row.whole("vcpus"),
            row.whole("ram_mib"),
            row.whole("root_gib"),
            row.whole("volumes"),
            row.whole("volume_gib"),
        ),
    )


def _read_grant(row: _Row) -> GrantRow | None:
    said = row.text("grant")
    return GrantRow(
        row=row.number,
        bureau=row.code("bureau"),
        dimension=row.one_of("dimension", [d.key for d in DIMENSIONS]),
        grant=None if said in UNLIMITED else row.whole("grant"),
    )


def _repeated(sheet: Pair, column: str, found: Sequence[tuple[str, int]]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for key, row in found:
        if key in first:
            why = (f"{key} 与第 {first[key]} 行重复", f"{key} stands in row {first[key]} already")
            yield Problem(sheet, row, column, why)
        else:
            first[key] = row


def _disagreeing(rows: Sequence[ServerRow]) -> Iterator[Problem]:
    """Rows that say other things of a system than the first one of it."""
    told: Mapping[str, Callable[[ServerRow], Any]] = {
        "bureau": lambda one: one.bureau,
        "system_name": lambda one: one.system_name,
        "mlps_grade": lambda one: one.mlps_grade,
        "zone": lambda one: one.zone,
    }
    first: dict[str, ServerRow] = {}
    for one in rows:
        other = first.setdefault(one.system, one)
        for column, of in told.items():
            if of(one) != of(other):
                zh = f"信息系统 {one.system} 在第 {other.row} 行为“{of(other)}”，本行为“{of(one)}”"
                en = f"system {one.system} has “{of(other)}” in row {other.row} and “{of(one)}” here"
                yield Problem(SERVERS, one.row, column, (zh, en))
