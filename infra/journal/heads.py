"""Signed heads: how long the chain was and with which digest, kept in a file outside the database.

Who can rewrite the database can rewrite the chain; whoever lacks the key cannot rewrite its heads.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from infra.database import reading
from infra.errors import Kind, SijiError
from infra.journal.entries import JournalSeal

HEADS_FILE = "journal-heads.ndjson"
KEY_FILE = "journal-key.pem"
LONGEST_LINE_BYTES = 4096
HEADS_AT_ONCE = 1000

HeadWhy = Literal["tail_cut", "missing", "head_mismatch"]


class HeadBeyondJournal(SijiError):
    """The last signed head is not in the chain any more: signing another one would bury the break."""

    kind = Kind.conflict
    code = "journal_head_beyond"
    zh = "未签名：签名文件 {file} 最后的第 {seq} 条在日志中已缺失或改变，请运行 {command}"
    en = (
        "No head was signed: number {seq}, the last in {file}, is gone from the log or changed there; "
        "run {command}"
    )


class JournalKeyMissing(SijiError):
    """Heads cannot be checked without the key they were signed with."""

    kind = Kind.not_found
    code = "journal_key_missing"
    zh = "无法核对签名：{file} 不是 Ed25519 密钥或不存在"
    en = "The signed heads cannot be checked: {file} is not there or is not an Ed25519 key"


@dataclass(frozen=True)
class Chain:
    """A chain whose heads are signed: the columns of its seals, its name in what is signed (the journal's has
    none), the file of its heads, and the command that verifies it.
    """

    seq: InstrumentedAttribute[int]
    digest: InstrumentedAttribute[str]
    name: str
    heads_file: str
    command: str


JOURNAL = Chain(JournalSeal.seq, JournalSeal.digest, "", HEADS_FILE, "siji journal verify")


@dataclass(frozen=True)
class Head:
    """One line of the heads file; `genuine` only if the signature holds. `line` counts from 1."""

    seq: int
    digest: str
    at: str
    line: int
    genuine: bool
    signature: str = field(default="", repr=False)


@dataclass(frozen=True)
class HeadsFound:
    """How many heads there are, the first line that is forged, and the earliest place at which the chain is
    not what they say, with the reason.
    """

    count: int = 0
    forged_line: int | None = None
    broken: tuple[int, HeadWhy] | None = None


def make_or_load_key(key_file: Path) -> Ed25519PrivateKey:
    """The signing key in `key_file`; made at first use (mode 0600), its public half beside it."""
    if not key_file.exists():
        key_file.parent.mkdir(parents=True, exist_ok=True)
        made = Ed25519PrivateKey.generate()
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _publish(key_file, pem, mode=0o600)
    try:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except ValueError:
        raise JournalKeyMissing(file=str(key_file)) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise JournalKeyMissing(file=str(key_file))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _publish(public_key_file(key_file), public, mode=0o644)
    return key


def public_key_file(key_file: Path) -> Path:
    """Where the public half of `key_file` lies."""
    return key_file.with_suffix(".pub.pem")


def load_public_key(file: Path) -> Ed25519PublicKey:
    """The key that verifies heads; `JournalKeyMissing` if `file` holds none."""
    try:
        key = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError):
        raise JournalKeyMissing(file=str(file)) from None
    if not isinstance(key, Ed25519PublicKey):
        raise JournalKeyMissing(file=str(file))
    return key


def sign_head(
    engine: Engine, *, key: Ed25519PrivateKey, heads_file: Path, at: datetime, chain: Chain = JOURNAL
) -> Head | None:
    """Append the chain's present end to `heads_file`, on disk on return; None if there is nothing new.

    `HeadBeyondJournal` if the last head of the file is not in the chain any more.
    """
    heads_file.parent.mkdir(parents=True, exist_ok=True)
    with heads_file.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        number, signed = _last_line(file)
        with reading(engine) as session:
            last = select(chain.seq, chain.digest).order_by(chain.seq.desc()).limit(1)
            end = session.execute(last).first()
            known = parse_head(signed, number, key.public_key(), chain.name) if signed else None
            if known:
                there = select(chain.digest).where(chain.seq == known.seq)
                if not known.genuine or session.scalar(there) != known.digest:
                    raise HeadBeyondJournal(file=str(heads_file), seq=known.seq, command=chain.command)
        if end is None or (known and known.seq == end[0]):
            return None
        stated = {"seq": end[0], "digest": end[1], "at": at.isoformat()}
        signature = key.sign(_statement(stated, chain.name)).hex()
        file.write(json.dumps({**stated, "signature": signature}).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(heads_file.parent)
    return Head(end[0], end[1], at.isoformat(), number + 1, genuine=True, signature=signature)


def read_heads(heads_file: Path, public_key: Ed25519PublicKey, *, chain: Chain = JOURNAL) -> Iterator[Head]:
    """Every head of the file in order, forged ones marked; a last line without its end was never finished."""
    with heads_file.open("rb") as file:
        for number, line in enumerate(_lines(file), start=1):
            if line.endswith(b"\n"):
                yield parse_head(line, number, public_key, chain.name)


def read_own_heads(data_dir: Path, *, chain: Chain = JOURNAL) -> Iterator[Head]:
    """The heads that were signed in a data folder of this installation; none before the first."""
    file = data_dir / chain.heads_file
    if file.exists():
        key = load_public_key(public_key_file(data_dir / KEY_FILE))
        yield from read_heads(file, key, chain=chain)


def compare_heads(session: Session, heads: Iterable[Head], *, chain: Chain = JOURNAL) -> HeadsFound:
    """Hold every head against the chain, in bounded memory."""
    last = session.scalar(select(func.max(chain.seq))) or 0
    count, forged = 0, None
    breaks: list[tuple[int, HeadWhy]] = []
    remaining = iter(heads)
    while some := list(islice(remaining, HEADS_AT_ONCE)):
        count += len(some)
        forged = forged or next((head.line for head in some if not head.genuine), None)
        genuine = [head for head in some if head.genuine]
        seals = select(chain.seq, chain.digest).where(chain.seq.in_([head.seq for head in genuine]))
        there = {seq: digest for seq, digest in session.execute(seals)}
        for head in genuine:
            if head.seq > last:
                breaks.append((last + 1, "tail_cut"))
            elif head.seq not in there:
                breaks.append((head.seq, "missing"))
            elif there[head.seq] != head.digest:
                breaks.append((head.seq, "head_mismatch"))
        breaks = [min(breaks)] if breaks else []
    return HeadsFound(count, forged, breaks[0] if breaks else None)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Each line, of one that is too long to be a head only the beginning and the end of the line."""
    while line := file.readline(LONGEST_LINE_BYTES):
        rest = line
        while len(rest) == LONGEST_LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(LONGEST_LINE_BYTES)
        yield line if rest is line else line + rest[-1:]


