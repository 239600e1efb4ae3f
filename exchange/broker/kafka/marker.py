"""A batch's marker: who writes it and where its receipt can lie. Who holds it can take the batch over."""

import re
from dataclasses import dataclass
from typing import Self
from uuid import uuid4

WRITER_PREFIX = "siji-"
"""Of the transactional ids, so that one prefixed ACL covers them."""
SHAPE = re.compile(r"(siji-[0-9a-f]{16}):([0-9a-f]{1,4}):([0-9a-f]{1,16}):([0-9a-f]{16})")


@dataclass(frozen=True)
class Marker:
    """The transactional id of the writer it was made for, the partition of the receipts, the first offset
    there that its receipt can have, and what tells it from all others. At most 58 characters in ASCII."""

    writer: str
    partition: int
    offset: int
    unique: str

    @classmethod
    def new(cls, writer: str, partition: int, offset: int) -> Self:
        """One that nobody has."""
        return cls(writer, partition, offset, uuid4().hex[:16])

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The marker that was written so, None if this log did not make it."""
        found = SHAPE.fullmatch(text)
        if not found:
            return None
        writer, partition, offset, unique = found.groups()
        return cls(writer, int(partition, 16), int(offset, 16), unique)

    def __str__(self) -> str:
        return f"{self.writer}:{self.partition:x}:{self.offset:x}:{self.unique}"


def new_writer_id() -> str:
    """A transactional id that nobody has."""
    return WRITER_PREFIX + uuid4().hex[:16]
