"""Digests: SM3 of RFC 8785 canonical JSON per record, and SM3 over record digests in order. Pure."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any

import rfc8785

LARGEST_INTEGER = 2**53 - 1  # RFC 8785: beyond it JSON numbers are not exact, 9007199254740993.0 neither


def canonical(value: Any) -> bytes:
    """RFC 8785 canonical JSON of `value`; ValueError if it has none (NaN, ±2^53, lone surrogates)."""
    if type(value) is dict and all(map(_is_plain, value, value.values())):
        return _PLAIN.encode(value).encode()
    return rfc8785.dumps(value)


def read_canonical(data: bytes) -> Any:
    """The value that `data` is the canonical JSON of; a whole number beyond the integers was a float."""
    return json.loads(data, parse_int=_whole)


def sm3(data: bytes) -> bytes:
    """SM3 (GB/T 32905) of `data`, 32 bytes."""
    return hashlib.new("sm3", data).digest()


def keyed_sm3(key: bytes, data: bytes) -> bytes:
    """HMAC-SM3 of `data`, 32 bytes."""
    return hmac.digest(key, data, "sm3")


def record_digest(value: Mapping[str, Any], *, delete: bool = False) -> bytes:
    """Digest of one record: of its value, or, of a delete, of `{"$delete": <its key items>}`."""
    return sm3(canonical({"$delete": dict(value)} if delete else dict(value)))


def chain(digests: Iterable[bytes]) -> str:
    """SM3, in hex, over record digests in order: the digest of a batch or a delivery in one partition."""
    running = hashlib.new("sm3")
    for digest in digests:
        running.update(digest)
    return running.hexdigest()


def combine(by_partition: Mapping[int, str]) -> str:
    """SM3, in hex, over `<partition>:<its digest>` lines in order of partition: one digest for all."""
    return sm3("\n".join(f"{p}:{by_partition[p]}" for p in sorted(by_partition)).encode()).hex()


def chain_by_partition(digests: Iterable[tuple[int, bytes]]) -> dict[int, str]:
    """`chain` of each partition's record digests, given as (partition, digest) in order."""
    running: dict[int, Any] = {}
    for partition, digest in digests:
        running.setdefault(partition, hashlib.new("sm3")).update(digest)
    return {partition: running[partition].hexdigest() for partition in sorted(running)}


def uncanonical(value: Any) -> bytes:
    """Some fixed ASCII text of a value that has no canonical JSON."""
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=True, default=ascii).encode()
    except (TypeError, ValueError, RecursionError):
        return ascii(type(value)).encode()


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a record key; the same key always has the same one, so its order holds."""
    return int.from_bytes(sm3(key)[:8], "big") % partitions


_PLAIN = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
"""Writes what `_is_plain` lets pass as RFC 8785 has it, in a third of its time: records are of this kind."""


def _is_plain(name: Any, value: Any) -> bool:
    """Whether both writers agree on that member: no number but a whole one within LARGEST_INTEGER, nothing
    nested, and a name in which code points and UTF-16 code units have the same order.
    """
    kind = type(value)
    if kind is int:
        value_is_plain = -LARGEST_INTEGER <= value <= LARGEST_INTEGER
    else:
        value_is_plain = kind is str or kind is bool or value is None
    return value_is_plain and type(name) is str and (name.isascii() or max(name) < "\ud800")


def _whole(digits: str) -> float:
    number = int(digits)
    return number if abs(number) <= LARGEST_INTEGER else float(number)
