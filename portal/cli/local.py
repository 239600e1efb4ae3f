"""What commands that act on this machine's own installation share: opening it, and the language to speak."""

import os

from infra.errors import Language
from infra.installation import Installation, open_installation
from infra.settings import Settings

CHINESE_OR_NEUTRAL = ("zh", "C", "POSIX")


def open_local() -> Installation:
    """The installation that the environment names."""
    return open_installation(Settings())


def language() -> Language:
    """Chinese, unless the terminal's locale names another language."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or "C"
    return "zh" if locale.startswith(CHINESE_OR_NEUTRAL) else "en"
