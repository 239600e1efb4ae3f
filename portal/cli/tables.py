"""How commands show what they found: a table on a terminal, tab-separated elsewhere, or JSON."""

import dataclasses
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.clock import CITY_ZONE
from portal.cli.speech import language

Pair = tuple[str, str]
Found = Mapping[str, Any]

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
UNSEEN = {"Cc", "Cf", "Zl", "Zp"}
"""What would move a terminal's cursor or turn the direction of its text."""

WHOLE = frozenset({"id", "code", "number", "case", "login"})
"""Fields by which a person names something in the next command: a narrow terminal folds others."""

NOTHING: Pair = ("没有符合条件的记录", "Nothing to show")
YES_NO: dict[str, Pair] = {"zh": ("否", "是"), "en": ("no", "yes")}
HEADINGS: dict[str, Pair] = {"zh": ("项目", "内容"), "en": ("field", "value")}


@dataclasses.dataclass(frozen=True)
class Column:
    """A field of what was found, and what the values it knows are called, `null` and names within too; or
    what `told` calls any value.

    `applicant.name` is a field of a field; `name_{language}` is name_zh or name_en.
    """

    field: str
    zh: str
    en: str
    words: Mapping[str, Pair] = dataclasses.field(default_factory=dict)
    told: Callable[[Any], Pair] | None = None

    @property
    def heading(self) -> str:
        """What it is called in the language of the command."""
        return self.zh if language() == "zh" else self.en

    def cell(self, found: Found) -> str:
        """The field as text."""
        value: Any = found
        for name in self.field.replace("{language}", language()).split("."):
            value = None if value is None else value.get(name)
        if self.told is not None:
            return _told(self.told(value))
        return "" if value is None else _text(value, self.words)


@dataclasses.dataclass(frozen=True)
class Part:
    """A list that something holds in `field`, and what is shown of it.

    One that is empty is left out, unless `nothing` says so in its place.
    """

    field: str
    zh: str
    en: str
    columns: Sequence[Column]
    nothing: Pair | None = None


def show_list(
    found: Iterable[Found], columns: Sequence[Column], *, as_json: bool = False, nothing: Pair = NOTHING
) -> None:
    """Many things, a line each, or `nothing` where there are none."""
    if as_json:
        show_json(list(found))
        return
    print_table(
        [one.heading for one in columns],
        ([one.cell(row) for one in columns] for row in found),
        whole={one.heading for one in columns if one.field in WHOLE},
        nothing=nothing,
    )


def show_one(found: Found, columns: Sequence[Column], *parts: Part, as_json: bool = False) -> None:
    """One thing, a field a line, then the lists that it holds."""
    if as_json:
        show_json(found)
        return
    print_table(HEADINGS[language()], ([one.heading, one.cell(found)] for one in columns))
    for part in parts:
        if within := found[part.field]:
            typer.echo(f"\n{_told((part.zh, part.en))}")
            show_list(within, part.columns)
        elif part.nothing is not None:
            typer.echo(f"\n{_told(part.nothing)}")


def show_json(found: Any) -> None:
    """As the portal told it."""
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    whole: Collection[str] = (),
    nothing: Pair = NOTHING,
) -> None:
    """Lines of plain text: whatever they hold, no cell breaks its line or acts on the terminal.

    On a terminal, columns headed by one of `whole` stay on one line. `nothing` stands for no rows at all:
    elsewhere on standard error, beside the line of headings.
    """
    console = Console()
    if not console.is_terminal:
        lines = ["\t".join(map(_plain, row)) for row in (headings, *rows)]
        typer.echo("\n".join(lines))
        if len(lines) == 1:
            typer.echo(_told(nothing), err=True)
        return
    cells = [[Text(_plain(cell)) for cell in row] for row in rows]
    if not cells:
        typer.echo(_told(nothing))
        return
    table = Table()
    for place, heading in enumerate(headings):
        widest = max(texts[place].cell_len for texts in cells)
        if heading in whole:
            table.add_column(heading, no_wrap=True, min_width=widest)
        else:
            table.add_column(heading, overflow="fold")
    for texts in cells:
        table.add_row(*texts)
    console.print(table)


def _told(pair: Pair) -> str:
    return pair[0 if language() == "zh" else 1]


def _text(value: Any, words: Mapping[str, Pair]) -> str:
    if isinstance(value, bool):
        return YES_NO[language()][value]
    if isinstance(value, list):
        return ", ".join(_text(one, words) for one in value)
    if isinstance(value, Mapping):
        if value.keys() >= {"zh", "en"}:
            return str(value[language()])
        return ", ".join(f"{_text(name, words)}={_text(one, words)}" for name, one in value.items())
    told = "null" if value is None else str(value)
    if told in words:
        return words[told][0 if language() == "zh" else 1]
    if INSTANT.fullmatch(told):
        return datetime.fromisoformat(told).astimezone(CITY_ZONE).isoformat(" ", "seconds")
    return told


def _plain(cell: str) -> str:
    return "".join(" " if unicodedata.category(one) in UNSEEN else one for one in cell)
