"""Why input has not the form that a route takes, in Chinese and English: pydantic has English alone."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from infra.errors import Language

TYPES = {
    "string": "文本",
    "int": "整数",
    "float": "数字",
    "bool": "true 或 false",
    "list": "数组",
    "dict": "对象",
    "model": "对象",
    "model_attributes": "对象",
    "date": "日期（YYYY-MM-DD）",
    "date_from_datetime": "日期（YYYY-MM-DD）",
    "datetime": "时间（ISO 8601）",
}
NOT_OF_TYPE = re.compile(r"(.+?)_(type|parsing(_size)?|from_float|inexact|invalid)")
REASONS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "缺少此项",
    "extra_forbidden": lambda _: "没有这一项",
    "none_required": lambda _: "应为 null",
    "json_invalid": lambda _: "不是有效的 JSON",
    "string_too_long": lambda ctx: f"超过 {ctx['max_length']} 个字符",
    "string_too_short": lambda ctx: f"少于 {ctx['min_length']} 个字符",
    "too_long": lambda ctx: f"超过 {ctx['max_length']} 项",
    "too_short": lambda ctx: f"少于 {ctx['min_length']} 项",
    "greater_than": lambda ctx: f"应大于 {ctx['gt']}",
    "greater_than_equal": lambda ctx: f"不应小于 {ctx['ge']}",
    "less_than": lambda ctx: f"应小于 {ctx['lt']}",
    "less_than_equal": lambda ctx: f"不应大于 {ctx['le']}",
    "string_pattern_mismatch": lambda ctx: f"应符合 {ctx['pattern']}",
    "literal_error": lambda ctx: f"应为以下之一：{_one_of(ctx['expected'])}",
    "enum": lambda ctx: f"应为以下之一：{_one_of(ctx['expected'])}",
    "union_tag_invalid": lambda ctx: (
        f"{_one_of(ctx['discriminator'])} 应为以下之一：{_one_of(ctx['expected_tags'])}"
    ),
    "union_tag_not_found": lambda ctx: f"缺少 {_one_of(ctx['discriminator'])}",
    "nul": lambda _: "含有 NUL 字符",
    "no_instant": lambda _: "超出公元 1 至 9999 年（UTC）",
    "two_places": lambda _: "to 与 offsets 只能给出一项",
    "no_dimension": lambda ctx: f"没有资源 {ctx['unknown']}，应为以下之一：{ctx['known']}",
}
"""By pydantic's kinds of faults, the common ones, from what it tells of the fault."""


def why_malformed(fault: Mapping[str, Any], language: Language) -> str:
    """What is wrong at the place of one of pydantic's faults; a rare kind is told in its English."""
    told = str(fault["msg"])
    if language == "en":
        return told
    kind = fault["type"]
    if reason := REASONS.get(kind):
        return reason(fault.get("ctx", {}))
    not_of_type = NOT_OF_TYPE.fullmatch(kind)
    if not_of_type and (wanted := TYPES.get(not_of_type[1])):
        return f"应为{wanted}"
    return told


def _one_of(quoted: str) -> str:
    """\"'a', 'b' or 'c'\" as Chinese lists it."""
    return "、".join(re.findall(r"'([^']*)'", quoted))
