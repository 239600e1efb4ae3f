"""Packed content is unpacked whole and within its limit, or refused."""

import gzip
import io
from collections.abc import Callable

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from infra.packing import (
    PIECE,
    WORTH_PACKING,
    PackingBroken,
    UnknownPacking,
    UnpackedTooLarge,
    pack,
    packing_in,
    packing_of,
    unpack,
)

PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}
packings = pytest.mark.parametrize("packing", PACK)


def unpacked(content: bytes, packing: str, limit: int = 10_000_000) -> bytes:
    target = io.BytesIO()
    unpack(io.BytesIO(content), target, packing=packing, limit=limit)
    return target.getvalue()


@given(st.lists(st.binary(max_size=3 * PIECE), min_size=1, max_size=3), st.sampled_from(sorted(PACK)))
def test_what_was_packed_comes_back_of_several_members_too(parts: list[bytes], packing: str) -> None:
    assert unpacked(b"".join(map(PACK[packing], parts)), packing) == b"".join(parts)


@packings
def test_what_is_damaged_cut_or_followed_by_something_is_refused(packing: str) -> None:
    content = PACK[packing](b"{}" * 1000)
    for broken in (content[:-3], content[:10], content + b"tail", b"{}" * 50, b"", content[:-9] + b"\0" * 9):
        with pytest.raises(PackingBroken):
            unpacked(broken, packing)


@packings
def test_the_limit_is_passed_by_one_piece_at_most(packing: str) -> None:
    """A few KiB that would unpack to 64 MiB are given up as soon as the limit is passed."""
    target = io.BytesIO()
    bomb = PACK[packing](bytes(64 * 1024 * 1024))
    with pytest.raises(UnpackedTooLarge) as refusal:
        unpack(io.BytesIO(bomb), target, packing=packing, limit=1_000_000)
    assert len(target.getvalue()) <= 1_000_000
    assert refusal.value.facts == {"came": len(bomb), "limit": 1_000_000}
    assert len(unpacked(PACK[packing](bytes(1_000)), packing, limit=1_000)) == 1_000


def test_a_window_that_wants_much_memory_is_refused() -> None:
    options = {
        int(zstd.CompressionParameter.window_log): 27,
        int(zstd.CompressionParameter.content_size_flag): 0,
    }
    compressor = zstd.ZstdCompressor(options=options)
    content = compressor.compress(bytes(1000)) + compressor.flush()
    with pytest.raises(PackingBroken):
        unpacked(content, "zstd")


@pytest.mark.parametrize(
    ("told", "packing"),
    [("", None), ("identity", None), (" GZip", "gzip"), ("x-gzip", "gzip"), ("zstd", "zstd")],
)
def test_packings_by_name(told: str, packing: str | None) -> None:
    assert packing_of(told) == packing


@pytest.mark.parametrize("told", ["br", "gzip, zstd", "deflate"])
def test_an_unknown_packing_is_refused(told: str) -> None:
    with pytest.raises(UnknownPacking) as refusal:
        packing_of(told)
    assert refusal.value.facts == {"given": told, "known": "gzip, zstd"}


def test_packing_is_left_where_it_does_not_pay() -> None:
    content = b"130624,x\n" * WORTH_PACKING
    packed = pack(content)
    assert packed is not None
    assert unpacked(packed, "zstd") == content
    assert pack(packed) is None
    assert pack(content[: WORTH_PACKING - 1]) is None


def test_a_file_tells_its_packing() -> None:
    assert [packing_in(pack(b"x")) for pack in PACK.values()] == list(PACK)
    assert packing_in(b"id,name") is None
