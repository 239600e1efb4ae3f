"""Which names and codes are allowed, and when two names cannot be told apart. Pure."""

import re
import unicodedata

from identity.faults import Fault
from infra.textfile import printable

MAX_NAME = 255
MAX_CODE = 64
SHOWN = 60

_CODE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")


def text_fault(text: str, *, field: str, limit: int = MAX_NAME) -> Fault | None:
    """Why `text` cannot be the name (or another one-line text) that `field` names; None if it can.

    Length is counted in characters, so that 𠮷 is one.
    """
    if not text.strip():
        return Fault("empty", {"field": field})
    if len(text) > limit:
        return Fault("too_long", {"field": field, "length": len(text), "limit": limit})
    for place, char in enumerate(text, 1):
        if unicodedata.category(char) in _INVISIBLE:
            reason = "bidi" if char in _BIDI else "control"
            return Fault(reason, {"field": field, "place": place, "mark": f"U+{ord(char):04X}"})
    return None


def code_fault(code: str, *, field: str = "code") -> Fault | None:
    """Why `code` cannot be a code; None if it can."""
    fault = text_fault(code, field=field, limit=MAX_CODE)
    if fault is None and not _CODE.fullmatch(code):
        return Fault("bad_code", {"code": shown(code)})
    return fault


def twin_key(name: str) -> str:
    """Two names with the same key look alike: NFKC, surrounding white space aside."""
    return unicodedata.normalize("NFKC", name).strip()


def shown(text: str) -> str:
    """`text` as it may stand in a message: short, and invisible characters spelled out."""
    return printable(text, length=SHOWN)
