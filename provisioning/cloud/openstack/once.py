"""What is ensured in a cloud once a process."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import openstack.exceptions as sdk

from infra.turns import Turns

T = TypeVar("T")


class Once(Generic[T]):
    """Values by key, each made at its first use, by one thread while others that want it wait."""

    def __init__(self) -> None:
        self._found: dict[Hashable, T] = {}
        self._turns = Turns()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made for `key`."""
        with self._turns.taken(key):
            found = self._found[key] if key in self._found else make()
            self._found[key] = found
            return found

    def forget(self, *keys: Hashable) -> None:
        """Make them at their next use."""
        for key in keys:
            self._found.pop(key, None)

    @contextmanager
    def trusted(self, *keys: Hashable) -> Iterator[None]:
        """A refusal within may be for one of `keys` that is gone: each is made sure of at the next time."""
        try:
            yield
        except (sdk.BadRequestException, sdk.NotFoundException):
            self.forget(*keys)
            raise
