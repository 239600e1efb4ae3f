"""What is wrong with a command line, in Chinese: Typer says it in English alone."""

import re

SAID = (
    (re.compile(r"Missing (?:argument|option|parameter) '?([^'.]+)"), "缺少参数：{0}"),
    (re.compile(r"No such option: (\S+)"), "没有这个选项：{0}"),
    (re.compile(r"No such command '([^']+)'"), "没有这个命令：{0}"),
    (re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.+)\)"), "多余的参数：{0}"),
    (re.compile(r"Option '?([^' ]+)'? requires"), "选项 {0} 缺少取值"),
    (re.compile(r"Invalid value for '([^']+)': \w+ '(.+)' does not exist"), "参数 {0} 所指的 {1} 不存在"),
    (re.compile(r"Invalid value for '?([^':]+)"), "参数 {0} 的值无效"),
)
"""How an English message begins, the narrow ones first; what it names goes into the Chinese one."""


def in_chinese(message: str) -> str | None:
    """The same in Chinese, to be read before the English; None where nothing is known for it."""
    for beginning, words in SAID:
        if found := beginning.match(message):
            return words.format(*found.groups())
    return None
