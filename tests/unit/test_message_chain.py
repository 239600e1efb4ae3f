"""The message log's chain: what a link covers, against another library's SM3."""

import pytest
from cryptography.hazmat.primitives.hashes import SM3, Hash

from exchange.message_chain import BEGINNING, content_of, digest_of, link

ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"  # GB/T 32905, appendix A.1


def sm3(data: bytes) -> str:
    running = Hash(SM3())
    running.update(data)
    return running.finalize().hex()


def test_a_message_is_written_in_one_way() -> None:
    one = content_of({"b": 1, "a": "𠮷", "c": None})
    assert one == content_of({"c": None, "a": "𠮷", "b": 1}) == '{"a":"𠮷","b":1,"c":null}'


def test_a_link_is_the_digest_of_the_link_before_and_the_message_s() -> None:
    assert digest_of("abc") == ABC
    first = link(BEGINNING, ABC)
    assert first == sm3(bytes(32) + bytes.fromhex(ABC))
    assert link(first, ABC) == sm3(bytes.fromhex(first + ABC)) != first


@pytest.mark.parametrize("other", ["", "zz", "00"])
def test_what_is_no_digest_makes_no_link(other: str) -> None:
    with pytest.raises(ValueError, match=r"digest|hex"):
        link(BEGINNING, other)
