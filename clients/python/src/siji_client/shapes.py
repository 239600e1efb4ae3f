"""What is sent and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class Delete:
    """A record to delete, by the values of its key items."""

    key: Mapping[str, Any]


@dataclass(frozen=True)
class _FromJson:
    """Made of what the portal answers; fields that a newer portal adds are left out."""

    @classmethod
    def of(cls, document: Mapping[str, Any], **more: Any) -> Self:
        """The object of a JSON document."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in document.items() if name in known} | more)


@dataclass(frozen=True)
class Receipt(_FromJson):
    """What became of a batch. `was_before`: the key was known, and nothing was stored now."""

    id: int
    dataset: str
    key: str
    state: str
    version: int
    received: int
    upserts: int
    deletes: int
    quarantined: int
    digest: str
    was_before: bool


@dataclass(frozen=True)
class Record(_FromJson):
    """A record under the subscription's masks; `op` is upsert or delete, `ref` stands for its key."""

    op: str
    ref: str
    value: dict[str, Any]
    partition: int
    offset: int
    published_at: str
    digest: str


@dataclass(frozen=True)
class Page(_FromJson):
    """What one pull handed out; the next one begins at `cursor`. `digest` is SM3 over what was delivered."""

    records: list[Record]
    cursor: str
    complete: bool
    generation: int | None
    digest: str
    delivery_id: int | None
