"""SCRAM-SHA-512 (RFC 5802): what is kept of a password so that a log can check it. Pure."""

import hashlib

from exchange.rights import Credential

FEWEST, MOST = 8_192, 16_384
"""Iterations: Kafka takes 4,096 to 16,384."""


def credential_of(password: str, *, salt: bytes, iterations: int) -> Credential:
    """What is kept of a password, which is of printable ASCII."""
    salted = hashlib.pbkdf2_hmac("sha512", password.encode("ascii"), salt, iterations)
    return Credential(iterations, salt, salted)
