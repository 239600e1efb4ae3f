"""Calls that this process makes later, if it still runs then: one thread waits for all of them."""

import heapq
import time
from collections.abc import Callable
from itertools import count
from threading import Condition, Thread

Act = Callable[[], None]


class Later:
    """Acts wait here for their time, and are called in their order by a thread that starts with the first.

    An act that raises ends the thread, which says so; the next call starts another for what still waits.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Act]] = []
        self._numbers = count()
        self._changed = Condition()
        self._thread: Thread | None = None

    def call(self, act: Act, *, after_s: float) -> None:
        """Have `act` called in so many seconds."""
        with self._changed:
            heapq.heappush(self._waiting, (time.monotonic() + after_s, next(self._numbers), act))
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._work, name="later", daemon=True)
                self._thread.start()
            self._changed.notify()

    def forget(self) -> None:
        """Call nothing of what waits."""
        with self._changed:
            self._waiting.clear()

    def _work(self) -> None:
        while True:
            self._next()()

    def _next(self) -> Act:
        with self._changed:
            while not self._waiting or self._waiting[0][0] > time.monotonic():
                self._changed.wait(self._waiting[0][0] - time.monotonic() if self._waiting else None)
            return heapq.heappop(self._waiting)[2]
