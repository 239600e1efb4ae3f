"""What becomes of a batch: which records go to the log, and which to quarantine, with reasons. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from exchange.digest import (
    canonical,
    chain_by_partition,
    combine,
    partition_of,
    read_canonical,
    record_digest,
    sm3,
    uncanonical,
)
from exchange.schema import Reason, RecordRules

LONGEST_ID = 128


@dataclass(frozen=True)
class Change:
    """One record as it was sent: an upsert of `value`, or a delete of the key items in it.

    Of a table it has a `place`, its row, which grows; `faults` are those of its cells, found in reading them.
    `id` is the publisher's own for the record, by which it is known again in another batch.
    """

    value: Any
    delete: bool = False
    place: int | None = None
    faults: tuple[Reason, ...] = ()
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Good:
    """A record for the log; `value` None is a delete."""

    partition: int
    key: bytes
    value: bytes | None
    digest: bytes
    place: int = 0
    id: str | None = None


@dataclass(frozen=True)
class Bad:
    """A record for quarantine: its place in the batch counts from 1, as the rows of a table do.

    `raw` is ASCII JSON of what was sent.
    """

    place: int
    delete: bool
    reasons: tuple[Reason, ...]
    raw: str
    id: str | None = None


@dataclass(frozen=True)
class Taken:
    """An id that another batch has, with its record's digest."""

    batch_id: int
    digest: bytes


@dataclass(frozen=True)
class Sorted:
    """A batch sorted into good records, in order, and bad ones; `duplicates` are neither."""

    good: tuple[Good, ...]
    bad: tuple[Bad, ...]
    duplicates: int = 0

    @property
    def ids(self) -> dict[str, bytes]:
        """Digests of the good records that have an id, by it."""
        return {record.id: record.digest for record in self.good if record.id is not None}

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
        if change.id is not None:
            running.update(b"#" + sm3(change.id.encode("utf-8", "surrogatepass")))
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
    """Hold every record to the rules. A `full` batch has no deletes, and each key once.

    Of records with one id the first one counts: its like are duplicates, others are bad.
    """
    good: list[Good] = []
    bad: list[Bad] = []
    seen: dict[bytes, int] = {}
    ids: dict[str, Good] = {}
    duplicates = 0
    for number, (change, text) in enumerate(zip(changes, encoded, strict=True), start=1):
        place = change.place or number
        reasons = rules.check(change.value, encoded=text, delete=change.delete)
        if change.faults:
            faulty = {fault.item for fault in change.faults}
            reasons = [*change.faults, *(reason for reason in reasons if reason.item not in faulty)]
        if full and change.delete:
            reasons = [NO_DELETES, *reasons]
        given = change.id
        if given is not None and not _is_id(given):
            reasons, given = [*reasons, BAD_ID], None
        key = rules.key(change.value) if not reasons else b""
        if full and not reasons and seen.setdefault(key, place) != place:
            reasons = [_repeated(seen[key])]
        if not reasons:
            record = _good(change, text, key, partition_of(key, partitions), place)
            first = record if record.id is None else ids.setdefault(record.id, record)
            if first is record:
                good.append(record)
                continue
            if first.digest == record.digest:
                duplicates += 1
                continue
            reasons = [_id_repeated(first.place)]
        bad.append(Bad(place, change.delete, tuple(reasons), uncanonical(change.value).decode(), given))
    return Sorted(tuple(good), tuple(bad), duplicates)


def without_taken(batch: Sorted, taken: Mapping[str, Taken]) -> Sorted:
    """The batch where others have some of its ids: with the same record it is a duplicate, else it is bad."""
    if not taken:
        return batch
    good: list[Good] = []
    bad = list(batch.bad)
    duplicates = batch.duplicates
    for record in batch.good:
        other = taken.get(record.id) if record.id is not None else None
        if other is None:
            good.append(record)
        elif other.digest == record.digest:
            duplicates += 1
        else:
            raw = uncanonical(read_canonical(record.key if record.value is None else record.value)).decode()
            why = (_id_taken(other.batch_id),)
            bad.append(Bad(record.place, record.value is None, why, raw, record.id))
    return replace(
        batch, good=tuple(good), bad=tuple(sorted(bad, key=lambda one: one.place)), duplicates=duplicates
    )


NO_DELETES = Reason(
    "delete_in_full",
    None,
    "全量更新的数据集不接收删除：未包含在新一批中的记录即被删除",
    "a dataset that is replaced in full takes no deletes: what a new batch lacks is gone",
)


BAD_ID = Reason(
    "bad_id",
    None,
    f"记录标识应为 1 至 {LONGEST_ID} 个可打印字符",
    f"a record's id has 1 to {LONGEST_ID} printable characters",
)


def _is_id(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ID and text.isprintable()


def _good(change: Change, text: bytes | None, key: bytes, partition: int, place: int) -> Good:
    if change.delete:
        digest = record_digest(change.value, delete=True)
        return Good(partition, key, None, digest, place, change.id)
    text = text or b""
    return Good(partition, key, text, sm3(text), place, change.id)


def _id_repeated(first: int) -> Reason:
    return Reason(
        "id_repeated",
        None,
        f"记录标识与本批第 {first} 条相同而内容不同",
        f"it has the id of record {first} of the batch and other content",
    )


def _id_taken(batch_id: int) -> Reason:
    return Reason(
        "id_taken",
        None,
        f"记录标识已用于回执 {batch_id} 中内容不同的记录",
        f"its id is that of another record, in receipt {batch_id}",
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
