"""The message log's chain: a link is SM3 over the link before it and the message's own digest. Pure.

The message itself is not in it, so that a proof can show one bureau's messages and of the others' only what
tells nothing: their digests.
"""

from collections.abc import Mapping
from typing import Any

from exchange.digest import canonical, sm3

DIGEST_BYTES = 32
BEGINNING = "00" * DIGEST_BYTES


def content_of(facts: Mapping[str, Any]) -> str:
    """A message as canonical JSON."""
    return canonical(dict(facts)).decode()


def digest_of(content: str) -> str:
    """SM3, in hex, of a message's canonical JSON."""
    return sm3(content.encode()).hex()


def link(before: str, content_digest: str) -> str:
    """The chain's digest, in hex, behind a message. Raises ValueError for what is no digest."""
    both = bytes.fromhex(before), bytes.fromhex(content_digest)
    if any(len(each) != DIGEST_BYTES for each in both):
        raise ValueError("no digest of SM3")
    return sm3(b"".join(both)).hex()
