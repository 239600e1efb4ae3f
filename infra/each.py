"""Many jobs in one task: one that fails is logged, the others are done, and the task fails at its end."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

NAMED_AT_MOST = 20

log = logging.getLogger(__name__)
T = TypeVar("T")


def for_each(items: Iterable[T], act: Callable[[T], object], *, what: str) -> None:
    """Do `act` for every item, whatever becomes of those before it; `what` names one, such as 'server {}'.

    Raises ExceptionGroup, at the end, with the failures (the first 20) and the names of what failed.
    """
    done, failed = 0, list[tuple[str, Exception]]()
    for item in items:
        try:
            act(item)
        except Exception as error:
            failed.append((what.format(item), error))
            log.exception("%s failed; the others go on", failed[-1][0])
        else:
            done += 1
    if failed:
        shown = failed[:NAMED_AT_MOST]
        more = f" and {len(failed) - len(shown)} more" if len(failed) > len(shown) else ""
        names = ", ".join(name for name, _ in shown)
        raise ExceptionGroup(
            f"{len(failed)} of {done + len(failed)} failed: {names}{more}", [error for _, error in shown]
        )
