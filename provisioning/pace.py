"""How long a server's row waits for its next visit. Pure: the same row waits equally long each time."""

from datetime import datetime, timedelta
from zlib import crc32

VISIT_LASTS = timedelta(seconds=30)
"""How long one visit has a server for itself; a driver's calls time out within it."""

FIRST_BACKOFF_S = 2.0
LONGEST_BACKOFF_S = 300.0
FIRST_REBUILD_S, LATER_REBUILD_S = 20.0, 150.0
SHORTEST_POLL_S = 1.0
LONGEST_POLL_S = 30.0
LONGEST_BUILD = timedelta(minutes=30)
LONGEST_SCHEDULING = timedelta(minutes=5)
LONGEST_UNTOLD = timedelta(hours=6)
REFUSALS_BORNE = 10
"""How many refusals and conflicts in a row may pass by themselves, over a quarter of an hour."""
REPUSHES = 3
"""How often the quota in the cloud is pushed again before it counts as really used up there."""
PUSHED_AGAIN_AFTER = timedelta(seconds=20)
"""How long the visits of a bureau's servers leave a quota alone that a service did not take: a service that
hangs costs one of them its time, not each."""


def backoff(attempts: int, *, tag: str) -> timedelta:
    """The wait after the failure number `attempts` (from 1): doubled each time, then spread over its upper
    half.

    The spread comes from `tag`, so that the servers of one outage do not all return at one instant.
    """
    whole = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(attempts - 1, 16))
    return timedelta(seconds=whole * (1 + _spread(attempts, tag)) / 2)


def rebuild_after(number: int, *, tag: str) -> timedelta:
    """The wait before what ended in error is made anew for the time `number` (from 1), spread likewise.

    The second comes after an outage of two minutes.
    """
    whole = FIRST_REBUILD_S if number == 1 else LATER_REBUILD_S
    return timedelta(seconds=whole * (1 + _spread(number, tag) / 2))


def poll(since_at: datetime, at: datetime) -> timedelta:
    """The wait for what is under way since `since_at`: a quarter of its age, 1 to 30 seconds."""
    age_s = (at - since_at).total_seconds()
    return timedelta(seconds=min(LONGEST_POLL_S, max(SHORTEST_POLL_S, age_s / 4)))


def takes_too_long(since_at: datetime, at: datetime) -> bool:
    """Whether a build that began at `since_at` is to be given up as failed."""
    return at - since_at > LONGEST_BUILD


def is_lost(created_at: datetime, at: datetime) -> bool:
    """Whether a server that is being built, and for which no host holds room yet, will never be on one.

    The wish to place it is a message, and ends with a service that is killed. What has room waits for its
    host, and is set to ERROR when a host's service is back that was away.
    """
    return at - created_at > LONGEST_SCHEDULING


def is_stuck(since_at: datetime, at: datetime, *, refusals: int) -> bool:
    """Whether what began at `since_at` needs somebody to look into it."""
    return refusals >= REFUSALS_BORNE or at - since_at > LONGEST_UNTOLD


def _spread(number: int, tag: str) -> float:
    return crc32(f"{tag}:{number}".encode()) / 2**32
