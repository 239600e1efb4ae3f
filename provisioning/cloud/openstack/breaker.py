"""When a cloud that does not answer is left alone, and when it is tried again. Pure: it is told the time.

Closed: calls go through. After AFTER unanswered ones in a row it opens: none goes through for a pause. Then
one is let through to try; an answer closes it, be it a refusal, and no answer makes the next pause longer.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

AFTER = 5
FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 120.0


@dataclass(frozen=True)
class Circuit:
    """How a process has fared with one cloud.

    `unanswered` calls in a row; `pauses` in a row, the last until `until` (None: closed); `trying`: one call
    is finding out whether the cloud answers again.
    """

    unanswered: int = 0
    pauses: int = 0
    until: datetime | None = None
    trying: bool = False


def lets_through(circuit: Circuit, at: datetime) -> bool:
    """Whether a call may be made at `at`. A pause that a clock set back has made too long is over."""
    if circuit.until is None:
        return True
    left = circuit.until - at
    return not circuit.trying and not timedelta(0) < left <= timedelta(seconds=LONGEST_PAUSE_S)


def begun(circuit: Circuit) -> Circuit:
    """A call that was let through began: of an open circuit, it is the one that tries."""
    return circuit if circuit.until is None else replace(circuit, trying=True)


def answered(_: Circuit) -> Circuit:
    """A call had an answer, be it a refusal."""
    return Circuit()


def not_answered(circuit: Circuit, at: datetime, *, tried: bool, spread: float) -> Circuit:
    """A call had none; `tried`: it was the one that tries. `spread`, 0 to 1, puts the end of the pause
    somewhere into its upper half, so that the workers of one outage do not all return at one instant.

    Calls that began before the circuit opened and end after it make no pause longer.
    """
    unanswered = circuit.unanswered + 1
    if circuit.until is None and unanswered < AFTER:
        return replace(circuit, unanswered=unanswered)
    if circuit.until is not None and not tried:
        return replace(circuit, unanswered=unanswered)
    whole = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(circuit.pauses, 16))
    until = at + timedelta(seconds=whole * (1 + spread) / 2)
    return Circuit(unanswered, circuit.pauses + 1, until)


def given_up(circuit: Circuit, *, tried: bool) -> Circuit:
    """A call ended without telling anything of the cloud; if it was the one that tries, another may."""
    return replace(circuit, trying=False) if tried else circuit
