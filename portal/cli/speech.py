"""Which language a command speaks, and speaking it."""

import os
from collections.abc import Mapping

import typer

from infra.errors import Language

CHINESE_OR_NEUTRAL = ("zh", "C", "POSIX")


def language() -> Language:
    """Chinese, unless the terminal's locale names another language."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or "C"
    return "zh" if locale.startswith(CHINESE_OR_NEUTRAL) else "en"


def say(words: Mapping[str, str], *, err: bool = False, **facts: object) -> None:
    """One line of `words`, a template a language, filled from `facts`."""
    typer.echo(words[language()].format_map(facts), err=err)
