"""Content packed with gzip or zstd: unpacked as it is read, within a limit; and packed where that pays."""

import gzip
import io
import zlib
from typing import BinaryIO

from infra.errors import Kind, SijiError
from infra.zstd import zstd

PIECE = 64 * 1024
PACKINGS = ("gzip", "zstd")
ALIASES = {"x-gzip": "gzip", "": "identity"}
WINDOW_LOG_MAX = 23
"""zstd's window in bits: 8 MiB, which RFC 9659 allows in HTTP; a stream that wants more memory is refused."""
MARKS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
WORTH_PACKING = 16 * 1024
PAYS_BELOW = 0.9


class UnknownPacking(SijiError):
    """A Content-Encoding that is not read here, or more than one."""

    kind = Kind.unsupported
    code = "packing_unknown"
    zh = "不支持的内容压缩方式“{given}”，可用：{known}"
    en = "Content packed as “{given}” is not read here; there are: {known}"


class PackingBroken(SijiError):
    """Packed content that is damaged, cut off, or followed by something else."""

    code = "packing_broken"
    zh = "压缩内容（{packing}）无法解开：{why_zh}；请重新压缩后整份重发"
    en = "The content packed with {packing} cannot be unpacked: {why_en}; pack it anew and send it all again"


class UnpackedTooLarge(SijiError):
    """Packed content that unpacks to more than may come."""

    kind = Kind.too_large
    code = "unpacked_too_large"
    zh = "收到的 {came} 字节解压后超过 {limit} 字节的上限，已停止解压；请分批发送"
    en = "The {came} bytes that came unpack to more than the limit of {limit} bytes; send it in parts"


def packing_of(told: str) -> str | None:
    """The packing that a Content-Encoding tells, None for none. Raises UnknownPacking."""
    name = told.strip().lower()
    name = ALIASES.get(name, name)
    if name == "identity":
        return None
    if name not in PACKINGS:
        raise UnknownPacking(given=told.strip()[:40], known=", ".join(PACKINGS))
    return name


def packing_in(head: bytes) -> str | None:
    """The packing of a file that begins so, None for none."""
    return next((packing for mark, packing in MARKS.items() if head.startswith(mark)), None)


def unpack(source: BinaryIO, target: BinaryIO, *, packing: str, limit: int) -> None:
    """Write what `source` holds unpacked into `target`: all of it, never more than `limit` bytes.

    Raises PackingBroken, UnpackedTooLarge; what was written until then is of no use.
    """
    total = 0
    try:
        with open_packed(source, packing) as content:
            while piece := content.read(PIECE):
                total += len(piece)
                if total > limit:
                    raise UnpackedTooLarge(came=_size(source), limit=limit)
                target.write(piece)
    except EOFError as error:
        raise PackingBroken(packing=packing, why_zh="内容不完整", why_en="it is cut off") from error
    except (gzip.BadGzipFile, zlib.error, zstd.ZstdError) as error:
        raise PackingBroken(
            packing=packing,
            why_zh="内容已损坏、不是该格式，或其后还有别的内容",
            why_en="it is damaged, not of that format, or followed by something else",
        ) from error
    if total == 0 and _size(source) == 0:
        raise PackingBroken(packing=packing, why_zh="没有内容", why_en="there is none")


def open_packed(source: BinaryIO, packing: str) -> io.BufferedIOBase:
    """`source` unpacked as it is read. Reading raises EOFError, BadGzipFile, zlib.error, ZstdError."""
    if packing == "gzip":
        return gzip.GzipFile(fileobj=source, mode="rb")
    options = {int(zstd.DecompressionParameter.window_log_max): WINDOW_LOG_MAX}
    return zstd.ZstdFile(source, options=options)


def pack(content: bytes) -> bytes | None:
    """`content` packed with zstd; None where that saves too little to be worth it."""
    if len(content) < WORTH_PACKING:
        return None
    packed = zstd.compress(content, level=3)
    return packed if len(packed) < PAYS_BELOW * len(content) else None


def _size(source: BinaryIO) -> int:
    here = source.tell()
    size = source.seek(0, 2)
    source.seek(here)
    return size