def parse_head(line: bytes | str, number: int, public_key: Ed25519PublicKey, name: str) -> Head:
    """The head that a line states, of the chain of that name; not `genuine` if it states none."""
    try:
        told = json.loads(line)
        stated = {part: told[part] for part in ("seq", "digest", "at")}
        public_key.verify(bytes.fromhex(told["signature"]), _statement(stated, name))
    except (ValueError, KeyError, TypeError, RecursionError, InvalidSignature):
        return Head(0, "", "", number, genuine=False)
    return Head(**stated, line=number, genuine=True, signature=told["signature"])


def _statement(stated: dict[str, Any], name: str) -> bytes:
    """What is signed. A head of one chain is none of another."""
    return rfc8785.dumps(stated | ({"chain": name} if name else {}))


def _last_line(file: BinaryIO) -> tuple[int, bytes]:
    """How many whole lines there are, and the last; what an interrupted write left behind them is cut off."""
    file.seek(0)
    number, last, whole = 0, b"", 0
    for line in file:
        if line.endswith(b"\n"):
            number, last, whole = number + 1, line, whole + len(line)
    file.truncate(whole)
    return number, last


def _publish(file: Path, content: bytes, *, mode: int) -> None:
    """Put `content` at `file` all at once, unless something is there already."""
    if file.exists():
        return
    descriptor, making = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    with os.fdopen(descriptor, "wb") as opened:
        os.fchmod(descriptor, mode)
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    try:
        os.link(making, file)
    except FileExistsError:
        pass
    finally:
        Path(making).unlink()
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
