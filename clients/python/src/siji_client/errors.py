"""What can go wrong: the portal says no, or it does not answer."""

from collections.abc import Mapping
from typing import Any

NOT_ALLOWED = (401, 403)
TOO_LARGE = 413
KEY_REUSED = "idempotency_key_reused"


class SijiError(Exception):
    """Any error of this client."""


class Unavailable(SijiError):
    """Nobody answered, or not in a way that helps, however often it was tried; `tries` says how often."""

    def __init__(self, why: str, *, tries: int) -> None:
        super().__init__(f"{why} ({tries} tries)")
        self.tries = tries


class Refused(SijiError):
    """The portal's no: `code` is for programs, `detail` for people."""

    def __init__(self, status: int, code: str, detail: str, facts: Mapping[str, Any]) -> None:
        super().__init__(f"{detail} [{status} {code}]")
        self.status, self.code, self.detail, self.facts = status, code, detail, facts


class NotAllowed(Refused):
    """The token is not valid, or not for this."""


class KeyReused(Refused):
    """The key was used for other records."""


class TooLarge(Refused):
    """More records or bytes than one batch may have."""


def refusal(status: int, problem: Mapping[str, Any]) -> Refused:
    """The error of a problem document (RFC 9457)."""
    code = str(problem.get("code", "unknown"))
    kind = Refused
    if status in NOT_ALLOWED:
        kind = NotAllowed
    elif status == TOO_LARGE:
        kind = TooLarge
    elif code == KEY_REUSED:
        kind = KeyReused
    return kind(status, code, str(problem.get("detail", "")), problem.get("facts", {}))
