"""Reads what is sent for publishing, strictly: JSON arrays and NDJSON, and the changes in them. Pure.

Text comes in pieces, of which no more is held than the value that is read; tables are read in tables.py.

Stricter than json.loads, which takes NaN and lets the last of two equal names win: what may be read in two
ways is refused with its place. Whether a record fits its dataset is decided elsewhere.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from exchange.batch import Change
from exchange.errors import Unreadable

OPERATIONS = {"upsert": False, "delete": True}
WHITESPACE = " \t\n\r"
LONGEST_MISSED = len("e-1")
"""How much of what follows a value shows that a number is at its end: `1` may go on as `1e-1`."""


class _Unfinished(Unreadable):
    """No JSON so far; with more text it may be."""


class _Refused(ValueError):
    """Says why in both languages."""

    def __init__(self, why_zh: str, why_en: str) -> None:
        super().__init__(why_en)
        self.why_zh, self.why_en = why_zh, why_en


def read_array(pieces: Iterable[str]) -> Iterator[tuple[int, Any]]:
    """(place from 1, value) of each element of a JSON array. Raises Unreadable."""
    text = _Text(pieces)
    if text.next_mark() != "[":
        raise Unreadable(place=1, why_zh="内容不是 JSON 数组", why_en="the content is not a JSON array")
    text.position += 1
    place = 1
    if text.next_mark() == "]":
        text.position += 1
    else:
        while True:
            yield place, text.next_value(place)
            mark = text.next_mark()
            text.position += 1
            if mark == "]":
                break
            if mark != ",":
                raise Unreadable(
                    place=place,
                    why_zh="其后应为逗号或数组结尾",
                    why_en="a comma or the array's end was expected behind it",
                )
            place += 1
    if text.next_mark():
        raise Unreadable(
            place=place, why_zh="数组结尾之后还有内容", why_en="there is more behind the end of the array"
        )


def read_lines(pieces: Iterable[str]) -> Iterator[tuple[int, Any]]:
    """(number of the line from 1, value) of each line of NDJSON; empty lines are passed over. Unreadable."""
    decoder = _decoder()
    for number, line in enumerate(lines_of(pieces), start=1):
        position = _skip(line, 0)
        if position == len(line):
            continue
        with _told(number):
            value, position = decoder.raw_decode(line, position)
        if _skip(line, position) < len(line):
            raise Unreadable(
                place=number, why_zh="一行只能有一个 JSON 值", why_en="a line holds one JSON value"
            )
        yield number, value


def lines_of(pieces: Iterable[str]) -> Iterator[str]:
    """The lines of the text without their line feeds; the last one is empty if the text ends in one."""
    held = list[str]()
    for piece in pieces:
        first, *others = piece.split("\n")
        held.append(first)
        if others:
            yield "".join(held)
            yield from others[:-1]
            held = [others[-1]]
    yield "".join(held)


def as_change(place: int, document: Any, *, correcting: bool = False) -> Change:
    """The change that `{"op": "upsert" | "delete", "value": {…}, "id": "…"}` says; without `op` an upsert.

    The publisher's own id of the record may be left out. A correction has the `place` of the bad record, too.
    Raises Unreadable.
    """
    needed = {"value", "place"} if correcting else {"value"}
    if (
        not isinstance(document, dict)
        or not needed <= document.keys()
        or not document.keys() <= needed | {"op", "id"}
        or (op := document.get("op", "upsert")) not in ("upsert", "delete")
        or not isinstance(document.get("id", ""), str)
    ):
        raise Unreadable(
            place=place,
            why_zh='每条应为 {"op":"upsert","value":{…}} 或 {"op":"delete","value":{主键信息项}}，可有文本 id'
            + ('，并有 "place":原位置' if correcting else ""),
            why_en='each is {"op":"upsert","value":{…}} or {"op":"delete","value":{its key items}}, may have '
            'an "id", a text' + (', and has the bad record\'s "place"' if correcting else ""),
        )
    if correcting and not (isinstance(document["place"], int) and 0 < document["place"] < 10**9):
        raise Unreadable(
            place=place, why_zh="place 应为问题数据的位置", why_en="its place is not that of a bad record"
        )
    return Change(
        document["value"],
        delete=OPERATIONS[op],
        place=document["place"] if correcting else None,
        id=document.get("id"),
    )


class _Text:
    """Text that is read on from `position`; what was read is let go, what is missing is fetched."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces, self._text, self._decoder = iter(pieces), "", _decoder()
        self.position = 0

    def next_mark(self) -> str:
        """The next character that is no white space, which is not passed; empty at the end."""
        while (position := _skip(self._text, self.position)) == len(self._text):
            self.position = position
            if not self._fetch():
                return ""
        self.position = position
        return self._text[position]

    def next_value(self, place: int) -> Any:
        """The JSON value that comes next. Raises Unreadable."""
        self.next_mark()
        while True:
            try:
                with _told(place):
                    value, end = self._decoder.raw_decode(self._text, self.position)
            except _Unfinished:
                if self._fetch():
                    continue
                raise
            if end + LONGEST_MISSED <= len(self._text) or not self._fetch():
                self.position = end
                return value

    def _fetch(self) -> bool:
        """Fetch as much again as is held, so that no value is tried often; whether there was any."""
        held = self._text[self.position :]
        fetched, size = [held], 0
        for piece in self._pieces:
            fetched.append(piece)
            size += len(piece)
            if size > len(held):
                break
        if size == 0:
            return False
        self._text, self.position = "".join(fetched), 0
        return True


@contextmanager
def _told(place: int) -> Iterator[None]:
    """Tells of what is wrong with the value that is read at that place. Raises Unreadable."""
    try:
        yield
    except _Refused as error:
        raise Unreadable(place=place, why_zh=error.why_zh, why_en=error.why_en) from error
    except json.JSONDecodeError as error:
        raise _Unfinished(place=place, why_zh="不是有效的 JSON", why_en="it is not valid JSON") from error
    except RecursionError as error:
        raise Unreadable(place=place, why_zh="嵌套过深", why_en="it is nested too deeply") from error
    except ValueError as error:  # int() of thousands of digits
        raise Unreadable(
            place=place, why_zh="其中的整数位数过多", why_en="a whole number in it has too many digits"
        ) from error


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in WHITESPACE:
        position += 1
    return position


def _no_constant(_name: str) -> Any:
    raise _Refused("JSON 中没有 NaN 和 Infinity", "there is no NaN and no Infinity in JSON")


def _decoder() -> json.JSONDecoder:
    """A decoder for one text, in which equal names are one object: most of a record is its names."""
    names: dict[str, str] = {}

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = {names.setdefault(name, name): value for name, value in pairs}
        if len(found) < len(pairs):
            raise _Refused("同一对象中有重名字段", "an object in it has a name twice")
        return found

    return json.JSONDecoder(object_pairs_hook=once, parse_constant=_no_constant)
