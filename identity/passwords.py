"""Passwords: what they must be, their argon2 hashes, one-time ones. Signing in is service/sign_in.py's."""

import secrets
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from identity.errors import PasswordRepeatsLogin, WeakPassword

MIN_LENGTH = 12
MAX_LENGTH = 256
ONE_TIME_GROUPS = 4
ONE_TIME_GROUP_LENGTH = 5
ONE_TIME_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"

HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4, hash_len=32, salt_len=16)
"""argon2id by RFC 9106, section 4, second recommendation: 3 passes, 64 MiB, 4 lanes. Tests swap it."""


def check_password(password: str, *, login: str) -> None:
    """Raise WeakPassword or PasswordRepeatsLogin; length counts characters after NFKC."""
    normal = unicodedata.normalize("NFKC", password)
    if not MIN_LENGTH <= len(normal) <= MAX_LENGTH:
        raise WeakPassword(minimum=MIN_LENGTH, maximum=MAX_LENGTH, length=len(normal))
    if login.casefold() in normal.casefold():
        raise PasswordRepeatsLogin(login=login)


def hash_password(password: str) -> str:
    """The argon2id hash, its parameters and salt included; at most 255 characters."""
    return HASHER.hash(_normalise(password))


def verify_password(stored: str | None, password: str) -> bool:
    """Whether `password` is the one hashed as `stored`; with None it costs the same time and is False."""
    normal = _normalise(password[: MAX_LENGTH + 1])
    try:
        matches = HASHER.verify(stored or _decoy(HASHER), normal)
    except (VerificationError, InvalidHashError):
        return False
    return matches and stored is not None


def needs_rehash(stored: str) -> bool:
    """Whether `stored` was made with other parameters than today's."""
    return HASHER.check_needs_rehash(stored)


def make_one_time_password() -> str:
    """A random password of 99 bits, in groups that can be read out; to be changed at the first sign-in."""
    groups = (
        "".join(secrets.choice(ONE_TIME_ALPHABET) for _ in range(ONE_TIME_GROUP_LENGTH))
        for _ in range(ONE_TIME_GROUPS)
    )
    return "-".join(groups)


def _normalise(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


@cache
def _decoy(hasher: PasswordHasher) -> str:
    return hasher.hash(secrets.token_urlsafe(32))
