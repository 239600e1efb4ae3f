"""One thread of this process at a time for each key, where others would only do the same work again."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Turns:
    """Threads that name the same key go one after the other; a key once named is kept."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, *key: Hashable) -> Iterator[None]:
        """Nobody else is within for `key`."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            yield
