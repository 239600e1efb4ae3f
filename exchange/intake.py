"""Reads what is sent for publishing, strictly: JSON arrays and NDJSON, and the changes in them. Pure.

Stricter than json.loads, which takes NaN and lets the last of two equal names win: what may be read in two
ways is refused with its place. Whether a record fits its dataset is decided elsewhere.
"""

import json
from collections.abc import Iterator
from typing import Any

from exchange.batch import Change
from exchange.errors import Unreadable

OPERATIONS = {"upsert": False, "delete": True}
WHITESPACE = " \t\n\r"


class _Refused(ValueError):
    """Says why in both languages."""

    def __init__(self, why_zh: str, why_en: str) -> None:
        super().__init__(why_en)
        self.why_zh, self.why_en = why_zh, why_en


def read_array(text: str) -> Iterator[tuple[int, Any]]:
    """(place from 1, value) of each element of a JSON array. Raises Unreadable."""
    position = _skip(text, 0)
    if text[position : position + 1] != "[":
        raise Unreadable(place=1, why_zh="内容不是 JSON 数组", why_en="the content is not a JSON array")
    place, position = 1, _skip(text, position + 1)
    if text[position : position + 1] == "]":
        position = _skip(text, position + 1)
    else:
        while True:
            value, position = _value(text, position, place)
            yield place, value
            position = _skip(text, position)
            mark = text[position : position + 1]
            position = _skip(text, position + 1)
            if mark == "]":
                break
            if mark != ",":
                raise Unreadable(
                    place=place,
                    why_zh="其后应为逗号或数组结尾",
                    why_en="a comma or the array's end was expected behind it",
                )
            place += 1
    if position < len(text):
        raise Unreadable(
            place=place, why_zh="数组结尾之后还有内容", why_en="there is more behind the end of the array"
        )


def read_lines(text: str) -> Iterator[tuple[int, Any]]:
    """(number of the line from 1, value) of each line of NDJSON; empty lines are passed over. Unreadable."""
    for number, line in enumerate(text.split("\n"), start=1):
        position = _skip(line, 0)
        if position == len(line):
            continue
        value, position = _value(line, position, number)
        if _skip(line, position) < len(line):
            raise Unreadable(
                place=number, why_zh="一行只能有一个 JSON 值", why_en="a line holds one JSON value"
            )
        yield number, value


def as_change(place: int, document: Any) -> Change:
    """The change that `{"op": "upsert" | "delete", "value": {…}}` says; without `op` an upsert.

    Raises Unreadable.
    """
    if (
        not isinstance(document, dict)
        or "value" not in document
        or not document.keys() <= {"op", "value"}
        or (op := document.get("op", "upsert")) not in ("upsert", "delete")
    ):
        raise Unreadable(
            place=place,
            why_zh='每条应为 {"op":"upsert","value":{…}} 或 {"op":"delete","value":{主键信息项}}',
            why_en='each is {"op":"upsert","value":{…}} or {"op":"delete","value":{its key items}}',
        )
    return Change(document["value"], delete=OPERATIONS[op])


def _value(text: str, position: int, place: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, position)
    except _Refused as error:
        raise Unreadable(place=place, why_zh=error.why_zh, why_en=error.why_en) from error
    except json.JSONDecodeError as error:
        raise Unreadable(place=place, why_zh="不是有效的 JSON", why_en="it is not valid JSON") from error
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


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Refused("同一对象中有重名字段", "an object in it has a name twice")
    return found


def _no_constant(_name: str) -> Any:
    raise _Refused("JSON 中没有 NaN 和 Infinity", "there is no NaN and no Infinity in JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)
