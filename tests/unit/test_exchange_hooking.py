"""Webhooks' rules: addresses, signatures, waits."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from exchange.hooking import BadUrl, check_url, may_call, read_retry_after, sign, wait_s, write_secret

OWN = [ip_network("10.5.0.0/16"), ip_network("fd00::/8")]
AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://a.example/",
        "https://",
        "https:///path",
        "https://u:p@a.example/",
        "https://u@a.example/",
        "https://a.example/#x",
        "https://a.example:0/",
        "https://a.example:99999/",
        "https://a.example/a b",
        "https://a.example/\r\nHost: b",
        "https://例.example/",
        "https://[::1/",
        "https://a.example/" + "x" * 2_000,
    ],
)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        check_url(url, networks=OWN)


def test_http_passes_only_where_networks_are_listed() -> None:
    check_url("https://a.example:8443/in?x=1", networks=[])
    check_url("http://[fd00::1]:80/", networks=OWN)
    with pytest.raises(BadUrl):
        check_url("http://a.example/", networks=[])


@pytest.mark.parametrize(
    ("address", "plain", "encrypted"),
    [
        ("10.5.1.1", True, True),
        ("::ffff:10.5.1.1", True, True),
        ("fd00::1", True, True),
        ("93.184.216.34", False, True),
        ("2606:2800:220:1::1", False, True),
        ("10.6.1.1", False, False),
        ("127.0.0.1", False, False),
        ("::ffff:127.0.0.1", False, False),
        ("::1", False, False),
        ("0.0.0.1", False, False),
        ("169.254.169.254", False, False),
        ("fe80::1%eth0", False, False),
        ("100.64.0.1", False, False),
        ("192.168.1.1", False, False),
        ("224.0.0.251", False, False),
        ("255.255.255.255", False, False),
        ("64:ff9b::a05:101", False, False),
        ("2002:7f00:1::", False, False),
        ("2001:0:7f00:1::", False, False),
    ],
)
def test_what_is_neither_listed_nor_public_is_not_called(address: str, plain: bool, encrypted: bool) -> None:
    assert may_call(address, networks=OWN, encrypted=False) is plain
    assert may_call(address, networks=OWN, encrypted=True) is encrypted


def test_each_secret_signs_as_the_specification_says() -> None:
    first, second = write_secret(b"a" * 32), write_secret(b"b" * 32)
    assert first.startswith("whsec_")
    told = sign([first, second], message_id="msg_1", timestamp=1_700_000_000, body="{身}".encode())
    expected = [
        "v1,"
        + base64.b64encode(hmac.new(key, "msg_1.1700000000.{身}".encode(), hashlib.sha256).digest()).decode()
        for key in (b"a" * 32, b"b" * 32)
    ]
    assert told == " ".join(expected)


def test_the_specifications_own_example() -> None:
    told = sign(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert told == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_waits_follow_the_schedule_within_a_fifth() -> None:
    schedule = (5, 100)
    waits = [wait_s(schedule, attempts=n, chance=c, asked_s=None) for n in (1, 2) for c in (0, 0.5, 1)]
    assert [round(wait or 0, 6) for wait in waits] == [4, 5, 6, 80, 100, 120]
    assert wait_s(schedule, attempts=3, chance=0, asked_s=7) is None
    assert wait_s(schedule, attempts=1, chance=0, asked_s=60) == 60
    assert wait_s(schedule, attempts=1, chance=0, asked_s=10**9) == 24 * 3600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("120", 120.0),
        ("9" * 400, 999_999_999.0),
        ("-5", None),
        ("Mon, 02 Mar 2026 01:00:30 GMT", 30.0),
        ("Mon, 02 Mar 2026 01:00:30 -0000", 30.0),
        ("Mon, 02 Mar 2026 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_as_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert read_retry_after(header, at=AT) == seconds
