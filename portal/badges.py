"""How states look on pages: a tone (plain, busy, good, warn, bad) and the domain's words for each."""

from collections.abc import Mapping
from dataclasses import dataclass

from approval.wording import STATES
from provisioning.wording import (
    LINE_STATES,
    MAINTENANCE_STATES,
    REMOVAL_STATES,
    REQUEST_STATES,
    SERVER_STATES,
)

Pair = tuple[str, str]


@dataclass(frozen=True)
class Badge:
    """A state as it is shown."""

    tone: str
    zh: str
    en: str


REQUEST_TONES = {
    "draft": "plain",
    "submitted": "busy",
    "refused": "bad",
    "withdrawn": "plain",
    "provisioning": "busy",
    "confirming": "warn",
    "active": "good",
    "closed": "good",
    "failed": "bad",
}
SERVER_TONES = {
    "active": "good",
    "failed": "bad",
    "given_up": "plain",
    "released": "plain",
    "stopped": "warn",
}
MAINTENANCE_TONES = {"planned": "warn", "drained": "good", "ended": "plain", "cancelled": "plain"}
REMOVAL_TONES = {"removed": "good", "failed": "bad"}
LINE_TONES = {"pending": "busy", "done": "good", "failed": "bad"}
CASE_TONES = {
    "draft": "plain",
    "submitted": "busy",
    "supplement": "warn",
    "accepted": "busy",
    "returned": "warn",
    "decided": "good",
    "withdrawn": "plain",
    "abandoned": "bad",
}


def _badges(words: Mapping[str, Pair], tones: Mapping[str, str]) -> dict[str, Badge]:
    return {state: Badge(tones.get(state, "busy"), *pair) for state, pair in words.items()}


REQUEST = _badges(REQUEST_STATES, REQUEST_TONES)
SERVER = _badges(SERVER_STATES, SERVER_TONES)
MAINTENANCE = _badges(MAINTENANCE_STATES, MAINTENANCE_TONES)
REMOVAL = _badges(REMOVAL_STATES, REMOVAL_TONES)
LINE = _badges(LINE_STATES, LINE_TONES)
CASE = _badges(STATES, CASE_TONES) | {
    "approved": Badge("good", "已批准", "approved"),
    "refused": Badge("bad", "未批准", "refused"),
}
