"""Webhooks' rules: which addresses may be called, how a message is signed, when it is tried again. Pure.

The signature is that of the Standard Webhooks specification (standardwebhooks.com, version 1).
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
SECRET_PREFIX = "whsec_"  # noqa: S105
SECRET_BYTES = 32
LONGEST_URL = 2_000
LONGEST_WAIT_S = 24 * 3600
"""What a receiver may ask for with Retry-After."""
HIDES_ANOTHER = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
"""IPv6 addresses that stand for one of IPv4, which may be any."""


class BadUrl(ValueError):
    """A URL that nothing is sent to; says why in both languages."""

    def __init__(self, why_zh: str, why_en: str) -> None:
        super().__init__(why_en)
        self.why_zh, self.why_en = why_zh, why_en


def check_url(url: str, *, networks: Sequence[Network]) -> None:
    """Refuse (BadUrl) what is no plain https URL; http passes where networks of one's own are listed."""
    if len(url) > LONGEST_URL or not url.isascii() or any(char <= " " or char == "\x7f" for char in url):
        raise BadUrl(
            f"地址应为不超过 {LONGEST_URL} 个 ASCII 字符，不含空格",
            f"an address has at most {LONGEST_URL} ASCII characters and no blanks",
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadUrl("地址无法读懂", "the address cannot be read") from error
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise BadUrl("地址应以 https:// 开头并含主机名", "an address begins with https:// and has a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadUrl("地址不得含用户名、密码或 #", "an address has no user, password or fragment")
    if parts.scheme == "http" and not networks:
        raise BadUrl("须用 https", "it has to be https")


def may_call(address: str, *, networks: Sequence[Network], encrypted: bool) -> bool:
    """Whether an address may be called: one in the listed networks, or, over TLS, any public one."""
    found = _plain(ip_address(address.partition("%")[0]))
    if any(found.version == one.version and found in one for one in networks):
        return True
    is_public = found.is_global and not found.is_multicast and not found.is_reserved
    hides = any(found.version == one.version and found in one for one in HIDES_ANOTHER)
    return encrypted and is_public and not hides


def write_secret(key: bytes) -> str:
    """The secret as a subscriber is shown it."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def sign(secrets: Sequence[str], *, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header: one signature for each secret that holds now."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    keys = [base64.b64decode(secret.removeprefix(SECRET_PREFIX)) for secret in secrets]
    macs = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys]
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


def wait_s(retries_s: Sequence[int], *, attempts: int, chance: float, asked_s: float | None) -> float | None:
    """Seconds until the next try after `attempts` that failed, None after the last one.

    `chance`, from 0 to 1, makes it up to a fifth shorter or longer, so that many do not come at once; a
    receiver that asked for longer is given it.
    """
    if attempts > len(retries_s):
        return None
    usual = retries_s[attempts - 1] * (0.8 + 0.4 * chance)
    return max(usual, min(asked_s or 0, LONGEST_WAIT_S))


def read_retry_after(header: str | None, *, at: datetime) -> float | None:
    """Seconds that a Retry-After header, a number or a date, asks for; None if it says nothing."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - at).total_seconds())


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
