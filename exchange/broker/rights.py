"""What the exchange asks of a log whose topics others may read: its topics, users and their rights."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from exchange.rights import Difference, State


class RightsKeeper(Protocol):
    """Every method may raise the broker's failures."""

    account: str
    """The user that the platform itself signs in as."""
    fixed: Mapping[str, str]
    """Configs that every topic has."""

    def observe(self, topics: Iterable[str]) -> State:
        """All topics and users there are, all rights; configs of `topics` and of nobody else's."""

    def repair(self, differences: Iterable[Difference], wanted: State) -> None:
        """Let what is different be as it is wanted; may be repeated."""

    def close(self) -> None:
        """Give back connections."""
