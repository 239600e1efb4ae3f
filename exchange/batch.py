"""What becomes of a batch: which records go to the log, and which to quarantine, with reasons. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exchange.digest import (
    canonical,
    chain_by_partition,
    combine,
    partition_of,
    record_digest,
    sm3,
    uncanonical,
)
from exchange.schema import Reason, RecordRules


@dataclass(frozen=True)
class Change:
    """One record as it was sent: an upsert of `value`, or a delete of the key items in it.

    Of a table it has a `place`, its row, which grows; `faults` are those of its cells, found in reading them.
    """

    value: Any
    delete: bool = False
    place: int | None = None
    faults: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Good:
    """A record for the log; `value` None is a delete."""

    partition: int
    key: bytes
    value: bytes | None
    digest: bytes


@dataclass(frozen=True)
class Bad:
    """A record for quarantine: its place in the batch counts from 1, as the rows of a table do.

    `raw` is ASCII JSON of what was sent.
    """

    place: int
    delete: bool
    reasons: tuple[Reason, ...]
    raw: str


@dataclass(frozen=True)
class Sorted:
    """A batch sorted into good records, in order, and bad ones."""

    good: tuple[Good, ...]
    bad: tuple[Bad, ...]

    @property
    def upserts(self) -> int:
        """How many good records are not deletes."""
        return sum(record.value is not None for record in self.good)

    @property
    def digests(self) -> dict[int, str]:
        """Digest of the good records by partition."""
        return chain_by_partition((record.partition, record.digest) for record in self.good)

    @property
    def digest(self) -> str:
        """One digest over all partitions."""
        return combine(self.digests)


def encode(changes: Sequence[Change]) -> list[bytes | None]:
    """Canonical JSON of each value, None for what has none."""
    return [_encode(change.value) for change in changes]


def request_digest(changes: Sequence[Change], encoded: Sequence[bytes | None]) -> str:
    """SM3, in hex, of what was sent, bad records included: equal batches have equal digests, others not.

    What was found wrong in reading counts too: a value may read alike whether or not its cell is faulty.
    """
    running = hashlib.new("sm3")
    for change, text in zip(changes, encoded, strict=True):
        running.update(b"-" if change.delete else b"+")
        running.update(sm3(b"j" + text if text is not None else b"u" + uncanonical(change.value)))
        if change.faults:
            running.update(b"!" + sm3(uncanonical([[fault.code, fault.item] for fault in change.faults])))
    return running.hexdigest()


def sort_batch(
    changes: Sequence[Change],
    encoded: Sequence[bytes | None],
    *,
    rules: RecordRules,
    partitions: int,
    full: bool,
) -> Sorted:
    """Hold every record to the rules. A `full` batch has no deletes, and each key once."""
    good: list[Good] = []
    bad: list[Bad] = []
    seen: dict[bytes, int] = {}
    for number, (change, text) in enumerate(zip(changes, encoded, strict=True), start=1):
        place = change.place or number
        reasons = rules.check(change.value, encoded=text, delete=change.delete)
        if change.faults:
            faulty = {fault.item for fault in change.faults}
            reasons = [*change.faults, *(reason for reason in reasons if reason.item not in faulty)]
        if full and change.delete:
            reasons = [NO_DELETES, *reasons]
        key = rules.key(change.value) if not reasons else b""
        if full and not reasons and seen.setdefault(key, place) != place:
            reasons = [_repeated(seen[key])]
        if reasons:
            bad.append(Bad(place, change.delete, tuple(reasons), uncanonical(change.value).decode()))
        elif change.delete:
            digest = record_digest(change.value, delete=True)
            good.append(Good(partition_of(key, partitions), key, None, digest))
        else:
            text = text or b""
            good.append(Good(partition_of(key, partitions), key, text, sm3(text)))
    return Sorted(tuple(good), tuple(bad))


NO_DELETES = Reason(
    "delete_in_full",
    None,
    "全量更新的数据集不接收删除：未包含在新一批中的记录即被删除",
    "a dataset that is replaced in full takes no deletes: what a new batch lacks is gone",
)


def _repeated(first: int) -> Reason:
    return Reason(
        "repeated_key",
        None,
        f"主键与本批第 {first} 条记录重复",
        f"it has the same key as record {first} of the batch",
    )


def _encode(value: Any) -> bytes | None:
    try:
        return canonical(value)
    except (ValueError, RecursionError):
        return None
