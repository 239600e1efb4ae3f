"""Options that several commands have, and reading what they name."""

import json
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.clock import CITY_ZONE
from infra.errors import SijiError
from provisioning.quota import DIMENSIONS

UNLIMITED = "unlimited"
DIMENSION_WORDS = {
    one.key: (f"{one.zh} {one.unit}".strip(), f"{one.en} {one.unit}".strip()) for one in DIMENSIONS
}
LIMIT_WORDS = {"null": ("不限", "unlimited")} | DIMENSION_WORDS

AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")]
Reason = Annotated[str, typer.Option(help="理由 · why")]
Number = Annotated[int, typer.Argument(min=1, help="编号 · its number")]
BureauCode = Annotated[str, typer.Argument(help="部门代码 · the bureau's code")]
OfBureau = Annotated[str | None, typer.Option(help="该部门及其下级 · of this bureau and all below it")]
Revision = Annotated[
    int | None,
    typer.Option(min=0, help="仅当仍为您所见的这一版 · only if it is still the revision that you saw"),
]
_FILE = typer.Option("--file", help="JSON 文件，- 为标准输入 · a JSON file, - is standard input")
Document = Annotated[Path, _FILE]
MaybeDocument = Annotated[Path | None, _FILE]
LimitPairs = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="KEY=N",
        help="限额，可重复，如 vcpus=40、vcpus=unlimited，未列的为 0 · may be repeated; 0 if left out",
    ),
]


class FileUnreadable(SijiError):
    """A file that is not there, or not to be read."""

    code = "file_unreadable"
    zh = "无法读取文件 {file}：{why}"
    en = "The file {file} cannot be read: {why}"


class NotADocument(SijiError):
    """A file that should hold a JSON object and does not."""

    code = "not_a_document"
    zh = "文件 {file} 不是 JSON 对象：{why}"
    en = "The file {file} is no JSON object: {why}"


class LimitUnclear(SijiError):
    """A limit that is not KEY=N of a known key."""

    code = "limit_unclear"
    zh = "限额“{given}”无效：应为 KEY=N，N 为整数或 unlimited，KEY 为 {known} 之一"
    en = "The limit “{given}” is not KEY=N with a whole N or unlimited and a KEY of {known}"


class FilterUnclear(SijiError):
    """A filter that is not ITEM OPERATOR VALUE…."""

    code = "filter_unclear"
    zh = "第 {place} 个 --filter 无效：应为“信息项 比较方式 值…”，如 '区划 in 130602 130606'，含空格的加引号"
    en = "--filter number {place} is not ITEM OPERATOR VALUE…, as in '区划 in 130602 130606'; quote blanks"


class InstantUnclear(SijiError):
    """An instant that is not one of ISO 8601."""

    code = "instant_unclear"
    zh = "时刻“{given}”无效：应如 2026-03-02T22:00"
    en = "The instant “{given}” is not of a form such as 2026-03-02T22:00"


def read_bytes(file: Path) -> bytes:
    """What the file, or standard input for `-`, holds. Raises FileUnreadable."""
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise FileUnreadable(file=str(file), why=error.strerror) from error


def read_document(file: Path | None) -> dict[str, Any]:
    """The JSON object in the file, an empty one without a file. Raises FileUnreadable, NotADocument."""
    if file is None:
        return {}
    try:
        found = json.loads(read_bytes(file).decode("utf-8-sig"))
    except ValueError as error:
        raise NotADocument(file=str(file), why=str(error)) from error
    if not isinstance(found, dict):
        raise NotADocument(file=str(file), why=type(found).__name__)
    return found


def read_limit(pairs: Sequence[str] | None) -> dict[str, int | None] | None:
    """The limit that the pairs tell, null for unlimited; None without any. Raises LimitUnclear."""
    known = [one.key for one in DIMENSIONS]
    limit: dict[str, int | None] = {}
    for pair in pairs or ():
        key, _, told = pair.partition("=")
        if key not in known or not (told == UNLIMITED or (told.isascii() and told.isdigit())):
            raise LimitUnclear(given=pair, known=", ".join(known))
        limit[key] = None if told == UNLIMITED else int(told)
    return limit or None


def read_filters(given: Sequence[str] | None) -> list[dict[str, Any]]:
    """The filters that such texts as '区划 in 130602 130606' tell, quoted as in a shell. FilterUnclear."""
    filters = []
    for place, one in enumerate(given or (), start=1):
        try:
            item, operator, *values = shlex.split(one)
        except ValueError as error:
            raise FilterUnclear(place=place) from error
        filters.append({"item": item, "operator": operator, "values": values})
    return filters


def read_instant(given: str) -> str:
    """The instant with its zone; without one it is the city's time. Raises InstantUnclear."""
    try:
        instant = datetime.fromisoformat(given)
    except ValueError as error:
        raise InstantUnclear(given=given) from error
    return (instant if instant.tzinfo else instant.replace(tzinfo=CITY_ZONE)).isoformat()


def told(**fields: Any) -> dict[str, Any]:
    """What was given; an option that was left out is None."""
    return {name: value for name, value in fields.items() if value is not None}
