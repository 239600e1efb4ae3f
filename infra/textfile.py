"""Text files that people bring: how many bytes are read, and which encoding they are in.

A guess that could be wrong is refused instead. What the text means (CSV and so on) is not decided here.
"""

import codecs
import unicodedata
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from infra.errors import Kind, SijiError

MAX_BYTES = 32 * 1024 * 1024
READING_LENGTH = 40
PIECE = 256 * 1024

ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-8-sig": "utf-8",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "cp936": "gb18030",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "utf-16be": "utf-16-be",
}
BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\x84\x31\x95\x33", "gb18030"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
LONGEST_MARK = 4
CHINESE = ((0x3007, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


class FileTooLarge(SijiError):
    """More bytes than one file may have."""

    kind = Kind.too_large
    code = "file_too_large"
    zh = "文件超过 {limit} 字节的上限，请拆分后再导入"
    en = "The file is larger than the limit of {limit} bytes; split it and try again"


class UnknownEncoding(SijiError):
    """A declared encoding that is not one of those read here."""

    code = "unknown_encoding"
    zh = "不支持所声明的编码 {declared}，可用的编码：{known}"
    en = "The declared encoding {declared} is not supported; use one of: {known}"


class EncodingContradicted(SijiError):
    """The declared encoding and the file's byte order mark name two encodings."""

    code = "encoding_contradicted"
    zh = "声明的编码是 {declared}，而文件开头的字节序标记表明是 {marked}；请去掉其中之一"
    en = "The encoding is declared as {declared}, but the file begins with the mark of {marked}; drop one"


class Undecodable(SijiError):
    """A byte that the encoding does not allow."""

    code = "undecodable"
    zh = "文件不是有效的 {encoding} 文本：从第 {offset} 字节（自 0 起）开始无法解读"
    en = "The file is not valid {encoding}: the bytes at offset {offset} (from 0) cannot be read"


class UndecodableEither(SijiError):
    """Neither UTF-8 nor GB18030; `encoding` is the one that it rather is, `other` the other one."""

    code = "undecodable"
    zh = (
        "文件不是有效的 {encoding} 文本：从第 {offset} 字节（自 0 起）开始无法解读；"
        "也不是 {other}：从第 {other_offset} 字节开始无法解读"
    )
    en = (
        "The file is not valid {encoding}: the bytes at offset {offset} (from 0) cannot be read; "
        "nor is it {other}, at offset {other_offset}"
    )


class NulByte(SijiError):
    """A NUL in the text: a binary file, or UTF-16 without its mark."""

    code = "nul_byte"
    zh = "文件第 {offset} 个字符（自 0 起）是 NUL，这不是文本文件，或是未声明的 UTF-16；后者请声明编码"
    en = "Character {offset} (from 0) is NUL: not a text file, or UTF-16, which must be declared"


class EncodingUndecided(SijiError):
    """Valid UTF-8 without any Chinese: it may as well be GB18030, and only a person can tell."""

    code = "encoding_undecided"
    zh = (
        "无法判断文件编码：从第 {offset} 字节起，按 UTF-8 读作“{utf8}”，按 GB18030 读作“{gb18030}”；"
        "请用 --encoding utf-8 或 --encoding gb18030 指明"
    )
    en = (
        "The file's encoding cannot be told: at offset {offset} it reads “{utf8}” as UTF-8 and “{gb18030}” "
        "as GB18030; decide with --encoding utf-8 or --encoding gb18030"
    )


@dataclass(frozen=True)
class Decoded:
    """A file's text without its byte order mark, and the encoding that it was read in."""

    text: str
    encoding: str


def read_bytes(path: Path, *, limit: int = MAX_BYTES) -> bytes:
    """The file's bytes, at most `limit`.

    Raises: FileTooLarge (never more than `limit` + 1 bytes are read), OSError.
    """
    with path.open("rb") as file:
        raw = file.read(limit + 1)
    check_size(raw, limit=limit)
    return raw


def check_size(raw: bytes, *, limit: int = MAX_BYTES) -> None:
    """Raises FileTooLarge if `raw` has more than `limit` bytes."""
    if len(raw) > limit:
        raise FileTooLarge(limit=limit)


def decode(raw: bytes, *, declared: str | None = None) -> Decoded:
    """The text of `raw`.

    A declared encoding or a byte order mark wins. Otherwise valid UTF-8 with Chinese in it (or ASCII alone)
    is UTF-8, and bytes that are not UTF-8 are GB18030.

    Raises: UnknownEncoding, EncodingContradicted, Undecodable, UndecodableEither (with offsets in the file),
    EncodingUndecided (valid UTF-8 whose non-ASCII holds no Chinese, as 模 in GB18030 is ģ in UTF-8), NulByte.
    """
    encoding, skip = _named_encoding(raw, declared)
    if encoding is None:
        return _without_nul(_guess(raw))
    try:
        return _without_nul(Decoded(raw[skip:].decode(encoding), encoding))
    except UnicodeDecodeError as error:
        raise Undecodable(encoding=encoding, offset=skip + error.start) from error


def read_text(file: BinaryIO, *, declared: str | None = None, piece: int = PIECE) -> Iterator[str]:
    """The text of a seekable file from its beginning, read `piece` bytes at a time, by the rules of `decode`.

    Raises what `decode` raises, at the piece where it shows.
    """
    file.seek(0)
    encoding, skip = _named_encoding(file.read(LONGEST_MARK), declared)
    length = 0
    for text in _pieces(file, encoding or _guess_file(file, piece), skip=skip, piece=piece):
        place = text.find("\0")
        if place >= 0:
            raise NulByte(offset=length + place)
        length += len(text)
        yield text


def is_chinese(char: str) -> bool:
    """Whether `char` is a Chinese character (Han ideographs of every plane, and 〇)."""
    return any(first <= ord(char) <= last for first, last in CHINESE)


def printable(text: str, *, length: int) -> str:
    """`text` for showing in a message: at most `length` characters, invisible ones written as U+XXXX."""
    cut = text if len(text) <= length else text[: length - 1] + "…"
    return "".join(f"<U+{ord(c):04X}>" if unicodedata.category(c)[0] in "CZ" and c != " " else c for c in cut)


def _named_encoding(raw: bytes, declared: str | None) -> tuple[str | None, int]:
    """The encoding that is declared or marked, if any, and how many bytes its mark takes."""
    mark, marked = next(((m, name) for m, name in BYTE_ORDER_MARKS if raw.startswith(m)), (b"", None))
    if declared is None:
        return marked, len(mark)
    encoding = ENCODINGS.get(declared.strip().lower().replace("_", "-"))
    if encoding is None:
        known = "utf-8, gb18030, utf-16"
        raise UnknownEncoding(declared=printable(declared, length=READING_LENGTH), known=known)
    if marked is not None and not marked.startswith(encoding):
        raise EncodingContradicted(declared=encoding, marked=marked)
    return marked or encoding, len(mark)


def _guess(raw: bytes) -> Decoded:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as no_utf8:
        try:
            return Decoded(raw.decode("gb18030"), "gb18030")
        except UnicodeDecodeError as no_gb18030:
            raise _neither(raw, utf8=no_utf8.start, gb18030=no_gb18030.start) from no_gb18030
    if text.isascii() or any(is_chinese(char) for char in text):
        return Decoded(text, "utf-8")
    first = next(place for place, byte in enumerate(raw) if byte > 0x7F)
    line = raw[first:].splitlines()[0]
    utf8, gb18030 = (
        printable(line.decode(encoding, errors="replace"), length=READING_LENGTH)
        for encoding in ("utf-8", "gb18030")
    )
    raise EncodingUndecided(offset=first, utf8=utf8, gb18030=gb18030)


def _guess_file(file: BinaryIO, piece: int) -> str:
    """The encoding that `_guess` finds, without holding the file; what it refuses, it is given whole."""
    is_ascii, is_settled = True, False
    try:
        for text in _pieces(file, "utf-8", skip=0, piece=piece):
            if not text.isascii():
                is_ascii = False
                is_settled = is_settled or any(map(is_chinese, text))
        if is_ascii or is_settled:
            return "utf-8"
    except Undecodable:
        with suppress(Undecodable):
            deque(_pieces(file, "gb18030", skip=0, piece=piece), maxlen=0)
            return "gb18030"
    file.seek(0)
    return _guess(file.read()).encoding


def _pieces(file: BinaryIO, encoding: str, *, skip: int, piece: int) -> Iterator[str]:
    """The file decoded, without its first `skip` bytes. Raises Undecodable with the offset in the file."""
    file.seek(skip)
    unmarked = "utf-16-le" if encoding == "utf-16" else encoding  # Python's own, in pieces, wants a mark
    decoder, read = codecs.getincrementaldecoder(unmarked)(), skip
    while True:
        raw = file.read(piece)
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            raise Undecodable(encoding=encoding, offset=read - held + error.start) from error
        read += len(raw)
        if text:
            yield text
        if not raw:
            return


def _neither(raw: bytes, *, utf8: int, gb18030: int) -> UndecodableEither:
    """The refusal of what is neither, with the offsets of both: it rather is UTF-8 where that reads more
    Chinese than it leaves unread.
    """
    text = raw.decode("utf-8", errors="replace")
    found = [("gb18030", gb18030), ("utf-8", utf8)]
    if sum(map(is_chinese, text)) > text.count("\N{REPLACEMENT CHARACTER}"):
        found.reverse()
    (encoding, offset), (other, other_offset) = found
    return UndecodableEither(encoding=encoding, offset=offset, other=other, other_offset=other_offset)


def _without_nul(decoded: Decoded) -> Decoded:
    place = decoded.text.find("\0")
    if place >= 0:
        raise NulByte(offset=place)
    return decoded
