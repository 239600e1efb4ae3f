"""Which encoding a file is in, and when that is not guessed."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infra.errors import SijiError
from infra.textfile import (
    EncodingContradicted,
    EncodingUndecided,
    FileTooLarge,
    NulByte,
    Undecodable,
    UndecodableEither,
    UnknownEncoding,
    decode,
    is_chinese,
    printable,
    read_bytes,
    read_text,
)

chinese = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1)


@given(chinese)
def test_utf8_with_chinese_is_utf8(text: str) -> None:
    assert decode(text.encode()) == decode(text.encode(), declared="UTF8")
    assert decode(text.encode()).text == text


@given(chinese)
def test_bytes_that_are_not_utf8_are_gb18030(text: str) -> None:
    raw = f"甲,{text},𠮷".encode("gb18030")
    decoded = decode(raw)
    assert (decoded.text, decoded.encoding) == (f"甲,{text},𠮷", "gb18030")


@given(st.text(), st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_a_mark_wins_and_is_taken_away(text: str, encoding: str) -> None:
    text = "a" + text.replace("\0", "")
    assert decode(text.encode(encoding)).text == text


def test_ascii_is_utf8() -> None:
    assert decode(b"code,name\n1,x\n").encoding == "utf-8"


def test_mo_in_gb18030_is_not_guessed_at() -> None:
    raw = b"code,name\n1," + "模".encode("gb18030") + b"\n"
    assert raw.decode("utf-8") == "code,name\n1,ģ\n"
    with pytest.raises(EncodingUndecided) as refusal:
        decode(raw)
    assert refusal.value.facts == {"offset": 12, "utf8": "ģ", "gb18030": "模"}
    for language in ("zh", "en"):
        assert all(part in refusal.value.message(language) for part in ("“ģ”", "“模”", "--encoding gb18030"))
    assert decode(raw, declared="gb18030").text.endswith("模\n")
    assert decode(raw, declared="utf-8").text.endswith("ģ\n")


@pytest.mark.parametrize(
    ("raw", "declared", "offset"),
    [
        ("村".encode("gb18030"), "utf-8", 0),
        (b"\xef\xbb\xbfab\xff", None, 5),
        (b"ab\xff", "gbk", 2),
    ],
)
def test_unreadable_bytes_are_refused_with_their_offset(
    raw: bytes, declared: str | None, offset: int
) -> None:
    with pytest.raises(Undecodable) as refusal:
        decode(raw, declared=declared)
    assert refusal.value.facts["offset"] == offset
    assert str(offset) in refusal.value.message("zh")


@pytest.mark.parametrize(
    ("raw", "rather", "offset", "other_offset"),
    [
        (b"abc\xff\xff", "gb18030", 3, 3),
        ("甲村".encode("gb18030")[:-1], "gb18030", 2, 0),
        ("保定市阜平县，保定市莲池区".encode() + b"\xff,\n", "utf-8", 39, 38),
        ("保定市阜平县".encode("gb18030") + b"\xff\xff", "gb18030", 12, 0),
    ],
)
def test_what_is_neither_is_refused_with_both_offsets(
    raw: bytes, rather: str, offset: int, other_offset: int
) -> None:
    with pytest.raises(UndecodableEither) as refusal:
        decode(raw)
    facts = refusal.value.facts
    assert (facts["encoding"], facts["offset"], facts["other_offset"]) == (rather, offset, other_offset)
    assert {facts["encoding"], facts["other"]} == {"utf-8", "gb18030"}
    for language in ("zh", "en"):
        assert str(offset) in refusal.value.message(language)
        assert str(other_offset) in refusal.value.message(language)


def test_declared_against_mark_is_refused() -> None:
    with pytest.raises(EncodingContradicted, match="declared as gb18030"):
        decode("村".encode("utf-8-sig"), declared="gb18030")


def test_an_encoding_not_read_here_is_refused() -> None:
    with pytest.raises(UnknownEncoding, match="big5"):
        decode(b"a", declared="big5")


def test_nul_is_refused_and_utf16_can_be_declared() -> None:
    raw = "code,村".encode("utf-16-le")
    with pytest.raises((NulByte, UndecodableEither)):
        decode(raw)
    with pytest.raises(NulByte) as refusal:
        decode("甲\0".encode())
    assert refusal.value.facts == {"offset": 1}
    assert decode(raw, declared="UTF-16LE").text == "code,村"


def test_no_more_is_read_than_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "big.csv"
    file.write_bytes(b"x" * 11)
    assert read_bytes(file, limit=11) == b"x" * 11
    with pytest.raises(FileTooLarge, match="10 bytes"):
        read_bytes(file, limit=10)


def test_chinese_characters_of_every_plane_and_no_others() -> None:
    assert all(map(is_chinese, "村〇㐀䌷𠮷豈\U00030000"))
    assert not any(map(is_chinese, "aģ,。、ア한①\ue000"))


def test_what_is_shown_is_short_and_visible() -> None:
    assert printable("a\u202eb c", length=10) == "a<U+202E>b c"
    assert printable("村" * 9, length=4) == "村村村…"


encodings = st.sampled_from([None, "utf-8", "gb18030", "utf-16", "utf-16-le", "klingon"])
mixed = st.lists(
    st.one_of(
        st.binary(max_size=6),
        st.text(max_size=6).map(lambda text: text.encode("utf-8", "ignore")),
        chinese.map(lambda text: text[:6].encode("gb18030")),
        st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\x84\x31\x95\x33", b"id,name\n", "ģ".encode()]),
    ),
    max_size=6,
).map(b"".join)


def outcome(read: Callable[[], str]) -> object:
    try:
        return read()
    except SijiError as error:
        return type(error), error.facts


@given(mixed, encodings, st.integers(1, 7))
@example(b"id,\0", None, 2)
@example("id,甲".encode(), None, 2)
@example("id,甲,".encode() + b"\xff", None, 2)
@example("甲\n".encode("gb18030") * 9, None, 2)
@example(b"id," + "模".encode("gb18030"), None, 2)
@example(b"id", "utf-16", 1)
def test_read_in_pieces_it_is_the_same_text_or_the_same_refusal(
    raw: bytes, declared: str | None, piece: int
) -> None:
    whole = outcome(lambda: decode(raw, declared=declared).text)
    pieces = outcome(lambda: "".join(read_text(io.BytesIO(raw), declared=declared, piece=piece)))
    if isinstance(whole, tuple) and whole[0] is Undecodable and isinstance(pieces, tuple):
        assert pieces[0] in (Undecodable, NulByte)  # whichever comes first
        assert pieces[0] is NulByte or pieces == whole
    else:
        assert pieces == whole
