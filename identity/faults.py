"""What can be wrong with a unit of the tree, as data with its sentences in both languages. Pure."""

from dataclasses import dataclass
from typing import Any

from infra.errors import Language

SENTENCES: dict[str, tuple[str, str]] = {
    "wrong_columns": (
        "表头应恰为 {expected} 四列，实为：{found}",
        "The header must be exactly the columns {expected}, it is: {found}",
    ),
    "no_rows": ("文件中没有任何单位", "The file holds no unit"),
    "malformed": ("不是有效的 CSV：{detail}", "It is not valid CSV: {detail}"),
    "ragged": ("应有 {expected} 列，实有 {found} 列", "It must have {expected} columns, it has {found}"),
    "empty": ("{field} 为空", "{field} is empty"),
    "too_long": (
        "{field} 有 {length} 个字符，超过上限 {limit} 个",
        "{field} has {length} characters, more than the limit of {limit}",
    ),
    "bidi": (
        "{field} 第 {place} 个字符是双向控制符 {mark}，不允许使用",
        "Character {place} of {field} is the bidirectional control {mark}, which is not allowed",
    ),
    "control": (
        "{field} 第 {place} 个字符是不可见的控制符 {mark}，不允许使用",
        "Character {place} of {field} is the invisible control {mark}, which is not allowed",
    ),
    "bad_code": (
        "代码“{code}”只能由字母、数字、点、下划线和连字符组成，且以字母或数字开头",
        "Code “{code}” may hold letters a-z, digits and . _ - only, first a letter or digit",
    ),
    "other_sort_of_code": (
        "代码 {code} 与原代码 {old} 不是同一类：含连字符的是部门，不含的是辖区",
        "Code {code} is of another sort than {old}: a bureau's has a hyphen, a territorial unit's has none",
    ),
    "unknown_zone": (
        "网络区“{zone}”无效，应为 {expected} 之一",
        "Zone “{zone}” is unknown, it must be one of {expected}",
    ),
    "unknown_level": (
        "层级“{level}”无效，应为 {expected} 之一",
        "Level “{level}” is unknown, it must be one of {expected}",
    ),
    "duplicate_code": (
        "代码 {code} 与第 {first} 行重复",
        "Code {code} is already given in row {first}",
    ),
    "unknown_parent": (
        "单位 {code} 的上级 {parent} 既不在文件中，也不在现有部门树中",
        "Parent {parent} of {code} is neither in the file nor in the present tree",
    ),
    "abolished_parent": (
        "单位 {code} 的上级 {parent} 已撤销或将被本次导入撤销",
        "Parent {parent} of {code} is abolished, or would be by this import",
    ),
    "cycle": ("上级关系成环：{codes}", "The parents go round in a circle: {codes}"),
    "no_parent": (
        "单位 {code} 层级为 {level} 而没有上级；只有市级辖区可以没有上级",
        "{code} of level {level} has no parent; only a territorial unit of level city may have none",
    ),
    "level_not_below": (
        "单位 {code} 的层级 {level} 不低于其上级 {parent} 的层级 {parent_level}",
        "Level {level} of {code} is not below level {parent_level} of its parent {parent}",
    ),
    "level_not_beside": (
        "部门 {code} 的层级 {level} 与其所属单位 {parent} 的层级 {parent_level} 不同",
        "Bureau {code} has level {level}, other than level {parent_level} of its unit {parent}",
    ),
    "below_bureau": (
        "辖区 {code} 不能设在部门 {parent} 之下",
        "The territorial unit {code} cannot stand below the bureau {parent}",
    ),
    "twin": (
        "名称“{name}”与同一上级下的 {other}“{other_name}”无法区分（NFKC 规范化后相同）",
        "Name “{name}” equals “{other_name}” of {other} below the same parent (under NFKC)",
    ),
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: `reason` is a key of SENTENCES, `facts` fill its sentence."""

    reason: str
    facts: dict[str, Any]

    def message(self, language: Language) -> str:
        """One clause in `language`, without a full stop."""
        zh, en = SENTENCES[self.reason]
        return (zh if language == "zh" else en).format_map(self.facts)


@dataclass(frozen=True)
class Problem:
    """A fault at a row of a file; the header is row 1."""

    row: int
    fault: Fault

    def as_fact(self) -> dict[str, Any]:
        """JSON-able: row, reason, and the sentence in both languages."""
        return {
            "row": self.row,
            "reason": self.fault.reason,
            "zh": f"第 {self.row} 行：{self.fault.message('zh')}",
            "en": f"Row {self.row}: {self.fault.message('en')}",
        }
